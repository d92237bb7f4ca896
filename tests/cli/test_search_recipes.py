"""The shipped recipes that search, from the command line on a small real model, killed once and gone on with."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_parts import SMALL_ENGINE, Result, is_deterministic, kill_and_resume, needs_small_model
from test_resume import results

pytestmark = [pytest.mark.model, pytest.mark.slow, pytest.mark.timeout(600)]
Command = Callable[..., Result]

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
    needs_small_model()
    settings = [part for one in (SMALL_ENGINE, *SMALLER[name]) for part in ("--set", one)]
    programs = tmp_path / "programs.jsonl"
    programs.write_text("".join(json.dumps({**PROGRAM, "id": one}) + "\n" for one in ("arith-01", "arith-02")))
    problems = programs if name.startswith("humaneval") else "quickstart"
    command = ("solve", problems, "-r", name, "--limit", 2, *settings)
    whole, resumed = kill_and_resume(tts, tmp_path, command, "calls.jsonl", 5)
    drawn = {run: candidates(tmp_path / run) for run in ("whole", "killed")}
    assert {problem_id for problem_id, _ in drawn["whole"]} == {"arith-01", "arith-02"}
    if is_deterministic(tmp_path / "whole"):
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
