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
    (r"f(x)=\sin x", r"y=\sin x"),
    (r"f(x)=\sin x", r"g(t)=\sin t"),
    (r"(x,y)=(\sin 1,2)", r"x=\sin 1, y=2"),
    (r"(x,y)=(\sin 1,2)", r"(\sin 1,2)"),
    (r"x=\sin 1, y=2", r"(\sin 1,2)"),
    (r"5\sin 1\text{ V}", r"5\sin 1"),
    (r"\sin 1 \cdot 10^6", r"\sin 1 \text{ million}"),
    (r"\{x \mid x > \ln 2\}", r"(\ln 2,\infty)"),
    (r"]\ln 2,\ln 3[", r"(\ln 2,\ln 3)"),
    (r"\begin{pmatrix}\ln 4\\1\end{pmatrix}", r"\begin{bmatrix}2\ln 2\\1\end{bmatrix}"),
    (r"\boldsymbol{\ln 4}", r"2\ln 2"),
    (r"\sin 30^\circ+1", "1.5"),
    ("e^{ix}", r"\cos x+i\sin x"),
    (r"\ln 4:1", r"2\ln2:1"),
    (r"x=\ln 4", r"2\ln 2"),
    (r"\frac{\sqrt{3}+\sqrt{2}}{\sqrt{3}-\sqrt{2}}", r"5+2\sqrt6"),
    (r"\ln\left|x\right|+C", r"C+\ln|x|"),
    (r"\frac{\ln 2}{2}\pi", r"\pi\ln\sqrt2"),
    (r"2^{\sqrt{2}}", r"2^{\sqrt{2}}\cdot 1"),
    (r"\arcsin x", r"\sin^{-1} x"),
    (r"(\sin 1, \infty)", r"x>\sin 1"),
    (r"\ln 2, \ln 3", r"\{\ln 3,\ln 2\}"),
    (r"\sqrt[4]{16}", "2"),
    (r"x=\pm\sqrt{1+\sqrt2}", r"\sqrt{1+\sqrt2},-\sqrt{1+\sqrt2}"),
    (r"\binom{n}{2}", r"\frac{n(n-1)}{2}"),
    (r"\sum_{k=0}^{n} 2^k", "2^{n+1}-1"),
    (r"y''+y=\sin x", r"y''+y-\sin x=0"),
    (r"\text{yes}", "Yes"),
    (r"\frac{dy}{dx}=2\sin x", r"2\sin x"),
    (r"\text{12 cm}", "12 cm"),
    (r"12\text{ cm and }13\text{ cm}", "12,13"),
    (r"4\pi\text{ cm}^2", r"4\pi"),
    (r"2 \text{ hours } 30 \text{ minutes}", r"2 \text{ hours } 30 \text{ minutes}"),
    ("A", r"\text{(A)}"),
]
DIFFERENT = [
    (r"x=\sin 1, y=2", r"(2,\sin 1)"),
    (r"\sin(2M)", r"\sin(2m)"),
    (r"\sin x=y'", r"\sin x=y"),
    (r"\ln x + y=3", "3"),
    (r"\sin 1\text{ V}", r"\sin 1\text{ mV}"),
    (r"\sin 1 \text{ million}", r"\sin 1"),
    (r"\ln A", r"\ln a"),
    ("e^{f'(x)}", "e^{f(x)}"),
    (r"x=\ln 4", r"y=2\ln 2"),
    (r"\ln|x|+C", r"\ln|x|+c"),
    (r"\sum_{k=0}^{N} 2^k", "2^{n+1}-1"),
    (r"y''+y=\sin x", r"y'+y=\sin x"),
    ("x=5,y=6", "x=6,y=5"),
    ("1:2", "1/2"),
    ("5:30", "17:30"),
    ("A", "a"),
    (r"\text{A}", r"\text{a}"),
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
