import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.verifiers.math.extract import extract


def found(text: str) -> tuple[str, str] | None:
    answer = extract(text)
    return (answer.text, answer.rule) if answer else None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"First \boxed{3}, then \boxed{\frac{1}{2}}.", r"\frac{1}{2}"),
        (r"So \boxed{\{1, \{2\}\}} it is", r"\{1, \{2\}\}"),
        (r"\boxed {7}", "7"),
        (r"\fbox{8}", "8"),
        (r"\\boxed{9}", "9"),
        (r"it is \boxed 5.", "5"),
        (r"\boxed{\boxed{4}}", r"\boxed{4}"),
        ("\\boxed{\n  x = 1 \n}", "x = 1"),
        (r"The answer is 1, no: \boxed{2}. The answer is 3.", "2"),
    ],
)
def test_the_last_complete_box_is_the_answer(text: str, answer: str) -> None:
    assert found(text) == (answer, "boxed")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"\boxed{1} and then \boxed{\frac{1}{2}", "1"),
        (r"\boxed{2} and then \boxed{", "2"),
        (r"\boxed{3} and then \boxed{}", "3"),
        (r"\boxed{4} and then \boxed{  }", "4"),
        (r"\boxed{a + \boxed{5}", "5"),
        (r"} \boxed{6} }", "6"),
    ],
)
def test_a_box_that_is_cut_or_empty_is_passed_over(text: str, answer: str) -> None:
    assert found(text) == (answer, "boxed")


def test_half_a_box_is_never_taken_where_there_is_no_other() -> None:
    assert found(r"We get 12. So \boxed{\frac{3}{4") == ("12", "last_number")
    assert found(r"The answer is 12. \boxed{\frac{3}{4") == ("12", "phrase")
    assert found(r"\boxed{x + y") is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is 42.", "42"),
        ("the final answer is: $\\frac{1}{2}$.", r"\frac{1}{2}"),
        ("The answer is \\(x = 5\\) cm", "x = 5"),
        ("The answer is \\[ 7 \\]", "7"),
        ("**Answer:** 7", "7"),
        ("**Final Answer**: 8", "8"),
        ("**Final Answer:**\n\n9", "9"),
        ("Answer: 3.5. That was easy.", "3.5"),
        ("She earns 9 * 2 = 18.\n#### 18", "18"),
        ("#### 1,234\n", "1,234"),
        ("The answer is 5. Or rather, the answer is 6!", "6"),
        ("The answer is 18 dollars.", "18 dollars"),
        ("The answer is $18.", "$18"),
        ("The answer is $18, not the $5 that it was", "$18"),
        ("The answer is 5 because we have counted all of them twice", "5"),
        ("The answers are $1$ and $2$.", "1, 2"),
        ("The answer is 7\n\nThe answer is:", "7"),
        ("The answer is blue.", "blue"),
    ],
)
def test_then_what_the_last_answer_phrase_says(text: str, answer: str) -> None:
    assert found(text) == (answer, "phrase")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("First 3 and then 4 apples", "4"),
        ("It rose to 1,234,567.", "1,234,567"),
        ("a change of -3.5", "-3.5"),
        ("a change of \u22123", "\u22123"),
        ("10-4", "10-4"),
        ("that makes 50%", "50%"),
        ("so 3/4 of it", "3/4"),
        (r"so \frac{3}{4} of it", r"\frac{3}{4}"),
        ("at 12:00", "12:00"),
        ("it costs $18.", "$18"),
        ("about .5", ".5"),
        ("x2 is 6.", "6"),
        ("1e5 of them", "1e5"),
    ],
)
def test_else_the_last_number(text: str, answer: str) -> None:
    assert found(text) == (answer, "last_number")


@pytest.mark.parametrize(
    "frame",
    [
        "We use $n=3$ here.\n\nTherefore, the value is ${}$.",
        "The answer is ${}$.",
        "The answer is \\({}\\), which costs $5 and 3 days.",
        "The answer is {}.",
        "So \\boxed{{{}}} with $n=3$.",
        "<think>The answer is 3</think>\n\\[ {} \\]",
    ],
)
def test_every_math500_answer_is_handed_on_whole(math500_answers: list[str], frame: str) -> None:
    for answer in math500_answers:
        found = extract(frame.format(answer))
        assert found is not None, answer
        assert found.text.replace(" ", "") == answer.replace(" ", ""), (found, answer)


@pytest.mark.parametrize("text", ["", "   \n", "I do not know.", "\\boxed{}", "\x00\ud800", "{}}}{{\\"])
def test_a_text_without_an_answer_has_none(text: str) -> None:
    assert extract(text) is None


@given(st.text(alphabet=st.sampled_from("\\boxed{}$#*answer is:=0123456789,.-/%\n \ud800\x00"), max_size=200))
def test_no_text_raises_and_no_answer_is_blank(text: str) -> None:
    answer = extract(text)
    assert answer is None or answer.text.strip()


HOSTILE = {
    "open boxes": r"\boxed{" * 100_000,
    "nested boxes": r"\boxed{" * 60_000 + "}" * 60_000,
    "nested blank boxes": r"\boxed{ " * 60_000 + " }" * 60_000,
    "backslashes": "\\" * 1_000_000,
    "answer is": "the answer is " * 60_000,
    "answer, spaces": "answer" + " " * 1_000_000,
    "empty phrases": "answer:\n" * 100_000,
    "digits": "1" * 1_000_000,
    "groups": "1,234," * 200_000,
    "spaced numbers": "1 " * 1_000_000,
    "dollars": "answer is $" * 60_000,
    "hashes": "#" * 1_000_000,
    "stars": "*" * 1_000_000,
    "sums of money": "$5 and " * 150_000,
    "environments": r"\begin{align}" * 70_000,
    "brackets": "(" * 1_000_000,
    "equations": "x=1," * 250_000,
    "thoughts": "<think>" * 140_000,
    "tags": "<b>5</b>" * 120_000,
    "end tokens": "<|im_end|>" * 100_000,
    "rows": r"\[" + r"\begin{align}" * 70_000 + r"\]",
    "lines in a tag": "<answer>" + "$1$.\n" * 200_000 + "</answer>",
    "boxes side by side": r"\boxed{1}, " * 90_000,
    "room between boxes": r"\boxed{1}" + "\n" * 1_000_000 + r"\boxed{2}",
    "commas after phrase": "answer is" + ", and" * 200_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_megabytes_built_to_slow_it_down_are_read_in_linear_time(name: str) -> None:
    """Quadratic work on a million characters would take hours; the cap is only there to end such a test."""
    program = "import sys; from tts.verifiers.math.extract import extract; extract(sys.stdin.read())"
    subprocess.run([sys.executable, "-c", program], input=HOSTILE[name], text=True, check=True, timeout=60)
