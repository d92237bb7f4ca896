from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.verifiers.math.form import equal, read

SAME = [
    ("1/2", "0.5"),
    (r"\frac12", r"\dfrac{1}{2}"),
    (r"\frac 59", r"\tfrac{5}{9}"),
    (r"-\frac{1}{2}", r"\frac{-1}{2}"),
    ("½", "0.5"),
    ("3½", "7/2"),
    (r"1\frac{4}{5}", "9/5"),
    (r"137 \frac{1}{2}", "137.5"),
    ("-1\\frac12", "-1.5"),
    ("1 1/2", "1.5"),
    ("10{,}000", "10000"),
    ("10,000", "10000"),
    ("1 000", "1000"),
    (r"10\,000", "10000"),
    (r"11,\! 111,\! 111,\! 100", "11111111100"),
    ("033", "33"),
    ("0.10", ".1"),
    ("7.", "7"),
    ("0", "0.0"),
    ("5 miles per hour", "5 mph"),
    ("We  cannot know.", "we cannot know"),
    ("-0", "0"),
    ("1e3", "1000"),
    (r"3 \times 10^5", "300000"),
    ("10^{-3}", "0.001"),
    ("2^10", "1024"),
    ("5!", "120"),
    ("٣", "3"),
    ("\u22125", "-5"),
    (r"50\%", "50"),
    (r"50\%", "0.5"),
    ("50 percent", "50%"),
    (r"\$32,\!348", "32348"),
    ("$18", "18 dollars"),
    ("$-5$", "-5"),
    (r"5.4 \text{ cents}", "5.4"),
    (r"15\mbox{ cm}^2", "15 cm^2"),
    ("5 centimeters", r"5\text{ cm}"),
    (r"864 \mbox{ inches}^2", "864 square inches"),
    ("5 apples", "5"),
    (r"\frac{270}7\text{ degrees}", r"\frac{270}{7}^\circ"),
    ("90°", "90"),
    (r"90^{\circ}", "90 degrees"),
    ("52_8", "52"),
    ("4210_{5}", "4210_5"),
    ("12:00", "12:00"),
    (r"\sqrt{2}/2", r"\frac{1}{\sqrt 2}"),
    (r"2\sqrt{3}", r"\sqrt{12}"),
    (r"11\sqrt2", r"\sqrt{242}"),
    ("3^{1/2}", "√3"),
    (r"\sqrt{-4}", "2i"),
    ("3 + 4i", "4i+3"),
    ("i^2", "-1"),
    ("x^2+1", "1+x^2"),
    ("(a+5)(b+2)", "ab+2a+5b+10"),
    (r"\frac{11+9a}{20}", r"\frac{11}{20}+\frac{9}{20}a"),
    (r"\frac{20000}{\pi}", "20000/π"),
    ("xy", "yx"),
    ("x=5", "5"),
    ("x = 2 = 2", "2"),
    ("x=1+1=2", "2"),
    ("f(x) = 2x+3", "3+2x"),
    ("5 = x", "x = 5"),
    ("x=2", "2x=4"),
    ("2x-y+3=0", "y=2x+3"),
    ("y=2x", "x=y/2"),
    ("(x, y) = (1, 2)", "(1,2)"),
    (r"x \in (-\infty,-1)\cup(1,\infty)", r"x<-1 \text{ or } x>1"),
    (r"0.\overline{3}", "1/3"),
    (r"0.1\overline{6}", "1/6"),
    (r"\langle 1,2\rangle", "(1,2)"),
    ("sqrt(12)", "2sqrt(3)"),
    ("x**2*pi", r"\pi x^2"),
    ("5\\ ", "5"),
    ("x=1, x=2", "2,1"),
    ("x=1,y=2", "y=2,x=1"),
    ("5x - 7y + 4 = 0", "14y = 10x + 8"),
    ("x^2+y^2=1", "2x^2+2y^2-2=0"),
    ("xy=2", "y=2/x"),
    (r"[0,2]\cup[1,3]", "[0,3]"),
    ("1=2x+3y", "2x+3y=1"),
    ("2+3=5", "5"),
    (r"x \in [-2,7]", "[-2,7]"),
    (r"-2\le x\leq 7", "[-2,7]"),
    ("x>3", r"(3,\infty)"),
    ("3<x", r"x \gt 3"),
    (r"7 \ge x > 2", "(2,7]"),
    (r"\{1,2\}", "2, 1"),
    (r"\{78,123\}", "123, 78"),
    (r"5 \text{ or } 6", "6 and 5"),
    (r"\pm 2", "-2, 2"),
    (r"\{1\pm\sqrt{5},-2\}", r"1+\sqrt5,-2,1-\sqrt5"),
    (r"\{5\}", "5"),
    (r"\emptyset", r"\{\}"),
    (r"\left( 3, \frac{\pi}{2} \right)", r"(3,\pi/2)"),
    ("(3,100)", "(3, 100)"),
    (r"(-\infty, 2) \cup (3, \infty)", r"(3,\infty)\cup(-\infty,2)"),
    (r"\begin{pmatrix} -7 \\ 16 \end{pmatrix}", r"\begin{bmatrix}-7\\16\end{bmatrix}"),
    (r"\text{Monday}", "monday"),
    (r"\text{(C)}", "C"),
    ("no", r"\text{No}"),
    ("inf", r"\infty"),
    (r"\boxed{7}", "$7$"),
    ("{{7}}", "**7**"),
]
DIFFERENT = [
    ("0.333", "1/3"),
    ("0.3333333333333333333333", r"\frac{1}{3}"),
    ("12:00", "12"),
    ("3:4", "3/4"),
    ("12:30 pm", "12:30 am"),
    ("x=0", "y=0"),
    ("x=1,y=2", "x=2,y=1"),
    ("2x+3y=1", "2x+3y=2"),
    ("2x+3y=1", "3x+2y=1"),
    ("f(x) = 2x+3", "k=3+2x"),
    ("(x,y)=(1,2)", "(a,b)=(1,2)"),
    ("x<-1", "x>-1"),
    ("1=2x+3y", "2x+3y=2"),
    ("(1,2)", "[1,2]"),
    ("(1,2]", "[1,2)"),
    ("(1,2)", "(2,1)"),
    ("(1,2)", "1,2"),
    ("(3,100)", "3100"),
    ("1, 2", "12"),
    ("101_2", "5"),
    ("52_8", "52_9"),
    ("5 cm", "5 m"),
    (r"5\text{ cm}", r"5\text{ cm}^2"),
    (r"90^\circ", r"90\%"),
    (r"50\%", "5"),
    ("ABC", "ACB"),
    (r"\text{even}", r"\text{odd}"),
    (r"\infty", r"-\infty"),
    ("x>3", r"x \ge 3"),
    ("x>3", "y>3"),
    ("5", "-5"),
    (r"\sqrt{2}", "1.41421356"),
    ("i", "1"),
    (r"2\pi", "6.28318"),
    ("nan", "0"),
    ("The value of x is 5, as y = 5", "5"),
    ("we cannot know it from this", "5"),
    ("R^2-r^2", "0"),
    ("5x - 7y + 4 = 0", "5"),
    ("y=2x^2", "x=y/2"),
]
UNDECIDED = [
    ("9^{9^{9^9}}", "1"),
    ("1/2004!", "1/2006!"),
    (r"\frac{1}{0}", "0"),
    (r"\cot x", "x"),
    ("f(2)", "2f"),
    (r"\sin x=y", r"y-\sin x=0"),
    (r"[0,2]\cup[\ln 2,3]", "[0,3]"),
    ("1e999999999", "5"),
    (r"\frac{1}{", "1"),
    ("1 2", "12"),
    ("{" * 3000 + "5" + "}" * 3000, "5"),
]


