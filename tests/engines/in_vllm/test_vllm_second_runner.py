"""vLLM's second (GPU) model runner, on a CPU by a stand-in for Triton's driver: it does what the first one does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("vllm", reason="needs vLLM (make test-vllm)")
pytest.importorskip("triton", reason="vLLM's second runner needs Triton")

pytestmark = [pytest.mark.model, pytest.mark.filterwarnings("ignore")]  # vLLM and what it imports warn of themselves

HERE = Path(__file__).parent
SCENARIOS = (
    "plain", "guided", "beta 0", "shared", "noise", "in parts", "no prefix cache", "first token", "every fourth",
    "preempted", "preempted, plain",
)  # fmt: skip
"""On both runners, greedy; the others on the second alone."""
SECOND = (
    "warmed up", "warmed up, shared", "another layer", "another beta", "hot", "reference", "sigma", "ahead",
    "plain, ahead", "beta 0, ahead", "hot, ahead", "preempted, ahead", "reference, ahead", "sigma, ahead",
    "hot, ahead, ghosts",
)  # fmt: skip
FIGURES = ("steps", "groups", "rows_guided", "rows_trained", "rows_without_slot", "steps_not_finite")


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory):
    """A folder with a random Llama; the CPU's attention takes no smaller heads than 32."""
    from transformers import LlamaConfig
    from transformers_parts import save_random_model

    folder = tmp_path_factory.mktemp("llama")
    save_random_model(
        folder, LlamaConfig, hidden_size=128, intermediate_size=256, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=1024, initializer_range=0.2,
    )  # fmt: skip
    return str(folder)


def played(runner: str, model: str, file: Path, names: tuple[str, ...]):
    """What the scenarios gave on one of the runners."""
    command = [sys.executable, str(HERE / "second_runner_scenarios.py"), runner, model, str(file), *names]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": f"{HERE.parent}:{os.environ.get('PYTHONPATH', '')}"},
        capture_output=True, text=True, timeout=1200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(file.read_text())


@pytest.fixture(scope="module")
def second(tiny_model, tmp_path_factory):
    return played("second", tiny_model, tmp_path_factory.mktemp("second") / "results.json", SCENARIOS + SECOND)


@pytest.fixture(scope="module")
def first(tiny_model, tmp_path_factory):
    return played("first", tiny_model, tmp_path_factory.mktemp("first") / "results.json", SCENARIOS)


def same_texts(one, other, within=1e-4):
    """The same texts, and log-probabilities that differ by roundings alone, or `within` so much."""
    assert one.keys() == other.keys()
    for key, (text, num_tokens, logprobs) in one.items():
        assert (text, num_tokens) == (other[key][0], other[key][1]), key
        assert logprobs == pytest.approx(other[key][2], abs=within), key


def counted(result):
    return {name: result["figures"][name] for name in FIGURES}


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_second_runner_writes_what_the_first_writes(first, second, name):
    """Inside `NoHostWaits`: no part of a step waits for the device."""
    assert (first[name]["runner"], second[name]["runner"]) == ("v1", "v2")
    same_texts(second[name]["written"], first[name]["written"])
    if first[name]["figures"] is not None:
        assert counted(second[name]) == counted(first[name])
        if name != "every fourth":
            assert second[name]["figures"]["rows_trained"] == second[name]["rows"]
        for key, stats in first[name]["stats"].items():
            assert second[name]["stats"][key] == pytest.approx(stats, rel=1e-2), key
        assert (second[name]["written"] == second["plain"]["written"]) == (name == "beta 0")
    assert second[name]["self_certainty"] == pytest.approx(first[name]["self_certainty"], rel=1e-3)


def test_preemption_happens_where_it_is_meant_to(first, second):
    assert all(second[name]["preemptions"] for name in ("preempted", "preempted, plain", "preempted, ahead"))
    assert first["preempted"]["preemptions"]


@pytest.mark.parametrize(
    ("ahead", "in_step"),
    [("ahead", "guided"), ("hot, ahead", "hot"), ("preempted, ahead", "preempted"), ("sigma, ahead", "sigma"),
     ("reference, ahead", "reference")],
)  # fmt: skip
def test_scheduled_ahead_everything_is_as_in_step(second, ahead, in_step):
    assert (second[ahead]["ahead"], second[in_step]["ahead"]) == (True, False)
    # Ahead, a request is preempted in another step, and its group learns its rows in another order.
    within = 1e-2 if second[ahead]["preemptions"] else 1e-4
    same_texts(second[ahead]["written"], second[in_step]["written"], within)
    rows = [second[name]["figures"]["rows_trained"] for name in (ahead, in_step)]
    assert rows == [second[name]["rows"] for name in (ahead, in_step)]


def test_requests_that_end_by_a_token_are_among_those(second):
    assert "stop" in second["hot, ahead"]["finish_reasons"]


def test_at_beta_0_ahead_every_digit_is_plain_vllms(second):
    assert second["beta 0, ahead"]["written"] == second["plain, ahead"]["written"]
    assert second["beta 0, ahead"]["figures"]["rows_trained"] == second["beta 0, ahead"]["rows"]


def test_rows_that_nobody_reads_would_be_seen(second):
    """What the device would learn from if it did not know its rows: the ghosts of requests that have ended."""
    blind = second["hot, ahead, ghosts"]
    assert blind["figures"]["rows_trained"] > blind["rows"]
    assert blind["written"] != second["hot"]["written"]


@pytest.mark.parametrize(("warmed_up", "cold"), [("warmed up", "guided"), ("warmed up, shared", "shared")])
def test_vllms_warm_up_leaves_nothing_behind(second, warmed_up, cold):
    assert second[warmed_up]["written"] == second[cold]["written"]
    assert counted(second[warmed_up]) == counted(second[cold])
    assert second[warmed_up]["warnings"] == []


def test_only_what_changes_the_compiled_model_makes_vllm_compile_anew(second):
    hashes = {name: result["hash"] for name, result in second.items()}
    assert hashes["another beta"] == hashes["shared"] == hashes["guided"]
    assert len({hashes["guided"], hashes["another layer"], hashes["plain"]}) == 3
