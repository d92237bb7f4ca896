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
ON_SECOND = (
    "plain", "guided", "another layer", "another beta", "warmed up", "shared", "warmed up, shared"
)  # fmt: skip
ON_FIRST = ("plain", "guided", "shared")
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
    return played("second", tiny_model, tmp_path_factory.mktemp("second") / "results.json", ON_SECOND)


@pytest.fixture(scope="module")
def first(tiny_model, tmp_path_factory):
    return played("first", tiny_model, tmp_path_factory.mktemp("first") / "results.json", ON_FIRST)


def same_texts(one, other):
    """The same texts, and log-probabilities that differ by roundings alone."""
    assert one.keys() == other.keys()
    for key, (text, num_tokens, logprobs) in one.items():
        assert (text, num_tokens) == (other[key][0], other[key][1]), key
        assert logprobs == pytest.approx(other[key][2], abs=1e-4), key


def counted(result):
    return {name: result["figures"][name] for name in FIGURES}


@pytest.mark.parametrize("name", ON_FIRST)
def test_the_second_runner_writes_what_the_first_writes(first, second, name):
    assert (first[name]["runner"], second[name]["runner"]) == ("v1", "v2")
    same_texts(second[name]["written"], first[name]["written"])
    if name != "plain":
        assert counted(second[name]) == counted(first[name])
        assert second[name]["figures"]["rows_trained"] == second[name]["rows"]
        assert second[name]["written"] != second["plain"]["written"]


@pytest.mark.parametrize(("warmed_up", "cold"), [("warmed up", "guided"), ("warmed up, shared", "shared")])
def test_vllms_warm_up_leaves_nothing_behind(second, warmed_up, cold):
    assert second[warmed_up]["written"] == second[cold]["written"]
    assert counted(second[warmed_up]) == counted(second[cold])
    assert second[warmed_up]["warnings"] == []


def test_only_what_changes_the_compiled_model_makes_vllm_compile_anew(second):
    hashes = {name: result["hash"] for name, result in second.items()}
    assert hashes["another beta"] == hashes["shared"] == hashes["guided"]
    assert len({hashes["guided"], hashes["another layer"], hashes["plain"]}) == 3
