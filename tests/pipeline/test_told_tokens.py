"""What a search is told to have cost is one figure: the sum over the lines of its calls, wherever it is told."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts import ProblemRow
from tts.cli.display import notes
from tts.components import registry
from tts.pipeline.run import Run, open_run
from tts.recipe import rebuild_recipe
from tts.report.analyse import Options, analyse
from tts.report.data import Report
from tts.report.listing import listed
from tts.runs.stored import StoredRun
from tts.types import Problem, Reference

SEARCHES = sorted(name for name in registry.builtin("samplers") if hasattr(registry.load("samplers", name), "search"))
KEYS: dict[str, dict[str, Any]] = {
    "budget_forcing": {"max_thinking_tokens": 20},
    "budget_sweep": {"budgets": [5, 9], "max_thinking_tokens": 20, "num_candidates": 6},
    "ab_mcts": {"max_expansions": 24},
    "deepconf": {"num_candidates": 12, "warmup": 6},
    "tree_of_thoughts": {"num_candidates": 3, "num_steps": 2, "num_evaluations": 2},
}
STEPS = ("first we add\n\n", "step one\n\n", "step two\n\n", "so \\boxed{2}", "so \\boxed{4}", "sure")


def recipe(name: str, tokens: list[int]) -> Any:
    def written(text: str, number: int) -> dict[str, Any]:
        stop = {"stop": "\n\n"} if text.endswith("\n\n") else {}
        return {"text": text, "num_tokens": number, "engine_stats": {"least_confidence": float(number)}, **stop}

    rewards = {"reward": {"name": "replay", "rewards": [0.1, 0.9, 0.5]}}
    asks = "reward" in registry.load("samplers", name).model_fields
    return rebuild_recipe(
        {
            "task": "math",
            "engine": {"name": "replay", "script": list(map(written, STEPS, tokens)), "batch_size": 3},
            "sampler": {"name": name, "num_candidates": 8, **(rewards if asks else {}), **KEYS.get(name, {})},
            "selector": "majority_vote",
        }
    )


def solved(folder: Path, made: Any, *, most: int) -> Run:
    """Solve three problems, or stop after `most`."""
    rows = [ProblemRow(Problem(f"p{one}", f"{one} + 1?", "math"), Reference("2"), one + 1) for one in range(3)]
    with open_run(made, rows, folder) as run:
        for number, _ in enumerate(run.outcomes(), 1):
            if number == most:
                run.stop.set()
    return run


def reported(folder: Path) -> Report:
    run = StoredRun(folder)
    try:
        return analyse([run], Options(embeddings="none"))
    finally:
        run.close()


@pytest.mark.parametrize("name", SEARCHES)
@settings(max_examples=2, derandomize=True, deadline=None)
@given(tokens=st.lists(st.integers(1, 9), min_size=len(STEPS), max_size=len(STEPS)))
def test_what_a_search_is_told_to_have_cost_is_the_sum_over_its_calls_everywhere(name: str, tokens: list[int]) -> None:
    with TemporaryDirectory() as place:
        folder = Path(place) / "run"
        solved(folder, recipe(name, tokens), most=1)
        solved(folder, recipe(name, tokens), most=0)
        run = solved(folder, recipe(name, tokens), most=0)  # with nothing left to do it tells the same
        lines = [json.loads(line) for line in (folder / "calls.jsonl").read_bytes().splitlines()]
        candidates = [json.loads(line) for line in (folder / "candidates.jsonl").read_bytes().splitlines()]
        costs = [cost for line in lines if (cost := line.get("completion") or line.get("rewards"))]
        read, written = (sum(cost.get(key, 0) for cost in costs) for key in ("num_prompt_tokens", "num_tokens"))
        handed_in = sum(one["num_tokens"] for one in candidates)
        summary = json.loads((folder / "summary.json").read_bytes())
        (arm,) = reported(folder).arms
        for told in (summary, {one: getattr(arm.cost, one) for one in ("prompt_tokens", "completion_tokens")}):
            assert (told["prompt_tokens"], told["completion_tokens"]) == (read, written)
        assert tuple(map(sum, zip(*run.progress.tokens.values(), strict=True))) == (written, read)
        assert any(line.startswith(f"tokens: {written} written, {read} read") for line in notes(run))
        assert listed(folder).tokens == written
        if handed_in == written:
            assert arm.cost.candidate_tokens is None
            assert "candidate_tokens" not in summary
        else:
            assert arm.cost.candidate_tokens == summary["candidate_tokens"] == handed_in
            assert f"tokens in the candidates handed in, each counted for itself: {handed_in}" in notes(run)
