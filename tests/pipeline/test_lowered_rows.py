"""Rows that want less than their recipe draws, or have seeds of their own: drawn so, kept so, resumed so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import pytest

from tts import ProblemRow, Solved
from tts.engines.replay import ReplayEngine
from tts.pipeline.calls import call_seed
from tts.pipeline.run import open_run
from tts.recipe import Recipe, load_recipe
from tts.types import Problem, Reference, Request, RewardRequest

SAMPLERS = {
    "independent": "{name: temperature, num_candidates: 6, max_tokens: 50}",
    "mixture": "{name: mixture, num_candidates: 6, max_tokens: 50, arms: [{name: temperature}, {name: min_p}]}",
    "search": "{name: adaptive_consistency, num_candidates: 6, max_tokens: 50, confidence: 0.999}",
}


def recipe_of(folder: Path, sampler: str, selector: str = "majority_vote") -> Recipe:
    path = folder / "r.yaml"
    engine = json.dumps({"name": "replay", "script": ["so \\boxed{1}", "so \\boxed{2}", "so \\boxed{3}"]})
    path.write_text(f"task: math\nengine: {engine}\nsampler: {sampler}\nselector: {selector}\n")
    return load_recipe(path)


def row(name: str, number: int, **less: object) -> ProblemRow:
    return ProblemRow(Problem(name, f"{name}?", "math"), Reference("1"), number, **less)


ROWS = [row("a", 1), row("b", 2, num_candidates=2), row("c", 3, seed_name="s"), row("d", 4, seed_name="s")]


def drawn(recipe: Recipe, rows: list[ProblemRow] | None, folder: Path) -> dict[str, Solved]:
    with open_run(recipe, rows, folder) as run:
        return {one.row.problem.id: one for one in run.outcomes() if isinstance(one, Solved)}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_row_decides_how_many_candidates_and_which_seeds(tmp_path: Path, sampler: str) -> None:
    recipe = recipe_of(tmp_path, SAMPLERS[sampler])
    found = drawn(recipe, ROWS, tmp_path / "run")
    assert {name: len(one.candidates) for name, one in found.items()} == {"a": 6, "b": 2, "c": 6, "d": 6}
    assert all(one.solution.error is None for one in found.values())
    seeds = {name: [candidate.seed for candidate in one.candidates] for name, one in found.items()}
    assert seeds["c"] == seeds["d"] == [call_seed(0, "s", str(index)) for index in range(6)]
    assert seeds["b"] == [call_seed(0, "b", str(index)) for index in range(2)]

    size = (tmp_path / "run" / "candidates.jsonl").stat().st_size
    again = drawn(recipe, None, tmp_path / "run")
    assert (tmp_path / "run" / "candidates.jsonl").stat().st_size == size
    assert {name: one.solution.selection for name, one in again.items()} == {
        name: one.solution.selection for name, one in found.items()
    }
    assert [one.row for one in again.values()] == ROWS


class Noting(ReplayEngine):
    """Notes the limits of the requests that it gets."""

    seen: ClassVar[dict[str, set[int]]] = {}

    def add(self, request: Request | RewardRequest) -> None:
        assert isinstance(request, Request)
        self.seen.setdefault(request.problem_id, set()).add(request.decoding.max_tokens)
        super().add(request)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_limit_of_a_row_reaches_every_request(tmp_path: Path, sampler: str) -> None:
    Noting.seen.clear()
    rows = [row("a", 1), row("b", 2, max_tokens=7), row("c", 3, max_tokens=70, num_candidates=60)]
    recipe, engine = recipe_of(tmp_path, SAMPLERS[sampler]), Noting(script=["so \\boxed{1}", "so \\boxed{2}"])
    with open_run(recipe, rows, tmp_path / "run", engines={"engine": engine}) as run:
        found = [outcome for outcome in run.outcomes() if isinstance(outcome, Solved)]
    assert Noting.seen == {"a": {50}, "b": {7}, "c": {50}}
    assert [len(one.candidates) for one in found] == [6, 6, 6]


def test_other_engines_may_stand_in_for_a_recipes_own(tmp_path: Path) -> None:
    search = "{name: dvts, num_candidates: 2, beam_width: 1, max_steps: 2, reward: %s}"
    reward = '{name: replay, script: ["x"], rewards: [0.25, 0.5]}'
    recipe = recipe_of(tmp_path, search % reward)
    own = drawn(recipe, ROWS[:2], tmp_path / "own")
    other = recipe_of(tmp_path, search % reward)
    with open_run(recipe, ROWS[:2], tmp_path / "lent", engines=other.engines()) as run:
        lent = {one.row.problem.id: one for one in run.outcomes() if isinstance(one, Solved)}
    assert {name: one.candidates for name, one in lent.items()} == {name: one.candidates for name, one in own.items()}
    assert [one.num_candidates for one in (lent["a"].solution.counts, lent["b"].solution.counts)] == [2, 2]
