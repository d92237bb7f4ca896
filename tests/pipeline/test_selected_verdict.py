from __future__ import annotations

import pytest

from tts.pipeline.judge import judge
from tts.selectors.majority_vote import MajorityVote
from tts.selectors.oracle import Oracle
from tts.tasks.text import TextTask
from tts.types import Candidate, FinishReason, Problem, Reference, Verdict

PROBLEM = Problem("p", "Which city?", "text")


def candidate(index: int, text: str, finish_reason: FinishReason = "stop") -> Candidate:
    return Candidate("p", index, text, None, finish_reason, 1, 1, None, None, None, 0, "s")


def judged(*candidates: Candidate, reference: str | None = "Rome", selector=None):
    return judge(TextTask(), selector or MajorityVote(), PROBLEM, Reference(reference), candidates)


def test_where_all_are_undecided_for_different_reasons_so_is_what_is_handed_in() -> None:
    found = judged(candidate(0, "Ro", "length"), candidate(1, "R", "cancelled"), candidate(2, "Ro", "length"))
    assert found.verdict == Verdict(
        "undecided", "cancelled", "no candidate finished with an answer: 2 truncated, 1 cancelled"
    )  # the cut ones are wrong within their limit: what is open is the third
    assert found.selection.index is None
    assert judged(candidate(0, "Ro", "length"), candidate(1, "R", "length")).verdict.reason == "truncated"


def test_abandoned_ones_leave_nothing_open_as_cut_ones_do() -> None:
    gone = [candidate(index, "Rome", "abandoned") for index in range(2)]
    found = judged(*gone, candidate(2, "Ro", "length"))
    assert found.verdicts[0] == Verdict("undecided", "abandoned")
    assert found.nodes == (None, None, None)
    assert found.verdict == Verdict(
        "undecided", "abandoned", "no candidate finished with an answer: 2 abandoned, 1 truncated"
    )
    assert judged(*gone, candidate(2, "R", "cancelled")).verdict.reason == "cancelled"
    assert judged(*gone, candidate(2, "Oslo")).selection.answer == "Oslo"


def test_where_one_finished_without_an_answer_handing_in_nothing_is_failed() -> None:
    found = judged(candidate(0, "Ro", "length"), candidate(1, " "))
    assert (found.verdict.status, found.verdict.reason) == ("failed", "no_answer")


@pytest.mark.parametrize("texts", [("Rome", "Oslo"), (" ", " "), ("Rome", " ")])
def test_without_a_reference_nothing_is_graded(texts: tuple[str, str]) -> None:
    found = judged(*(candidate(index, text) for index, text in enumerate(texts)), reference=None)
    assert {verdict.reason for verdict in found.verdicts} == {"no_reference"}
    assert found.verdict.status == "undecided"


def test_without_a_reference_it_is_told_what_became_of_the_candidates() -> None:
    found = judged(candidate(0, "Ro", "length"), candidate(1, "Ro", "length"), candidate(2, " "), reference=None)
    assert found.verdict == Verdict(
        "undecided", "no_reference", "no candidate finished with an answer: 2 truncated, 1 no_answer"
    )


def test_a_bound_sees_the_verdicts_and_no_other_selector_does() -> None:
    drawn = (candidate(0, "Oslo"), candidate(1, "Oslo"), candidate(2, "Rome"))
    assert judged(*drawn).selection.answer == "Oslo"
    assert judged(*drawn, selector=Oracle()).selection.answer == "Rome"
