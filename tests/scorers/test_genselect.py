"""GenSelect: what it reads of a reply, and that a model which names a place, or nothing, decides nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from judge_parts import solve
from pydantic import PrivateAttr
from test_asking_scorers import plain_vote, scores_of

from tts.components.component import Component
from tts.errors import RecipeError
from tts.scorers.genselect import GenSelect, read_choice
from tts.types import Completion, Request

TAGS = ("<think>", "</think>")


class Chooser(Component):
    """Names one of the solutions that it is shown."""

    character: Literal["right", "first", "last", "nonsense", "beyond", "wavering"]
    """Which."""

    thinking_tags: ClassVar[tuple[str, str]] = TAGS
    num_generated_tokens: ClassVar[int] = 0

    _waiting: list[Request] = PrivateAttr(default_factory=list)

    def capabilities(self) -> frozenset[str]:
        return frozenset({"seeds"})

    def render(self, messages: Any) -> tuple[str, int]:
        del messages
        return "", 1

    @property
    def num_free(self) -> int:
        return 5 - len(self._waiting)

    def add(self, request: Request) -> None:
        self._waiting.append(request)

    def cancel(self, problem_id: str, key: str) -> None:
        del problem_id, key

    def step(self, patience_seconds: float = 0.1) -> list[Completion]:
        del patience_seconds
        return [self._reply(self._waiting.pop())] if self._waiting else []

    def _reply(self, request: Request) -> Completion:
        shown = re.findall(r"Solution \d+:\n(.*)", request.messages[-1].content)
        right = next((number for number, text in enumerate(shown) if "{7}" in text), len(shown) - 1)
        text = {
            "right": f"They differ. Judgment: {right}",
            "first": "Judgment: 0",
            "last": f"Judgement: **{len(shown) - 1}**",
            "nonsense": "They are all fine.",
            "beyond": f"Judgment: {len(shown)}",
            "wavering": f"Judgment: {request.seed % len(shown)}",
        }[self.character]
        return Completion(request.problem_id, request.key, text, "stop", 10, 4)


def chooser(character: str) -> dict[str, str]:
    return {"name": "test_genselect:Chooser", "character": character}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("Judgment: 2", 2),
        ("Judgement: 3", 3),
        ("Judgment: 1. On reflection:\n\n**Judgment: 0**", 0),
        ("Judgment: Solution 2", 2),
        ("<think>Judgment: 1</think>Judgment: 2", 2),
        ("Judgment: 7", None),
        ("Judgment: 1\nJudgment: 7", None),
        ("Judgment: 1.5", None),
        ("Judgment: -1", None),
        ("Judgment: 1\nJudgment: -1", None),
        ("Judgment: 1 or 2", None),
        ("Judgment: 0-2", None),
        ("Judgment: 1/2", None),
        ("Judgment: 1st", None),
        ("Judgment: \\boxed{1}", 1),
        ("Solution 2 is best", None),
        ("", None),
    ],
)
def test_the_last_judgment_counts_if_it_is_one_of_those_shown(text: str, place: int | None) -> None:
    assert read_choice(Completion("p", "0", text, "stop", 0, 0), 4, TAGS) == place
    assert read_choice(Completion("p", "0", text, "length", 0, 0), 4, TAGS) is None


@pytest.mark.parametrize("window", [2, 8])
def test_a_model_that_knows_finds_the_right_answer_among_few_votes(tmp_path: Path, window: int) -> None:
    solutions = solve(tmp_path, {"name": "genselect", "judge": chooser("right"), "window": window})
    assert [one.selection.answer for one in solutions] == ["7"] * 3
    assert [one["value"] for one in scores_of(tmp_path)[0]] == [0, 0, 0, 1, 0, 0]
    number = solutions[0].usage.engines["selector.scorer.judge"].num_calls
    assert number == (3 if window == 8 else 6)  # three answers: one window, or two rounds of which one has a bye


@pytest.mark.parametrize("character", ["first", "last", "nonsense", "beyond"])
def test_a_model_that_names_a_place_or_nothing_leaves_the_plain_vote(tmp_path: Path, character: str) -> None:
    solutions = solve(tmp_path, {"name": "genselect", "judge": chooser(character)})
    for one, plain in zip(solutions, plain_vote(tmp_path), strict=True):
        assert (one.selection.index, one.selection.answer) == (plain.selection.index, "4")
        assert "could tell nothing of 6 of 6 candidates" in one.selection.fallback
    figures = [score["figures"] for scores in scores_of(tmp_path) for score in scores if score.get("figures")]
    assert sum(one["unread"] for one in figures) == (9 if character in ("nonsense", "beyond") else 0)
    assert sum(one["first_chosen"] for one in figures) == (9 if character == "first" else 0)


def test_many_answers_are_read_in_windows_and_a_last_round(tmp_path: Path) -> None:
    answers = [f"so \\boxed{{{number}}}" for number in range(1, 12)]
    scorer = {"name": "genselect", "judge": chooser("right"), "window": 4, "orders": 2}
    solutions = solve(tmp_path, scorer, answers=answers, number=2)
    assert [one.selection.answer for one in solutions] == ["7"] * 2
    made = GenSelect(window=4, orders=2)
    assert made.windows(11) == 3 + 1
    assert solutions[0].usage.engines["selector.scorer.judge"].num_calls == 2 * 4 < made.most_calls(11)


def test_universal_self_consistency_shows_all_candidates_and_goes_by_their_answers(tmp_path: Path) -> None:
    solutions = solve(tmp_path, {"name": "universal_self_consistency", "judge": chooser("right")})
    assert [one.selection.answer for one in solutions] == ["7"] * 3
    assert solutions[0].usage.engines["selector.scorer.judge"].num_calls == 2
    for character in ("first", "nonsense"):
        scorer = {"name": "universal_self_consistency", "judge": chooser(character)}
        for one in solve(tmp_path / character, scorer):
            assert (one.selection.answer, bool(one.selection.fallback)) == ("4", True)


@pytest.mark.parametrize(
    ("scorer", "told"),
    [
        ({"name": "universal_self_consistency", "criteria": "Short ones."}, "criteria` must be left out"),
        ({"name": "judge", "criteria": "Short.", "prompt": "{problem} {answer}"}, "criteria` must be left out"),
        ({"name": "genselect", "prompt": "{problem}"}, "must hold {solutions}"),
    ],
)
def test_a_prompt_that_does_not_ask_is_refused(tmp_path: Path, scorer: dict[str, Any], told: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(told)):
        solve(tmp_path, scorer)
