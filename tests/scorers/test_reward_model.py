"""A reward model as scorer: steps, aggregates, and raw numbers told apart from probabilities."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judge_parts import solve
from pydantic import Field, PrivateAttr
from test_asking_scorers import scores_of

from tts.components.component import Component
from tts.errors import RecipeError
from tts.scorers.reward_model import steps_of
from tts.types import RewardRequest, Rewards


class Counting(Component):
    """Rewards each step by its length: raw numbers, or in [0, 1]."""

    raw: bool = False
    """Whether they are raw."""

    refuses: str = Field(default="nothing")
    """A word; texts that hold it are refused."""

    circumstances: ClassVar[frozenset[str]] = frozenset()

    _waiting: list[RewardRequest] = PrivateAttr(default_factory=list)

    def capabilities(self) -> frozenset[str]:
        return frozenset({"rewards", "raw_rewards"} if self.raw else {"rewards"})

    @property
    def num_free(self) -> int:
        return 2 - len(self._waiting)

    def add(self, request: RewardRequest) -> None:
        self._waiting.append(request)

    def cancel(self, problem_id: str, key: str) -> None:
        del problem_id, key

    def step(self, patience_seconds: float = 0.1) -> list[Rewards]:
        del patience_seconds
        found = []
        while self._waiting:
            asked = self._waiting.pop()
            values = [len(step) - 20.0 if self.raw else min(1.0, len(step) / 100) for step in asked.steps]
            error = "too long" if self.refuses in "".join(asked.steps) else None
            found.append(Rewards(asked.problem_id, asked.key, () if error else tuple(values), 7, error=error))
        return found


ANSWERS = ("one step here\n\nanother, longer step here\n\nso \\boxed{2}", "so \\boxed{4}", "or thus \\boxed{4}")
STEPS = [15 / 100, 27 / 100, 12 / 100]


def reward_model(folder: Path, answers: Any = ANSWERS, selector: Any = None, **keys: Any) -> list[Any]:
    reward = {"name": "test_reward_model:Counting", **keys.pop("model", {})}
    scorer = {"name": "reward_model", "reward": reward, **keys}
    selection = {"selector": {**selector, "scorer": scorer}} if selector else {}
    solutions = solve(folder, scorer, answers=answers, number=1, **selection)
    assert [one.error for one in solutions] == [None]
    return [score["value"] for score in scores_of(folder)[0]]


@pytest.mark.parametrize(
    ("aggregate", "value"),
    [("last", STEPS[2]), ("min", min(STEPS)), ("mean", sum(STEPS) / 3), ("product", math.prod(STEPS))],
)
def test_rewards_of_steps_become_one_number(tmp_path: Path, aggregate: str, value: float) -> None:
    assert reward_model(tmp_path, aggregate=aggregate)[0] == pytest.approx(value)


def test_without_a_delimiter_the_answer_is_one_step(tmp_path: Path) -> None:
    assert reward_model(tmp_path, delimiter="")[0] == pytest.approx(len(ANSWERS[0]) / 100)


def test_thinking_is_read_as_it_was_written(tmp_path: Path) -> None:
    found = reward_model(tmp_path, [{"text": "so \\boxed{2}", "reasoning": "hm"}, "so \\boxed{2}"], delimiter="")
    assert found == [pytest.approx(len("<think>\nhm\n</think>\n\nso \\boxed{2}") / 100), pytest.approx(0.12)]


def test_what_cannot_be_read_has_no_score_and_says_why(tmp_path: Path) -> None:
    found = reward_model(tmp_path, model={"refuses": "thus"})
    assert found[2] is None
    assert scores_of(tmp_path)[0][2]["detail"] == "the reward model could not tell: too long"
    assert found[1] is not None


def test_raw_numbers_choose_and_do_not_weigh_votes_unless_squashed(tmp_path: Path) -> None:
    assert reward_model(tmp_path / "a", model={"raw": True}) == [-8.0, -8.0, -3.0]
    for selector in ("self_consistency", "confidence_vote"):
        with pytest.raises(RecipeError, match=r"raw numbers, which cannot weigh votes: set its `squash: sigmoid`"):
            reward_model(tmp_path / "b", model={"raw": True}, selector={"name": selector})
        found = reward_model(tmp_path / selector, model={"raw": True}, selector={"name": selector}, squash="sigmoid")
        assert found == pytest.approx([1 / (1 + math.exp(8)), 1 / (1 + math.exp(8)), 1 / (1 + math.exp(3))])
    reward_model(tmp_path / "c", model={"raw": True}, selector={"name": "borda"})


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"squash": "sigmoid"}, r"`selector.scorer.squash` must be left out"),
        ({"model": {"raw": True}, "aggregate": "product"}, r"product` must go with rewards in \[0, 1\]"),
        ({"model": {"name": "replay", "script": ["a"]}}, r"must be an engine with the capability `rewards`"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, keys: dict[str, Any], told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        reward_model(tmp_path, **keys)


@given(st.text(alphabet="ab \n", max_size=40), st.sampled_from(["\n\n", "\n", "", "a"]))
@settings(derandomize=True, max_examples=200, deadline=None)
def test_steps_together_are_the_text_and_none_is_blank_alone(text: str, delimiter: str) -> None:
    steps = steps_of(text, delimiter)
    assert "".join(steps) == text
    assert all(step.strip() for step in steps) or len(steps) == 1


def test_a_reward_model_that_asks_a_silent_one_is_given_up_with_all_its_questions(tmp_path: Path) -> None:
    silent = {
        "name": "replay",
        "delay_seconds": 1000,
        "batch_size": 2,
        "script": [{"text": "Yes", "asked_logprobs": {"Yes": -0.1, "No": -3.0}}],
    }
    for model in ({"name": "p_true", "engine": silent}, {**silent, "rewards": [0.5]}):
        scorer = {"name": "reward_model", "reward": model, "call_seconds": 0.1}
        folder = tmp_path / str(model["name"])
        for one in solve(folder, scorer, answers=ANSWERS, number=2):
            assert one.selection.answer == "4"
            assert "no reply within 0.1 s" in one.selection.fallback


@pytest.mark.parametrize(("num_refused", "answer"), [(0, "2"), (1, "2"), (2, "2"), (3, "4"), (4, "4")])
def test_a_scorer_that_can_tell_less_than_half_leaves_the_choice_to_the_plain_vote(
    tmp_path: Path, num_refused: int, answer: str
) -> None:
    """The longest answer is the best, and alone with its 2; refused are the others first."""
    texts = ["so \\boxed{4}", "or \\boxed{4}", "as \\boxed{9}", "the long one, \\boxed{2}"]
    texts = [f"thus {text}" if place < num_refused else text for place, text in enumerate(texts)]
    scorer = {"name": "reward_model", "reward": {"name": "test_reward_model:Counting", "refuses": "thus"}}
    [one] = solve(tmp_path, scorer, answers=texts, number=1)
    assert one.selection.answer == answer
    assert bool(one.selection.fallback) == (num_refused > 2)
