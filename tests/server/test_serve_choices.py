"""Which candidates are the n best: answers that differ first, each chosen as the recipe chooses."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts.pipeline.judge import judge
from tts.pipeline.outcomes import Drawn, Solved, solution_of
from tts.protocols import Selector
from tts.scorers.likelihood import Likelihood
from tts.selectors.best_of_n import BestOfN
from tts.selectors.first import First
from tts.selectors.majority_vote import MajorityVote
from tts.server.replies import Choice, choices_of
from tts.tasks.math import MathTask
from tts.types import Candidate, Problem, ProblemRow, Reference

ROW = ProblemRow(Problem("p", "?", "math"), Reference(), 1)


def candidate(index: int, text: str, logprob: float | None = None) -> Candidate:
    reason = {"cut": "length", "failed": "error"}.get(text, "stop")
    error = "it failed" if reason == "error" else None
    return Candidate("p", index, text, None, reason, 1, 1, logprob, logprob, None, 0, "temperature", None, error)


def solved(selector: Selector, *candidates: Candidate) -> Solved:
    judged = judge(MathTask(), selector, ROW.problem, ROW.reference, candidates)
    return Solved(ROW, solution_of(ROW, Drawn(0, ROW, candidates), judged), candidates, judged)


def choices(selector: Selector, number: int, *candidates: Candidate) -> list[Choice]:
    return choices_of(selector, solved(selector, *candidates), number)


def told(found: list[Choice]) -> list[tuple[int, str | None]]:
    return [(one.candidate.index, one.answer) for one in found]


def says(answer: object) -> str:
    return f"so \\boxed{{{answer}}}"


def test_answers_that_differ_come_by_their_votes_then_those_that_agree_then_the_silent() -> None:
    texts = ["hmm", says(1), says(2), says(2), "cut", says("2/1"), "failed", says(1), says(3)]
    found = choices(MajorityVote(), 9, *(candidate(*one) for one in enumerate(texts)))
    assert told(found)[:3] == [(2, "2"), (1, "1"), (8, "3")]
    assert {one.candidate.index for one in found[3:5]} == {3, 5}
    assert told(found)[5:] == [(7, "1"), (0, None), (4, None)]
    assert [one.num_agreeing for one in found] == [3, 2, 1, 3, 3, 2, 0, 0]


def test_a_reranker_hands_in_its_next_answers_and_not_the_same_one_again() -> None:
    best = BestOfN(scorer=Likelihood())
    drawn = [candidate(0, says(1), -0.1), candidate(1, says(1), -0.2), candidate(2, says(2), -0.9)]
    assert told(choices(best, 2, *drawn)) == [(0, "1"), (2, "2")]
    assert told(choices(best, 3, *drawn)) == [(0, "1"), (2, "2"), (1, "1")]


def test_what_a_scorer_cannot_tell_of_comes_behind_what_it_can() -> None:
    best = BestOfN(scorer=Likelihood())
    drawn = [candidate(0, says(1)), candidate(1, says(2), -0.2), candidate(2, "hmm", -0.1)]
    assert told(choices(best, 3, *drawn)) == [(1, "2"), (0, "1"), (2, None)]


@pytest.mark.parametrize("selector", [MajorityVote(), First()])
def test_without_an_answer_the_likeliest_that_ended_stands_for_all(selector: Selector) -> None:
    drawn = [candidate(0, "cut", -0.1), candidate(1, "hmm", -0.9), candidate(2, "huh", -0.5), candidate(3, "failed")]
    assert told(choices(selector, 4, *drawn)) == [(2, None), (1, None), (0, None)]
    assert choices(selector, 4, candidate(0, "failed")) == []


@settings(derandomize=True, max_examples=60)
@given(
    texts=st.lists(st.sampled_from([says(1), says("2"), says("4/2"), says(3), "hmm", "cut", "failed"]), max_size=8),
    number=st.integers(1, 8),
)
def test_each_candidate_that_did_not_fail_is_there_once_and_fewer_are_the_first_of_more(
    texts: list[str], number: int
) -> None:
    drawn = [candidate(*one) for one in enumerate(texts)]
    whole, some = choices(MajorityVote(), len(texts) + 1, *drawn), choices(MajorityVote(), number, *drawn)
    assert sorted(one.candidate.index for one in whole) == [one for one, text in enumerate(texts) if text != "failed"]
    assert some == whole[:number]
    votes = [one.num_agreeing for one in whole]
    different = len({one.answer for one in whole} - {None, "4/2" if says("2") in texts else None})
    assert votes[:different] == sorted(votes[:different], reverse=True)
    if votes and votes[0]:
        assert whole[0].candidate.index == solved(MajorityVote(), *drawn).solution.selection.index
