"""Budget forcing as s1 does it: what is sent, in which order, under which limits; and the sweep of one thought."""

from __future__ import annotations

import pytest

from tts.samplers.budget_forcing import BudgetForcing
from tts.samplers.budget_sweep import BudgetSweep
from tts.testing import converse
from tts.types import Completion, Problem, Request

PROBLEM = Problem("p", "What is 3 + 7?", "math")


class Thinker:
    """Thinks in words, one token each, `lengths` at a time until it ends by itself; notes all that it is asked."""

    def __init__(self, *lengths: int, answer: str = "ten", ends: str | None = "</think>") -> None:
        self.lengths, self.answer, self.ends = lengths, answer, ends
        self.asked: dict[tuple[str, str], Request] = {}

    def __call__(self, request: Request) -> Completion:
        written = "".join(piece.text for piece in request.prefix)
        self.asked[request.key, written] = request
        most = request.decoding.max_tokens
        if "</think>" in written:
            words = self.answer.split()[:most]
            reason = "stop" if len(words) < most else "length"
            return Completion("p", request.key, " " + " ".join(words), reason, 1, len(words))
        # its own end comes after `lengths` words each time; what is on record tells how far it is
        thought, number = written.split("Wait"), written.count("Wait")
        left = self.lengths[min(number, len(self.lengths) - 1)] - len(thought[-1].split())
        if left <= most:
            end = self.ends or ""
            return Completion("p", request.key, " so" * left + end, "stop", 1, left, stop=self.ends)
        return Completion("p", request.key, " so" * most, "length", 1, most)

    @property
    def sent(self) -> list[tuple[str, int]]:
        """(what stood there, the most tokens) of every call, shortest first."""
        found = {(written, request.decoding.max_tokens) for (_, written), request in self.asked.items()}
        return sorted(found, key=lambda one: len(one[0]))


def test_a_thought_that_ends_is_prolonged_within_the_budget_of_the_sum_and_a_cut_one_is_told_to_answer() -> None:
    thinker = Thinker(5, 9)
    sampler = BudgetForcing(num_candidates=1, max_thinking_tokens=12, num_waits=1, max_tokens=4)
    (candidate,) = converse(sampler, PROBLEM, thinker)
    five, twelve = " so" * 5, " so" * 5 + "Wait" + " so" * 7
    assert thinker.sent == [("", 12), (five + "Wait", 7), (twelve + "\n</think>\nFinal Answer:", 4)]
    assert candidate.num_tokens == 5 + 7 + 1  # all pieces are billed, the words put in are not
    assert candidate.text.endswith("Final Answer: ten")


@pytest.mark.parametrize("ends", ["</think>", None])
def test_a_thought_that_ends_by_tag_or_by_the_end_of_the_turn_is_prolonged_and_then_answered(ends: str | None) -> None:
    thinker = Thinker(2, 3, ends=ends)
    sampler = BudgetForcing(num_candidates=1, max_thinking_tokens=50, num_waits=1, max_tokens=4)
    converse(sampler, PROBLEM, thinker)
    whole = " so so" + "Wait" + " so so so"
    assert thinker.sent == [("", 50), (" so soWait", 48), (whole + "</think>\n\n", 4)]


def test_no_word_is_put_in_where_nothing_is_left_to_think() -> None:
    thinker = Thinker(3)
    converse(BudgetForcing(num_candidates=1, max_thinking_tokens=3, num_waits=2, max_tokens=4), PROBLEM, thinker)
    assert thinker.sent == [("", 3), (" so so so</think>\n\n", 4)]


def test_a_cut_thought_that_ends_a_line_is_closed_without_another() -> None:
    def reply(request: Request) -> Completion:
        closed = "</think>" in "".join(piece.text for piece in request.prefix)
        return Completion("p", request.key, " ten" if closed else "so\n", "stop" if closed else "length", 1, 4)

    (candidate,) = converse(BudgetForcing(num_candidates=1, max_thinking_tokens=4, opens=True), PROBLEM, reply)
    assert candidate.reasoning == "so"
    assert candidate.text == "Final Answer: ten"


def sweep(**keys: object) -> BudgetSweep:
    return BudgetSweep(**{"budgets": [2, 4], "max_thinking_tokens": 9, "num_waits": 0, "num_candidates": 3, **keys})


def test_one_thought_answers_at_every_budget_for_the_tokens_of_the_largest() -> None:
    thinker = Thinker(100, answer="a b c d e")
    candidates = converse(sweep(forced_tokens=3), PROBLEM, thinker)
    close = "\n</think>\nFinal Answer:"
    assert [one for one in thinker.sent if close not in one[0]] == [("", 2), (" so" * 2, 2), (" so" * 4, 5)]
    assert [one for one in thinker.sent if close in one[0]] == [(" so" * n + close, 3) for n in (2, 4, 9)]
    assert [one.sampler for one in candidates] == ["budget_sweep/2", "budget_sweep/4", "budget_sweep/9"]
    assert [one.num_tokens for one in candidates] == [2 + 3, 4 + 3, 9 + 3]
    assert len({call for one in candidates for call in one.calls}) == 6  # 9 tokens of thought and 3 answers, no more


def test_a_thought_that_ended_before_has_one_answer_for_the_budgets_that_are_left() -> None:
    candidates = converse(sweep(num_candidates=6), PROBLEM, Thinker(3))
    assert [one.calls for one in candidates[1:3]] == [candidates[1].calls] * 2
    assert candidates[0].text == "Final Answer: ten"
    assert candidates[1].text == candidates[2].text == "ten"


def test_a_sweep_of_one_budget_is_budget_forcing() -> None:
    both = [
        converse(sampler, PROBLEM, Thinker(3, 5))
        for sampler in (
            sweep(budgets=[], num_waits=1, num_candidates=2, forced_tokens=40, max_tokens=40),
            BudgetForcing(max_thinking_tokens=9, num_waits=1, num_candidates=2, max_tokens=40),
        )
    ]
    assert [one.text for one in both[0]] == [one.text for one in both[1]]


@pytest.mark.parametrize("keys", [{"budgets": [4, 2]}, {"budgets": [2, 9]}, {"num_candidates": 4}])
def test_budgets_rise_and_candidates_are_whole_sweeps(keys: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must rise and end below|multiple of the 3 budgets"):
        sweep(**keys)
