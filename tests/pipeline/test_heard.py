"""What is said of models that judge."""

from __future__ import annotations

from tts.pipeline.heard import Heard
from tts.types import Score, Selection


def chosen(fallback: str = "") -> Selection:
    return Selection(0, "4", (1.0,), 1, 0, fallback)


def test_nothing_is_said_where_nothing_was_asked() -> None:
    heard = Heard()
    heard.add(chosen(), [Score(1.0), Score(None, "no score")])
    assert list(heard.notes(1)) == []


def test_problems_in_which_the_plain_vote_chose_are_counted_with_the_commonest_reason() -> None:
    heard = Heard()
    for why in ("it timed out", "it timed out", "nonsense"):
        heard.add(chosen(f"the scorer could tell nothing of 3 of 4 candidates with an answer: {why}"), [])
    heard.add(chosen(), [])
    assert list(heard.notes(4)) == [
        "the scorer could tell too little of 3 of 4 problems, so the plain vote chose there; "
        "mostly because it timed out"
    ]


def test_the_bias_for_a_place_has_an_interval() -> None:
    heard = Heard()
    each = {"asked": 2, "unread": 0, "comparisons": 1, "undecided": 1, "ordered": 2, "first_preferred": 2}
    for _ in range(15):
        heard.add(chosen(), [Score(1.0, figures=each), Score(0.0)])
    assert list(heard.notes(15)) == [
        "the judge preferred what stood first in 100 % of 30 questions (95 % interval 89 to 100 %; 50 % is no bias). "
        "Only a win in both orders counts: 15 of 15 comparisons undecided"
    ]


def test_words_that_could_not_be_read_are_counted() -> None:
    heard = Heard()
    heard.add(chosen(), [Score(1.0, figures={"asked": 8, "unread": 3})])
    assert list(heard.notes(1)) == [
        "a judge's word could not be read 3 times in 8 questions: it counts as «cannot tell»"
    ]
