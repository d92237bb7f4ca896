"""What judges candidates is opened when it is first needed, once, and closed with the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import pytest

from tts.components.component import Component
from tts.pipeline.judges import Evaluators
from tts.recipe import Recipe, rebuild_recipe
from tts.types import Candidate, Problem, ProblemRow, Reference, Score

LIFE: list[str] = []
"""What happened to the scorer below."""


class Watched(Component):
    """Scores by length, and notes when it is opened and closed."""

    requires: ClassVar[frozenset[str]] = frozenset()

    def open(self) -> None:
        LIFE.append("open")

    def close(self) -> None:
        LIFE.append("close")

    def score(self, problem: Problem, candidates: Sequence[Candidate]) -> list[Score]:
        assert problem.id == "p"
        return [Score(float(len(candidate.text))) for candidate in candidates]


@pytest.fixture
def recipe() -> Recipe:
    LIFE.clear()
    return rebuild_recipe(
        {
            "task": "text",
            "engine": {"name": "replay", "script": ["x"]},
            "sampler": "temperature",
            "selector": {"name": "best_of_n", "scorer": f"{__name__}:Watched"},
        }
    )


ROW = ProblemRow(Problem("p", "Which city?", "text"), Reference("Rome"), 1)


def candidate(index: int, text: str) -> Candidate:
    return Candidate("p", index, text, None, "stop", 1, 1, None, None, None, 0, "temperature")


def test_nothing_is_opened_before_it_is_needed_and_everything_is_closed(recipe: Recipe) -> None:
    opened: list[str] = []
    with Evaluators(recipe, lambda part: opened.append(type(part).__name__)) as evaluators:
        assert LIFE == opened == []
        for _ in range(2):
            judged = evaluators.judge(ROW, [candidate(0, "Rome"), candidate(1, "Constantinople")])
        assert LIFE == ["open"]
        assert opened == ["TextVerifier", "Watched"]
    assert LIFE == ["open", "close"]
    assert judged.selection.index == 1
    assert [verdict.status for verdict in judged.verdicts] == ["passed", "failed"]
    assert judged.verdict.status == "failed"


def test_a_kind_of_its_own_task_and_the_built_in_ones_are_known(recipe: Recipe) -> None:
    assert set(Evaluators(recipe).tasks) == {"math", "choice", "code", "text"}
    assert Evaluators(recipe).tasks["text"] is recipe.task
