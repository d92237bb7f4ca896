import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.types import Answer, Grouping, Problem, Reference, Verdict
from tts.verifiers.choice import ChoiceVerifier

CITIES = Problem("p", "Which?", "choice", choices=("Paris", "Rome", "London", "Berlin"))
NUMBERS = Problem("q", "How many?", "choice", choices=("3", "5", "5", "A"))
IN_PROMPT = Problem("r", "Which? A) … J) …", "choice")


@pytest.mark.parametrize(
    ("text", "letter", "rule"),
    [
        (r"so \boxed{C}", "C", "boxed"),
        (r"so \boxed{\text{(D)}}", "D", "boxed"),
        (r"so \boxed{D. Berlin}", "D", "boxed"),
        (r"so \boxed{Rome}", "B", "boxed"),
        (r"Answer: A, no, \boxed{B}", "B", "boxed"),
        ("The answer is (C).", "C", "phrase"),
        ("The answer is: C", "C", "phrase"),
        ("answer: c", "C", "phrase"),
        ("the answer is a", "A", "phrase"),
        ("**Answer:** B", "B", "phrase"),
        ("Answer: **D) Berlin**", "D", "phrase"),
        ("Answer: $C$", "C", "phrase"),
        (r"Answer: \(C\)", "C", "phrase"),
        ("The answer is\n\nC", "C", "phrase"),
        ("The answer is A. Wait, the answer is B.", "B", "phrase"),
        ("The correct answer is option B because of it", "B", "phrase"),
        ("The answer is A because of it", "A", "phrase"),
        ("The answer is Rome.", "B", "phrase"),
        ("I take **C** here", "C", "bold"),
        ("Well\nC", "C", "last_line"),
        ("Well\n(b)", "B", "last_line"),
        ("Well\nd. Berlin\n\n", "D", "last_line"),
        ("Well\nlondon", "C", "last_line"),
    ],
)
def test_the_stated_letter_is_found(text: str, letter: str, rule: str) -> None:
    assert ChoiceVerifier().extract(CITIES, text) == Answer(letter, rule)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I do not know",
        "The answer is a city in France",
        "The answer is A city",
        "The answer is F",
        r"\boxed{E}",
        r"\boxed{7}",
        "The answer is Madrid.",
        "The answer is I think hard to say",
        "a dog",
        "\x00\ud800",
    ],
)
def test_an_english_word_or_a_letter_without_an_option_is_no_answer(text: str) -> None:
    assert ChoiceVerifier().extract(CITIES, text) is None


def test_the_text_of_an_option_counts_only_where_it_names_one() -> None:
    assert ChoiceVerifier().extract(NUMBERS, r"\boxed{3}") == Answer("A", "boxed")
    assert ChoiceVerifier().extract(NUMBERS, r"\boxed{5}") is None
    assert ChoiceVerifier().extract(NUMBERS, r"\boxed{A}") == Answer("A", "boxed")  # a letter first, a text then


def test_options_that_stand_in_the_prompt_leave_every_letter_open() -> None:
    assert ChoiceVerifier().extract(IN_PROMPT, "Answer: (J)") == Answer("J", "phrase")


def test_answers_are_grouped_by_the_option_they_name() -> None:
    texts = ["C", "(c)", "London", "A", "Madrid", " "]
    answers = [Answer(text, "boxed") for text in texts]
    assert ChoiceVerifier().group(CITIES, [*answers, None]) == Grouping((0, 0, 0, 1, 2, None, None))


@pytest.mark.parametrize("reference", ["C", "c", "(C)", "London", r"\boxed{C}", "C. London"])
def test_the_reference_is_a_letter_or_an_options_text(reference: str) -> None:
    answers = [Answer("C", "boxed"), Answer("A", "boxed"), None]
    assert ChoiceVerifier().verify(CITIES, answers, Reference(reference)) == [
        Verdict("passed"),
        Verdict("failed", "wrong_answer"),
        Verdict("failed", "no_answer"),
    ]


@pytest.mark.parametrize(
    ("reference", "reason"),
    [(None, "no_reference"), ("", "no_reference"), ("2", "unparsable_reference"), ("F", "unparsable_reference")],
)
def test_a_reference_that_names_no_option_decides_nothing(reference: str | None, reason: str) -> None:
    for problem in (CITIES, Problem("s", "?", "choice", choices=("x", "y"))):
        verdicts = ChoiceVerifier().verify(problem, [Answer("A", "boxed"), None], Reference(reference))
        assert verdicts == [Verdict("undecided", reason), Verdict("failed", "no_answer")]


@given(st.sampled_from([CITIES, NUMBERS, IN_PROMPT]), st.text(max_size=100))
def test_no_text_raises_and_answers_are_letters_of_options(problem: Problem, text: str) -> None:
    answer = ChoiceVerifier().extract(problem, text)
    assert answer is None or answer.text in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(problem.choices) or 26]
