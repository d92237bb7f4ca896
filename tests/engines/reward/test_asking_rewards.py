"""Generating models asked to rate: what they are asked, and what their probabilities come to."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts.engines.replay import ReplayEngine
from tts.engines.reward.asking import Asking
from tts.engines.reward.expected_score import ExpectedScore
from tts.engines.reward.p_true import PTrue
from tts.errors import CallError
from tts.types import Completion, Message, Piece, RewardRequest

ASK = (Message("system", "Be brief."), Message("user", r"What is \frac{1}{2} of {answer}?"))
STEPS = ("<think>First,\n\n", "hm</think>We halve.\n\n", r"So \boxed{3}")


def request(*steps: str) -> RewardRequest:
    return RewardRequest("p", "2/1", ASK, steps)


def replies(*logprobs: Sequence[float | None] | None) -> list[Completion]:
    return [
        Completion("p", f"2/1?{number}", "Y", "length", 9, 1, asked_logprobs=None if one is None else tuple(one))
        for number, one in enumerate(logprobs)
    ]


def normalised(logits: Sequence[float]) -> list[float]:
    total = math.log(sum(map(math.exp, logits)))
    return [logit - total for logit in logits]


def test_p_true_is_the_share_of_yes() -> None:
    judge = PTrue()
    assert judge.value(normalised([1.2, 0.2, 3.0])[:2]) == pytest.approx(0.7311, abs=5e-5)
    assert judge.value([math.log(0.45), math.log(0.15)]) == pytest.approx(0.75)
    assert (judge.value([0.0, -900.0]), judge.value([-900.0, 0.0])) == (1.0, 0.0)


def test_an_expected_score_counts_the_marks_alone() -> None:
    judge = ExpectedScore()
    for share in (1.0, 0.01):  # what the model would rather say does not count
        value = judge.value([math.log(share * one) for one in (0.05, 0.1, 0.2, 0.4, 0.25)])
        assert 1 + 4 * value == pytest.approx(3.70)
    letters = ExpectedScore(scale="A-T")
    assert (letters.tokens[0], letters.tokens[-1], len(letters.tokens)) == ("T", "A", 20)
    assert letters.value([-50.0] * 19 + [0.0]) == pytest.approx(1.0)


@settings(derandomize=True, max_examples=50, deadline=None)
@given(st.lists(st.floats(-700, 0), min_size=5, max_size=5))
def test_a_score_is_a_share_and_grows_with_the_better_marks(logprobs: list[float]) -> None:
    judge = ExpectedScore()
    value = judge.value(logprobs)
    assert 0 <= value <= 1
    assert judge.value([*logprobs[:4], logprobs[4] + 1]) >= value - 1e-12
    assert judge.value(logprobs[::-1]) == pytest.approx(1 - value)


@pytest.mark.parametrize("judge", [PTrue(), ExpectedScore()])
def test_each_step_is_asked_about_with_all_before_it_in_one_token(judge: Asking) -> None:
    asked = judge.questions(request(*STEPS))
    assert [one.key for one in asked] == ["2/1?0", "2/1?1", "2/1?2"]
    for end, one in enumerate(asked, start=1):
        assert f"\n\n{''.join(STEPS[:end]).strip()}\n\n" in one.messages[-1].content
        assert one.messages[-1].content.startswith("Be brief.\n\nWhat is \\frac{1}{2} of {answer}?\n\n")
        assert (one.decoding.max_tokens, one.decoding.temperature) == (1, 0.0)
        assert one.decoding.ask_tokens == judge.tokens


def test_of_the_whole_one_question_rates_every_step() -> None:
    judge = PTrue(rates="whole", thinking="strip", system="Judge.", prefill="<think></think>")
    [asked] = judge.questions(request(*STEPS))
    assert "\n\nWe halve.\n\nSo \\boxed{3}\n\n" in asked.messages[1].content
    assert (asked.messages[0], asked.prefix) == (Message("system", "Judge."), (Piece("<think></think>"),))
    assert judge.values(request(*STEPS), replies([0.0, 0.0])) == (0.5, 0.5, 0.5)
    assert judge.questions(request()) == ()


def test_what_cannot_be_told_is_an_error_and_no_number() -> None:
    with pytest.raises(CallError, match=r"could not tell how likely \['No'\] are"):
        PTrue().values(request("a"), replies([-0.5, None]))
    with pytest.raises(CallError, match="ended by length"):
        PTrue().values(request("a"), replies(None))


def test_a_prompt_that_does_not_show_the_answer_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`prompt` must hold \{answer\}"):
        PTrue(prompt="{problem}: right?")
    assert "rewards" in PTrue(engine=ReplayEngine(script=["x"])).capabilities()


SPLITS = st.lists(st.sampled_from(["<think>", "</think>", "a", "b\n", "<th", "ink>", ""]), max_size=9)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(SPLITS, st.integers(0, 9))
def test_thinking_is_found_wherever_the_steps_are_cut(parts: list[str], cut: int) -> None:
    judge = PTrue(thinking="strip")
    whole, steps = "".join(parts), ("".join(parts[:cut]), "".join(parts[cut:]))
    assert "".join(judge.read(steps)) == judge.read((whole,))[0]
    assert len(judge.read(steps)) == 2
    if "think>" not in whole:
        assert judge.read(steps) == steps == PTrue().read(steps)
