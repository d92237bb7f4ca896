import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.types import Answer, Grouping, Problem, Reference, Verdict
from tts.verifiers.text import TextVerifier

PROBLEMS = [Problem("a", "Who?", "text"), Problem("b", "Where?", "text")]


@pytest.mark.parametrize(
    ("text", "answer", "rule"),
    [
        ("<answer>Rome</answer> or <answer> Paris </answer> then <answer>", "Paris", "tag"),
        (r"Answer: Rome, so \boxed{\text{Paris}}", "Paris", "boxed"),
        ("The answer is Paris. It is the capital.", "Paris", "phrase"),
        ("The answer is Dr. Who.", "Dr. Who", "phrase"),
        ("**Answer:** St. Louis", "St. Louis", "phrase"),
        ("Answer:\nParis\nis right", "Paris", "phrase"),
        ("The answer is not Rome, the answer is Paris", "Paris", "phrase"),
        ("I think of\n\n  Paris  \n\n", "Paris", "last_line"),
    ],
)
def test_the_final_answer_is_found(text: str, answer: str, rule: str) -> None:
    assert TextVerifier().extract(PROBLEMS[0], text) == Answer(answer, rule)


@pytest.mark.parametrize("text", ["", " \n\t\n", "...", r"\boxed{}"[:0], "<answer></answer>"[:0]])
def test_a_blank_text_has_no_answer(text: str) -> None:
    assert TextVerifier().extract(PROBLEMS[0], text) is None


def test_case_spacing_and_outer_punctuation_do_not_count_but_words_do() -> None:
    texts = [
        "The  Hague",
        "the hague.",
        "«The\nHague»",
        "**THE HAGUE**",
        "Hague",
        "ﬁsh",
        "fish",
        "Straße",
        "STRASSE",
        "?",
    ]
    for problem in PROBLEMS:
        groups = TextVerifier().group(problem, [*(Answer(text, "tag") for text in texts), None])
        assert groups == Grouping((0, 0, 0, 0, 1, 2, 2, 3, 3, None, None))


def test_verdicts_come_in_the_order_of_the_answers() -> None:
    answers = [Answer("paris", "tag"), None, Answer("Rome", "tag")]
    passed, missing, wrong = Verdict("passed"), Verdict("failed", "no_answer"), Verdict("failed", "wrong_answer")
    for problem in PROBLEMS:
        assert TextVerifier().verify(problem, answers, Reference(" Paris.")) == [passed, missing, wrong]
        unknown = Verdict("undecided", "no_reference")
        assert TextVerifier().verify(problem, answers, Reference(None)) == [unknown, missing, unknown]


@given(st.sampled_from(PROBLEMS), st.text(max_size=100))
def test_an_extracted_answer_passes_against_itself(problem: Problem, text: str) -> None:
    answer = TextVerifier().extract(problem, text)
    if answer:
        assert TextVerifier().verify(problem, [answer], Reference(answer.text)) == [Verdict("passed")]


HOSTILE = [
    "<answer>" * 100_000,
    "answer is " * 100_000,
    "answer" + " " * 1_000_000,
    r"\text{" * 100_000,
    "\n" * 1_000_000,
    "**a" * 300_000,
]


@pytest.mark.parametrize("index", range(len(HOSTILE)))
def test_megabytes_built_to_slow_it_down_are_read_in_linear_time(index: int) -> None:
    """Quadratic work on a million characters would take hours; the cap is only there to end such a test."""
    program = (
        "import sys; from tts.types import Problem; from tts.verifiers.text import TextVerifier as Text;"
        "from tts.verifiers.choice import ChoiceVerifier as Choice; text = sys.stdin.read();"
        "[verifier.extract(Problem('p', '?', 'text'), text) for verifier in (Text(), Choice())]"
    )
    subprocess.run([sys.executable, "-c", program], input=HOSTILE[index], text=True, check=True, timeout=60)