@pytest.mark.parametrize(("left", "right"), SAME)
def test_two_spellings_of_one_answer_are_equal_without_parsing(left: str, right: str) -> None:
    assert equal(read(left), read(right)) is True
    assert equal(read(right), read(left)) is True


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_different_answers_are_told_apart_without_parsing(left: str, right: str) -> None:
    assert equal(read(left), read(right)) is False
    assert equal(read(right), read(left)) is False


@pytest.mark.parametrize(("left", "right"), UNDECIDED)
def test_what_has_no_exact_form_is_left_to_sympy(left: str, right: str) -> None:
    assert equal(read(left), read(right)) is None
    assert equal(read(left), read(left)) is True


@given(st.fractions(), st.fractions())
def test_fractions_are_equal_exactly_when_python_says_so(left: Fraction, right: Fraction) -> None:
    for one, other in ((left, right), (left, left)):
        spellings = [
            f"{one}",
            rf"\frac{{{one.numerator}}}{{{one.denominator}}}",
            rf"${one.numerator} / {one.denominator}$",
        ]
        for spelling in spellings:
            assert equal(read(spelling), read(str(other))) is (one == other)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6), st.fractions(max_denominator=1000))
def test_decimals_are_exact_fractions(decimal: object, fraction: Fraction) -> None:
    assert equal(read(str(decimal)), read(str(fraction))) is (Fraction(str(decimal)) == fraction)


