"""Scorers that ask: in the run, charged to their place, on record before anybody is told, and asked once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tts.pipeline.run import open_run
from tts.recipe import load_recipe

RECIPE = """
task: math
engine:
  name: replay
  batch_size: 3
  script: ["so \\\\boxed{2}", "first\\n\\nso \\\\boxed{4}", {text: "half", finish_reason: length}, "or \\\\boxed{2}"]
sampler: SAMPLER
selector:
  name: best_of_n
  scorer: {name: reward_model, aggregate: min, reward: {name: replay, rewards: [0.1, 0.3, 0.9, 0.5], batch_size: 2}}
"""
SAMPLERS = {
    "one_shot": "{name: temperature, num_candidates: 4}",
    "search": "{name: adaptive_consistency, num_candidates: 4, window: 4}",
}
PROBLEMS = [{"id": f"p{number}", "problem": f"{number} + 1?", "answer": "2"} for number in range(7)]


def solve(folder: Path, sampler: str = "one_shot", *overrides: str, run: str = "run") -> list[Any]:
    (folder / "r.yaml").write_text(RECIPE.replace("SAMPLER", SAMPLERS[sampler]))
    recipe = load_recipe(str(folder / "r.yaml"), overrides)
    with open_run(recipe, PROBLEMS, folder / run) as work:
        return [outcome.solution for outcome in work.outcomes(keep_order=True)]


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_scorer_is_asked_about_finished_candidates_and_chooses(tmp_path: Path, sampler: str) -> None:
    solutions = solve(tmp_path, sampler)
    assert [one.problem_id for one in solutions] == [problem["id"] for problem in PROBLEMS]
    for one, scores in zip(
        sorted(solutions, key=lambda one: one.problem_id),
        sorted(lines(tmp_path / "run/scores.jsonl"), key=lambda line: line["problem_id"]),
        strict=True,
    ):
        values = [score["value"] for score in scores["scores"]]
        finished = [value for value in values if value is not None]
        assert one.selection.weights[0] == max(finished)
        assert scores["scores"][2] == {"value": None, "detail": "not asked about: length"}
        assert one.usage.engines["selector.scorer.reward"].num_calls == 3
        assert one.usage.engines["engine"].num_calls == 4
    assert not (tmp_path / "run/calls.jsonl").exists() or sampler == "search"
    calls = lines(tmp_path / "run/scorer_calls.jsonl")
    assert len(calls) == 21
    assert {line["engine"] for line in calls} == {"selector.scorer.reward"}
