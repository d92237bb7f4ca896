"""What holds for all answers of a kind, and for the gold answers of public benchmarks."""

import datetime
import json
import random
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import assume, given, seed, settings
from hypothesis import strategies as st

from tts.types import Answer, Problem, Reference
from tts.verifiers.math import MathVerifier
from tts.verifiers.math.form import equal, read
from tts.verifiers.math.units import SYMBOLS
from tts.verifiers.math.words import SMALL, TENS, in_words

PROBLEM = Problem("p", "?", "math")
LETTERS = st.sampled_from("abckmnrstuvwxyzABCKMNRSTUVXYZ")
NUMBERS = st.integers(2, 99_999)
TOKEN = re.compile(r"\\(?:text|mbox|begin|end) ?\{[^{}]*\}|\\[a-zA-Z]+|[A-Za-z]")
SCALED = ("{} million", "{} thousand", "{} hundred", r"{}\text{{ billion}}", r"{} \text{{ million}}")
PRESENTATIONS = (
    *("${}$", "$$ {} $$", r"\({}\)", r"\[ {} \]", "**{}**", "`{}`", "{}.", " {}\n", "<b>{}</b>", "{{{}}}"),
    *(r"\boxed{{{}}}", r"\fbox{{{}}}", r"\boxed{{\boxed{{{}}}}}", r"\mathbf{{{}}}", r"\boldsymbol{{{}}}", r"\bm{{{}}}"),
    *(r"\underline{{{}}}", r"\overbrace{{{}}}", r"\textcolor{{red}}{{{}}}", r"\color{{blue}}{{{}}}", r"\Large{{{}}}"),
    *(r"\colorbox{{yellow}}{{{}}}", r"\ensuremath{{{}}}", r"\displaystyle {}", r"\large {}", r"\, {}", r"{} \quad"),
    *("= {}", r"\approx {}", r"\therefore {}", r"\hspace{{1em}}{}", r"\phantom{{x}}{}"),
)


def same(left: str, right: str) -> bool | None:
    """Whether two answers are equal without parsing, the same both ways round."""
    assert equal(read(left), read(right)) is equal(read(right), read(left))
    return equal(read(left), read(right))


@seed(1)
@settings(max_examples=60)
@given(LETTERS, st.integers(2, 9), st.sampled_from(["{}^2+{}", "{}+{}y", r"\frac{{{}}}{{{}}}", "{}={}"]))
def test_a_letter_is_not_its_other_case(letter: str, number: int, formula: str) -> None:
    assert same(formula.format(letter, number), formula.format(letter.swapcase(), number)) is not True


@seed(2)
@settings(max_examples=60)
@given(LETTERS, st.integers(1, 3), st.integers(2, 9))
def test_a_letter_is_not_its_derivative(letter: str, primes: int, number: int) -> None:
    for formula in ("{}+{}", "{}={}", "{}^2-{}"):
        assert same(formula.format(letter, number), formula.format(letter + "'" * primes, number)) is False


@seed(3)
@settings(max_examples=60)
@given(st.integers(2, 9), st.integers(2, 9), st.integers(-20, 20), st.sampled_from("xyz"))
def test_no_side_of_an_equation_is_its_value(a: int, b: int, c: int, letter: str) -> None:
    left = f"{a}{letter}+{b}w"
    assert same(f"{left}={c}", str(c)) is False
    assert same(f"{left}={c}", left) is False
    assert same(f"{left}={c}", f"{3 * a}{letter}+{3 * b}w-{3 * c}=0") is True


@seed(4)
@settings(max_examples=100)
@given(NUMBERS, st.sampled_from(sorted(SYMBOLS)), st.sampled_from(sorted(SYMBOLS)))
def test_two_units_agree_only_where_they_are_one(number: int, left: str, right: str) -> None:
    one, other = rf"{number}\text{{ {left}}}", rf"{number}\text{{ {right}}}"
    assert same(one, other) is (SYMBOLS[left] == SYMBOLS[right])
    assert same(one, str(number)) is True


