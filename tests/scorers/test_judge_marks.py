"""How a judge's reply is read: a mark where it names one clearly, else nothing, and never a guess."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts.engines.reward.expected_score import SCALES
from tts.scorers.asking import read_mark
from tts.types import Completion

TAGS = ("<think>", "</think>")


def read(text: str, marks: tuple[str, ...] = SCALES["1-5"], **keys: object) -> str | None:
    return read_mark(Completion("p", "0", text, "stop", 0, 0, **keys), marks, TAGS)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("4", "4"),
        (" **4**.\n", "4"),
        ("4/5", "4"),
        ("4 out of 5", "4"),
        ("Score: 3", "3"),
        ("The steps are right, but 2 + 2 is not 5.\n\n**Score:** 2/5", "2"),
        ("First I thought the score is 5. Then I saw the slip. Final score: 1.", "1"),
        ("My rating is 4.", "4"),
        ("<think>a 1, surely a score: 1</think>\n5", "5"),
        ("\n\n 4", "4"),
        ("Score: 5. The correct answer is 4.", "5"),
        ("I give it a score of 4.", "4"),
        ("- 4", "4"),
    ],
)
def test_a_mark_alone_or_named_is_read(text: str, mark: str) -> None:
    assert read(text) == mark


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I cannot judge this.",
        "0",
        "6",
        "45",
        "4.5",
        "4/10",
        "8 out of 10",
        "Score: 4/10",
        "Score: 4.5",
        "Score: 45",
        "4 or 5",
        "Score: 4 or 5",
        "At first a score: 5. No. Final score: 0",
        "There are 5 steps and 3 of them are right",
        "<think>the score: 4",
        "five",
        "-4",
        "−4",
        "Score: -3",
        "4 %",
        "Score: 4%",
        "3-4",
        "Score: 3-4",
        "Score: 3 to 4",
        "1e5",
        "The correct answer is 4.",
        "Answer: 4",
    ],
)
def test_what_names_no_mark_or_not_clearly_is_not_read(text: str) -> None:
    assert read(text) is None


@pytest.mark.parametrize("finish", ["length", "cancelled"])
def test_a_reply_that_was_cut_is_not_read(finish: str) -> None:
    assert read_mark(Completion("p", "0", "Score: 4", finish, 0, 0), SCALES["1-5"], TAGS) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        (" A", "A"),
        ("A.", "A"),
        ("\n(b)", "B"),
        ("a", "A"),
        ("[[B]]", "B"),
        ("\\boxed{A}", "A"),
        ("<response_B>", "B"),
        ("Winner: Response A\n\nThe other one fails.", "A"),
        ("The better response is B.", "B"),
        ("Final answer: a", "A"),
        ("B, since it is right", "B"),
        ("Response A is better than response B.", None),
        ("Response A is worse.", None),
        ("The correct answer is B, as A says.", None),
        ("Correct answer: B", None),
        ("A: good. B: better.", None),
        ("A/B", None),
        ("Answer: A/B", None),
        ("Answer: A or B", None),
        ("AB", None),
        ("C", None),
        ("A good one", None),
    ],
)
def test_one_of_two_is_read_whatever_stands_around_it_and_not_where_it_is_not_clear(
    text: str, mark: str | None
) -> None:
    assert read(text, ("A", "B")) == mark


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("yes", "Yes"),
        (" NO.", "No"),
        ("No, since 2 + 2 is not 5.", "No"),
        ("Answer: Yes", "Yes"),
        ("The final answer is no.", "No"),
        ("No, wait. Yes.", None),
        ("Yes and no", None),
        ("None", None),
        ("Yesterday", None),
        ("Verdict: not clear", None),
    ],
)
def test_words_are_read_like_letters(text: str, mark: str | None) -> None:
    assert read(text, ("Yes", "No")) == mark


@given(st.text(max_size=12), st.sampled_from(["A", "B"]), st.text(max_size=12))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_no_reply_that_does_not_name_a_mark_is_read_as_one(before: str, one: str, after: str) -> None:
    other = {"A": "B", "B": "A"}[one]
    text = f"{before}{one}{after}".replace(other, "").replace(other.lower(), "")
    assert read(text, ("A", "B")) in (None, one)


def test_an_article_is_no_mark_and_a_letter_is() -> None:
    assert read("A good answer, I would say", SCALES["A-T"]) is None
    assert read("My answer: A good one", SCALES["A-T"]) is None
    assert read("The mark is C, all in all", SCALES["A-T"]) == "C"
    assert read("T", SCALES["A-T"]) == "T"
    assert read("Answer: B", ("A", "B")) == "B"
    assert read("Both are good", ("A", "B")) is None