@given(st.integers(-(10**30), 10**30))
def test_thousands_separators_change_nothing(number: int) -> None:
    for spelling in (
        f"{number:,}",
        f"{number:,}".replace(",", "{,}"),
        f"{number:,}".replace(",", r"\,"),
        f"0{abs(number)}",
    ):
        assert equal(read(spelling), read(str(abs(number) if spelling.startswith("0") else number))) is True


@given(st.integers(1, 10**9), st.integers(1, 10**4))
def test_a_root_keeps_its_value_when_a_square_is_taken_out(radicand: int, outside: int) -> None:
    inside = radicand * outside**2
    expected = True if inside <= 10**9 or radicand <= 10**9 else None
    found = equal(read(rf"\sqrt{{{inside}}}"), read(rf"{outside}\sqrt{{{radicand}}}"))
    assert found is expected or found is None
    assert found is not False


def test_integers_of_any_length_are_compared() -> None:
    nines = "9" * 50_000
    assert equal(read(nines), read("000" + nines)) is True
    assert equal(read(nines), read("-" + nines)) is False
    assert equal(read(nines), read(nines[:-1] + "8")) is False
    assert equal(read("1" + "0" * 5000), read("10^{5000}")) is True


def test_an_absurdly_long_answer_equals_itself_and_nothing_is_known_else() -> None:
    long = "x+" * 20_000 + "1"
    assert equal(read(long), read(long)) is True
    assert equal(read(long), read("5")) is None
    assert read(long).too_long


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_answer_raises_and_equality_is_symmetric(left: str, right: str) -> None:
    assert equal(read(left), read(right)) is equal(read(right), read(left))
    assert equal(read(left), read(left)) is True


COMMANDS = [
    r"\frac",
    r"\sqrt",
    r"\{",
    r"\}",
    r"\text{cm}",
    r"\%",
    r"^\circ",
    r"\le ",
    r"\in ",
    r"\cup ",
    r"\pm ",
    r"\pi ",
]
LATEX = st.lists(st.sampled_from([*COMMANDS, *"{}()[],=<^_+-/0123.xyi!$:e "]), max_size=14).map("".join)


@given(LATEX, LATEX)
def test_no_formula_raises_however_malformed(left: str, right: str) -> None:
    assert equal(read(left), read(right)) is equal(read(right), read(left))


def test_every_math500_answer_has_an_exact_reading_or_is_known_not_to(math500_answers: list[str]) -> None:
    assert [answer for answer in math500_answers if read(answer).key is None] == [r"\cot x"]


def test_every_math500_answer_equals_its_own_spellings(math500_answers: list[str]) -> None:
    for answer in math500_answers:
        for variant in (answer.replace(r"\frac", r"\dfrac"), f"$ {answer} $", rf"\boxed{{{answer}}}", f"{answer}."):
            assert equal(read(answer), read(variant)) is True, (answer, variant)


def test_different_math500_answers_are_merged_only_where_they_are_the_same(math500_answers: list[str]) -> None:
    forms = [(answer, read(answer)) for answer in math500_answers]
    merged = {(a, b) for i, (a, left) in enumerate(forms) for b, right in forms[:i] if equal(left, right)}
    assert merged == {
        ("1,-2", "-2,1"),
        ("10080", r"10,\!080"),
        (r"120^\circ", "120"),
        (r"15\mbox{ cm}^2", "15"),
        (r"2\sqrt{5}", r"2 \sqrt{5}"),
        (r"30^\circ", "30"),
        (r"36^\circ", "36"),
        ("40_9", "40"),
        (r"90^\circ", "90"),
        (r"\$36", "36"),
        (r"\frac{1}{4}", r"\frac14"),
        ("x=5", "5"),
        (r"\pi", r"180^\circ"),
    }