@seed(5)
@settings(max_examples=60)
@given(st.text(alphabet="abdeilmnoprstw", min_size=4, max_size=9), st.randoms())
def test_a_word_is_not_its_letters_in_another_order(word: str, shuffler: random.Random) -> None:
    mixed = "".join(shuffler.sample(word, len(word)))
    assume(in_words(word) is None)
    assert same(rf"\text{{{word}}}", rf"\text{{{mixed}}}") is (word == mixed)
    assert same(word, mixed) is (word == mixed)


@seed(6)
@settings(max_examples=40)
@given(st.dates(datetime.date(1000, 1, 1), datetime.date(2999, 12, 31)))
def test_a_date_is_itself_however_it_is_padded_and_no_number(date: datetime.date) -> None:
    assert same(str(date), f"{date.year}/{date.month}/{date.day}") is True
    assert same(str(date), str(date.year - date.month - date.day)) is False


@seed(7)
@settings(max_examples=100)
@given(
    st.lists(
        st.sampled_from([r"\frac", r"\sqrt", "-", "(", "{", "|", r"\sin", r"\text{ab}", "2", "!", "^"]), max_size=3
    )
)
def test_no_repetition_raises(pieces: list[str]) -> None:
    text = "5" + "".join(pieces) * 900
    assert same(text, text) is True
    assert same(text, "7") is not True


@seed(8)
@settings(max_examples=60)
@given(st.integers(2, 99), st.integers(2, 9), st.integers(-12, 12))
def test_plain_notation_is_latex(number: int, power: int, exponent: int) -> None:
    assert same(f"sqrt({number})", rf"\sqrt{{{number}}}") is True
    assert same(f"x^({power})*{number}", rf"{number}x^{{{power}}}") is True
    assert same(f"{number} x 10^{exponent}", rf"{number}\times 10^{{{exponent}}}") is True


@seed(9)
@settings(max_examples=200)
@given(st.sampled_from([r"\frac{3}{4}", "x+1", "(1,2)", "12", r"90^\circ", r"5\text{ cm}", "x=3"]), st.data())
def test_presentations_within_each_other_change_nothing(answer: str, data: st.DataObject) -> None:
    shown = answer
    for frame in data.draw(st.lists(st.sampled_from(PRESENTATIONS[10:24]), max_size=3)):
        shown = frame.format(shown)
    assert same(answer, shown) is True, shown


@seed(10)
@settings(max_examples=60)
@given(NUMBERS)
def test_an_ordinal_is_its_number(number: int) -> None:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10 if number % 100 not in (11, 12, 13) else 0, "th")
    for spelling in (f"{number}{ending}", rf"{number}^{{\text{{{ending}}}}}", rf"{number}\text{{{ending}}}"):
        assert same(spelling, str(number)) is True


@seed(11)
@settings(max_examples=100)
@given(st.integers(1, 99), st.integers(1, 9), st.sampled_from([("thousand", 10**3), ("million", 10**6), ("dozen", 12)]))
def test_numbers_in_words_and_with_scale_words_are_numbers(small: int, big: int, scale: tuple[str, int]) -> None:
    units = {number: word for word, number in SMALL.items()}
    words = units.get(small) or f"{TENS[small // 10 - 2]}-{units[small % 10]}"
    assert same(words, str(small)) is True
    assert same(f"{small} {scale[0]}", str(small * scale[1])) is True
    assert same(f"{units[big]} {scale[0]}", str(big * scale[1])) is True
    assert same(f"{small} {scale[0]}", str(small)) is False


@seed(12)
@settings(max_examples=60)
@given(st.integers(0, 10**9), st.integers(1, 99))
def test_a_decimal_comma_is_a_point(whole: int, cents: int) -> None:
    value = f"{whole}.{cents:02}"
    assert same(f"{whole},{cents:02}", value) is True
    assert same(f"{whole:,}".replace(",", ".") + f",{cents:02}", value) is True
    assert same(f"{whole:,}".replace(",", " ") + f",{cents:02}", value) is True


