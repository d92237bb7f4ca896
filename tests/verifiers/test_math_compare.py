import pytest

from tts.problems.rows import judgeable
from tts.types import Answer, Problem, ProblemRow, Reference, RowError, Verdict
from tts.verifiers.math import MathVerifier
from tts.verifiers.text import TextVerifier

EQUAL = [
    (r"\sin(\pi/6)", "1/2"),
    (r"\cot x", r"\frac{\cos x}{\sin x}"),
    (r"\sqrt{3+2\sqrt{2}}", r"1+\sqrt2"),
    (r"\frac{1}{1+\sqrt2}", r"\sqrt2-1"),
    (r"\frac{x^2-1}{x-1}", "x+1"),
    (r"\log_2 8", "3"),
    (r"\sqrt{x}\sqrt{x}", "x"),
    (r"\sqrt[3]{8}", "2"),
    (r"2^{1/3}", r"\sqrt[3]{2}"),
    (r"e^{i\pi}", "-1"),
    (r"\binom{5}{2}", "10"),
    (r"1.5\sin x", r"\frac{3}{2}\sin x"),
    (r"5x - 7y + 11z + 4 = 0", "-5x+7y-11z-4=0"),
    ("2x-y=-3", "y = 2x+3"),
    ("y=2x", "x=y/2"),
    ("x^2+y^2=1", "2x^2+2y^2-2=0"),
    (r"(\sqrt{3+2\sqrt2}, 1)", r"(1+\sqrt{2}, 1)"),
    (r"\{\sin 1, 2\}", r"\{2,\sin 1\}"),
    (r"[\sin 0, 1]", "[0,1]"),
    (r"x > \sin 1", r"(\sin 1, \infty)"),
    (r"x=\sin 1", r"\sin(1)"),
]
DIFFERENT = [
    ("1/2004!", "1/2006!"),
    ("x/2004!", "x/2006!"),
    ("1+1/2004!", "1+1/2006!"),
    (r"(1/2004!, 1)", "(1/2006!, 1)"),
    (r"\{1, 1/2004!\}", r"\{1, 1/2006!\}"),
    (r"\begin{pmatrix} 1/2004! \\ 1 \end{pmatrix}", r"\begin{pmatrix} 1/2006! \\ 1 \end{pmatrix}"),
    (r"10^{-50}\sin 1", r"10^{-51}\sin 1"),
    (r"\sin 1 + 10^{-60}", r"\sin 1"),
    ("0.333333", r"\frac{\sqrt[3]{1}}{3}"),
    (r"\sqrt{2}^{\sqrt 2}", "1.632527"),
    (r"\cot x", r"\tan x"),
    (r"[\sin 0, 1]", "(0,1)"),
    (r"x=\sin 1", r"y=\sin 1"),
    ("5x - 7y + 11z + 4 = 0", "y=2x"),
    ("x^2+y^2=1", "x^2+y^2=2"),
    (r"\frac{1}{0}", "0"),
]


def verdict(verifier: MathVerifier, problem: Problem, answer: str, reference: str) -> Verdict:
    return verifier.verify(problem, [Answer(answer, "boxed")], Reference(reference))[0]


@pytest.mark.parametrize(("left", "right"), EQUAL)
def test_equal_formulas_pass_whichever_is_the_reference(
    math_verifier: MathVerifier, math_problem: Problem, left: str, right: str
) -> None:
    assert verdict(math_verifier, math_problem, left, right) == Verdict("passed")
    assert verdict(math_verifier, math_problem, right, left) == Verdict("passed")


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_different_formulas_fail_whichever_is_the_reference(
    math_verifier: MathVerifier, math_problem: Problem, left: str, right: str
) -> None:
    assert verdict(math_verifier, math_problem, left, right) == Verdict("failed", "wrong_answer")
    assert verdict(math_verifier, math_problem, right, left) == Verdict("failed", "wrong_answer")


@pytest.mark.parametrize("garbage", [r"\frac{1}{", "\x00", "\ud800", "5\x00", r"\foo{", ")(", "^_^"])
def test_an_unparsable_answer_fails_and_an_unparsable_reference_decides_nothing(
    math_verifier: MathVerifier, math_problem: Problem, garbage: str
) -> None:
    assert verdict(math_verifier, math_problem, garbage, "5") == Verdict("failed", "unparsable_answer")
    assert verdict(math_verifier, math_problem, "5", garbage) == Verdict("undecided", "unparsable_reference")
    assert verdict(math_verifier, math_problem, garbage, garbage) == Verdict("passed")


@pytest.mark.parametrize("reference", [r"\frac{1}{", ")(", r"\foo{"])
def test_a_reference_that_cannot_be_read_is_an_error_of_its_row(
    math_verifier: MathVerifier, math_problem: Problem, reference: str
) -> None:
    error = judgeable(ProblemRow(math_problem, Reference(reference), 3), math_verifier)
    assert isinstance(error, RowError)
    assert (error.line, error.problem_id, error.error_type) == (3, "p", "bad_answer")


@pytest.mark.parametrize(
    "reference", [None, "12", r"\sin 1", "Mary Ann", r"So it is \boxed{2}.", "y'=2\\sin y", "5 miles"]
)
def test_a_reference_that_can_be_read_changes_no_row(
    math_verifier: MathVerifier, math_problem: Problem, reference: str | None
) -> None:
    row = ProblemRow(math_problem, Reference(reference), 3)
    assert judgeable(row, math_verifier) is row
    assert judgeable(row, TextVerifier()) is row