@seed(13)
@settings(max_examples=60)
@given(NUMBERS, st.sampled_from(["m", "s", "N", "L", "kg", "cm", "km", "mV"]))
def test_a_unit_is_a_unit_however_it_is_set(number: int, unit: str) -> None:
    reference = rf"{number}\text{{ {unit}}}"
    for spelling in (f"{number} {unit}", rf"{number}\,\mathrm{{{unit}}}", rf"{number}~\mathrm{{{unit}}}", f"{number}"):
        assert same(spelling, reference) is True


@seed(14)
@settings(max_examples=60)
@given(st.integers(-9, 9), st.integers(-9, 9))
def test_named_values_are_their_tuple_in_the_order_of_the_names(x: int, y: int) -> None:
    for spelling in (f"x={x}, y={y}", f"y={y}, x={x}", rf"x={x} \text{{ and }} y={y}", f"({x},{y})"):
        assert same(f"(x,y)=({x},{y})", spelling) is True
    assert same(f"x={x}, y={y}", f"({y},{x})") is (x == y)


@seed(15)
@settings(max_examples=60)
@given(st.integers(2, 99), st.sampled_from("fgh"), st.sampled_from("xtns"))
def test_a_function_is_its_rule_whatever_it_is_called(slope: int, name: str, argument: str) -> None:
    rule = f"f(x)={slope}x^2+1"
    assert same(rule, f"{name}({argument})={slope}{argument}^2+1") is True
    assert same(rule, f"y={slope}x^2+1") is True
    assert same(rule, rf"{name}(x)={slope}x^2+1 \text{{ for all }} x") is True
    assert same(rule, f"{name}({argument})={slope + 1}{argument}^2+1") is False


@seed(16)
@settings(max_examples=60)
@given(st.integers(1, 359))
def test_degrees_are_parts_of_pi(degrees: int) -> None:
    part = Fraction(degrees, 180)
    radians = rf"\frac{{{part.numerator}\pi}}{{{part.denominator}}}"
    assert same(rf"{degrees}^\circ", radians) is True
    assert same(str(degrees), radians) is False


@seed(17)
@settings(max_examples=40)
@given(
    st.integers(-9, 9), st.integers(2, 9), st.sampled_from([r"\mathrm{{{}}}", r"\text{{{}}}", r"\operatorname{{{}}}"])
)
def test_upright_e_and_i_are_e_and_i(a: int, b: int, upright: str) -> None:
    for letter in "ei":
        assert same(f"{a}+{b}{letter}", f"{a}+{b}{upright.format(letter)}") is True


@seed(18)
@settings(max_examples=40)
@given(st.integers(2, 30), st.sampled_from([3, 5, 7]))
def test_the_odd_root_of_a_negative_number_is_real(number: int, degree: int) -> None:
    assert same(rf"\sqrt[{degree}]{{-{number**degree}}}", f"-{number}") is True


@seed(19)
@settings(max_examples=60)
@given(st.integers(-20, 20), st.integers(1, 20), st.booleans(), st.booleans())
def test_an_interval_is_its_builder_and_iso_form(start: int, size: int, closed: bool, end_closed: bool) -> None:
    end = start + size
    span = f"{'[' if closed else '('}{start},{end}{']' if end_closed else ')'}"
    signs = r"\le" if closed else "<", r"\le" if end_closed else "<"
    assert same(span, rf"\{{x \mid {start} {signs[0]} x {signs[1]} {end}\}}") is True
    assert same(span, f"{'[' if closed else ']'}{start},{end}{']' if end_closed else '['}") is True
    assert same(span, rf"({start},{end})\cup[{start},{end}]") is (closed and end_closed)


@seed(20)
@settings(max_examples=60)
@given(st.integers(1, 50), st.integers(1, 9), st.integers(2, 9), st.integers(1, 999))
def test_ratios_are_reduced_and_periods_are_fractions(a: int, b: int, factor: int, period: int) -> None:
    assert same(f"{a}:{b}", f"{a * factor} : {b * factor}") is True
    assert same(f"{a}:{b}", f"{a * factor}:{b * factor + 1}") is False
    assert same(f"0.({period:03})", f"{period}/999") is True
    assert same(rf"0.\overline{{{period:03}}}", f"{period}/999") is True


@seed(21)
@settings(max_examples=60)
@given(st.sampled_from("abcABCDEFGHxyz"), st.integers(1, 30), st.integers(1, 99), st.integers(1, 9))
def test_an_index_and_what_stands_before_a_period_count(letter: str, index: int, whole: int, period: int) -> None:
    assert same(f"{letter}_{{{index}}}", letter) is False
    assert same(f"{whole}.({period})", f"{9 * whole + period}/9") is True


@seed(22)
@settings(max_examples=60)
@given(st.lists(st.integers(-9, 9), min_size=2, max_size=3, unique=True))
def test_several_excluded_points_are_all_excluded(points: list[int]) -> None:
    spelt = rf"\mathbb{{R}}\setminus\{{{', '.join(map(str, points))}\}}"
    assert same(", ".join(rf"x \ne {point}" for point in points), spelt) is True
    assert same(", ".join(rf"x \ne {point}" for point in points), r"\mathbb{R}") is False
    assert same(rf"x \ne {points[0]}", spelt) is False


@seed(40)
@settings(max_examples=5, deadline=None)
@given(st.integers(2, 50))
def test_a_group_of_many_curves_is_decided_without_a_parser(first: int) -> None:
    with MathVerifier() as verifier:
        answers = [Answer(f"x^2+{k}y^2=1", "boxed") for k in range(first, first + 32)]
        verifier.group(PROBLEM, answers)
        assert verifier._pool is None


@pytest.fixture(scope="module")
def golds(shared_data: Path) -> list[str]:
    """The answers of all public sets."""
    found = set()
    for name in ("math500", "aime_2024", "aime_2025", "gsm8k_test"):
        for line in (shared_data / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
            found.add(str(json.loads(line)["answer"]).split("####")[-1].strip())
    return sorted(found)


def passes(verifier: MathVerifier, reference: str, *answers: str) -> list[bool]:
    stated = [Answer(answer, "boxed") for answer in answers]
    return [verdict.status == "passed" for verdict in verifier.verify(PROBLEM, stated, Reference(reference))]


def with_case_swapped(gold: str) -> Iterator[str]:
    for token in TOKEN.finditer(gold):
        if len(token[0]) == 1:
            yield gold[: token.start()] + token[0].swapcase() + gold[token.end() :]


def with_prime(gold: str) -> Iterator[str]:
    for token in TOKEN.finditer(gold):
        if len(token[0]) == 1:
            yield f"{gold[: token.end()]}'{gold[token.end() :]}"


def with_scale(gold: str) -> Iterator[str]:
    if gold.strip("0."):
        yield from (scaled.format(gold) for scaled in SCALED)


def sides(gold: str) -> Iterator[str]:
    left, equals, right = gold.partition("=")
    if equals:
        yield left
        if not re.fullmatch(r" ?[a-z] ?", left):
            yield right


@pytest.mark.parametrize("change", [with_case_swapped, with_prime, with_scale, sides])
def test_no_gold_answer_passes_when_it_is_changed(math_verifier: MathVerifier, golds: list[str], change) -> None:  # type: ignore[no-untyped-def]  # one of the generators above
    changed = [(gold, wrong) for gold in golds for wrong in change(gold)]
    assert changed
    assert [pair for pair in changed if passes(math_verifier, *pair)[0] or passes(math_verifier, *pair[::-1])[0]] == []


def test_every_gold_answer_passes_in_all_presentations(math_verifier: MathVerifier, golds: list[str]) -> None:
    numbers = [gold for gold in golds if gold.isdigit()]
    for gold in [gold for gold in golds if not gold.isdigit()] + random.Random(0).sample(numbers, 40):
        shown = [frame.format(gold) for frame in PRESENTATIONS]
        assert len(shown) >= 30
        assert [text for text, right in zip(shown, passes(math_verifier, gold, *shown), strict=True) if not right] == []
