r"""The structure of an answer: its normal LaTeX → a key that equal answers share, and no others do.

Tuples, sets, intervals, unions, matrices, ratios, times, dates and words hold the keys of their parts. Those that are
expressions are left to `leaf`: exact arithmetic, where numbers are Fractions and sums of terms are sets of terms (see
`polynomial`), or sympy's (see `compare`), which knows functions, too. So both read every structure alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from fractions import Fraction
from typing import Any, TypeAlias

from tts.verifiers.math.normal import matching, split
from tts.verifiers.math.polynomial import NoExactForm
from tts.verifiers.math.reader import MAX_DIGITS, number, polynomial
from tts.verifiers.math.words import is_scaled

Leaf: TypeAlias = Callable[[str], Hashable]
Span: TypeAlias = tuple[Any, bool, Any, bool]  # start, whether it belongs to the set, end, whether that does

INTEGER = re.compile(r"[-+]?\d+")
MAX_PLAIN = 1000
NUMERAL = r"-?(?:[1-9]\d{0,2}(?:,\d{3}){1,99}|\d{1,99})(?:\.\d{1,99})?"
PLAIN = re.compile(rf"\\boxed\{{({NUMERAL})\}}|({NUMERAL})", re.ASCII)
FRACTION = re.compile(r"\\[dtc]?frac ?\{(-?\d{1,99})\} ?\{(\d{1,99})\}|(-?\d{1,99})/(\d{1,99})", re.ASCII)
DECIMAL = re.compile(r"-?\d{1,99}\.\d{1,99}", re.ASCII)
RATIO = re.compile(r"(-?)(?:\\frac\{(-?\d{1,999})\}\{(\d{1,999})\}|(\d{1,999})/(\d{1,999}))")
THOUSANDS = re.compile(r"(?<![\d.])[1-9]\d{0,2}(?:(?:,\d{3})+(?![\d,])|(?: \d{3})+(?! ?\d))")
DECIMAL_COMMA = re.compile(r"-?\d+,\d+(?!\d)[^,;()=]*")
DECIMAL_COMMAS = re.compile(r"\( ?-?\d+(?:,\d+)?(?: ?; ?-?\d+(?:,\d+)?)+ ?\)")
MIXED = re.compile(
    r"(?<![\d./^_])(\d{1,999})"
    r"(?: ?\\frac ?(?:(\d) ?(\d)|\{(\d{1,999})\} ?\{(\d{1,999})\})| (\d{1,999})/(\d{1,999})(?!\d))"
)
REPEATING = re.compile(r"(?<!\d)(\d*)\.(\d*)\\(?:overline|bar|dot) ?(?:\{(\d+)\}|(\d))")
CLOCK = re.compile(r"\d{1,2} ?: ?[0-5]\d(?: ?: ?[0-5]\d)?")
DATE = re.compile(r"([12]\d{3})([-/.])(\d{1,2})\2(\d{1,2})|(\d{1,2})([-/.])(\d{1,2})\6([12]\d{3})")
MATRIX = re.compile(r"\\begin ?\{([pbB]?matrix)\}((?:(?!\\begin).)*)\\end ?\{\1\}")
WORDS = re.compile(r"[^\W\d_]+(?:[ '-]{1,3}[^\W\d_]+)*\.?")
SHORT_WORD = re.compile(r"\w*o\w*|[^aeiou][aeiou][^aeiou]|\w*[ei]\w+|\w+[ei]\w*|dry|cry|try|fry|fly|sky|shy|why|gym")
TWO_LETTERS = frozenset(re.findall("..", "isitinifhewemehinoonofortosogodookohoxup"))
FIGURE = re.compile(
    r"m?(\\(?:angle|triangle|odot|square)|\\(?:overline|overrightarrow|widehat|overset)) ?\{?([A-Z]+)\}?"
)
CHEMICAL = re.compile(r"\d*(?:(?:[A-Z][a-z]?|\([A-Za-z\d]+\))\d*)+(?:(?:\^\d+)?[+-])?")
IN_TEXT = re.compile(r"\\text ?\{([^{}]*)\}")
BARE_WORD = re.compile(r"(?<![\\a-zA-Z{])[a-zA-Z]{2,}(?![a-zA-Z}])")
SEPARATORS = re.compile(r"[ '-]+")
INFINITE = re.compile(r"([-+]?) ?(?:\\infty|infinity|inf|oo)")
COMMA, EQUALS, COLON, ROWS, CELLS, CUP, MINUS = (
    re.compile(pattern)
    for pattern in (
        "[,;]",
        "=",
        ":",
        r"\\\\",
        "&",
        r"\\cup(?![a-z])",
        r"\\setminus(?![a-z])|\\(?= ?\\\{)|(?<=mathbb\{R\}) ?-(?= ?\\\{)",
    )
)
BRACKETS = ("(", "[", r"\{", "{")
EMPTY, INFINITY, MINUS_INFINITY = ("empty",), ("infinity", False), ("infinity", True)
REALS = ("tuple", (MINUS_INFINITY, INFINITY))
POSITIVE = ("tuple", (Fraction(0), INFINITY))
NO_SOLUTION = re.compile(
    r"(?:there (?:is|are|exists?) )?no (?:such |real |valid |integer |integral |positive |possible |other )*"
    r"(?:solutions?|values?|roots?|numbers?|integers?|[a-z])(?: exists?| in (?:the )?(?:reals|real numbers))?"
)
NAMED_SETS: dict[str, Hashable] = {
    r"\emptyset": EMPTY, r"\{\}": EMPTY, r"\{ \}": EMPTY, r"\mathbb{R}": REALS,
    **dict.fromkeys(("all real numbers", "all reals", "real numbers", "the real numbers", "all real values"), REALS),
    **dict.fromkeys(("the set of all real numbers", "the set of real numbers", "any real number", "reals"), REALS),
    **dict.fromkeys(("no solution", "no solutions", "no real solution", "no real solutions", "none"), EMPTY),
    **dict.fromkeys(("positive real numbers", "all positive real numbers"), POSITIVE),
    **dict.fromkeys(("positive reals", "all positive reals"), POSITIVE),
    **dict.fromkeys((r"\mathbb{R}^+", r"\mathbb{R}^{+}", r"\mathbb{R}_{>0}", r"\mathbb{R}_{> 0}"), POSITIVE),
    **{f"{these}{numbers}": ("numbers", letter) for these in ("", "all ", "the ", "the set of ", "the set of all ")
       for numbers, letter in (("integers", "Z"), ("natural numbers", "N"), ("rational numbers", "Q"),
                               ("complex numbers", "C"))},
    **{rf"\mathbb{{{letter}}}": ("numbers", letter) for letter in "ZNQC"},
    "dne": ("word", "does not exist"),
    **dict.fromkeys(("keine lösung", "pas de solution", "aucune solution", "sin solución", "ninguna solución"), EMPTY),
    **dict.fromkeys(("nessuna soluzione", "sem solução", "нет решений", "无解", "無解", "解なし", "해가 없다"), EMPTY),
    **dict.fromkeys(("empty set", "the empty set", "no such values", "no roots", "no real roots"), EMPTY),
}  # fmt: skip
MAX_DEPTH = 40
NEAR = 1e-9


def plain_number(text: str) -> Fraction | tuple[str, bool, str] | None:
    r"""Return the key of an integer, decimal or fraction, as most are: `12,345`, `\boxed{12}`, `\dfrac{1}{2}`."""
    if INTEGER.fullmatch(text) and text.isascii():
        return integer(text)
    if decimal := PLAIN.fullmatch(text):
        return Fraction((decimal[1] or decimal[2]).replace(",", ""))
    if (fraction := FRACTION.fullmatch(text)) and int(fraction[2] or fraction[4]):
        return Fraction(int(fraction[1] or fraction[3]), int(fraction[2] or fraction[4]))
    return None


def key(text: str, leaf: Leaf | None = None) -> Hashable | None:
    """Return the key of a normalised answer, or None where it has no reading. Equal keys: equal answers."""
    if INTEGER.fullmatch(text):
        return integer(text)
    if DECIMAL.fullmatch(text):
        return Fraction(text)
    ratio = RATIO.fullmatch(text)
    if ratio and int(ratio[3] or ratio[5]):
        value = Fraction(int(ratio[2] or ratio[4]), int(ratio[3] or ratio[5]))
        return -value if ratio[1] else value
    try:
        if mixed := MIXED.fullmatch(text):
            return _mixed_value(mixed)
        text = REPEATING.sub(_repeating, text)
        if not any(bracket in text for bracket in ("(", "[", r"\{")):  # within these a comma may separate
            text = THOUSANDS.sub(lambda number: re.sub("[, ]", "", number[0]), text)
        return _Structure(leaf or _polynomial_key).value(MIXED.sub(_mixed, text), MAX_DEPTH)
    except NoExactForm:
        return None


def others(text: str) -> list[Hashable]:
    r"""Return the keys of what else `text` may mean: 2,74 a decimal, 12:16 a ratio, `xy` a word, H_2O a formula."""
    found: list[Hashable] = []
    if DECIMAL_COMMA.fullmatch(text) and not THOUSANDS.match(text.lstrip("-")):
        found.append(key(text.replace(",", ".")))
    if DECIMAL_COMMAS.fullmatch(text):
        found.append(key(text.replace(",", ".")))
    if CLOCK.fullmatch(text):
        found.append(_Structure(_polynomial_key).ratio(text))
    if text.isalpha() and 1 < len(text) <= 3:
        found.append(("word", text))
    plain = re.sub(r"\\(?:text|ce)(?![a-z])|[_{} ]|\^(?=[{ ]*[+-])", "", text)
    if CHEMICAL.fullmatch(plain) and len(plain) > 1 and not plain.isalpha():
        found.append(("chemical", plain))
    return [other for other in found if other is not None]


def integer(digits: str) -> Fraction | tuple[str, bool, str]:
    """Return the key of an integer of any length; beyond MAX_DIGITS, where converting is slow, its digits."""
    if len(digits) < 1000:
        return Fraction(int(digits))
    negative, stripped = digits[0] == "-", digits.lstrip("+-").lstrip("0") or "0"
    if len(stripped) > MAX_DIGITS:
        return ("digits", negative, stripped)
    return -number(stripped) if negative else number(stripped)


def collect(keys: Sequence[Hashable]) -> Hashable:
    """Return the key of an unordered collection of `keys`; sets among them are merged, one alone is itself."""
    members: set[Hashable] = set()
    for key in keys:
        members |= key[1] if isinstance(key, tuple) and key[0] == "set" else {key}
    return ("set", frozenset(members)) if len(members) > 1 else members.pop()


def ranges(keys: Sequence[Hashable]) -> Hashable | None:
    """Return the key of several ranges of one variable, side by side; None where their ends have no order.

    Where together they would be the whole line («x > 0, x < 1») what they have in common is meant.
    """
    try:
        spans = [span for key in keys for span in _spans(key)]
        together = _united(spans)
        if together == REALS and len(spans) == len(keys) > 1:
            start, end = (
                max(spans, key=lambda s: (_order(s[0]), not s[1])),
                min(spans, key=lambda s: (_order(s[2]), s[3])),
            )
            return _interval((start[0], start[1], end[2], end[3]))
    except NoExactForm:
        return None
    return together


def is_number(key: Hashable) -> bool:
    """Tell whether `key` is that of a rational number."""
    return isinstance(key, Fraction)


def prose(text: str) -> Hashable | None:
    """Return the key of a sentence, which is no formula though it may hold one; None for anything else."""
    plain = IN_TEXT.sub(r" \1 ", text)
    words = BARE_WORD.findall(plain)
    long = len(words) > 2 and len(max(words, key=len)) > 3
    return ("word", " ".join(plain.casefold().split())) if long else None


def equation(text: str) -> Hashable | None:
    """Return the key of an equation between polynomials, whatever it was multiplied by; None for any other text."""
    sides = split(text, EQUALS)
    if len(sides) != 2 or is_scaled(text):
        return None
    try:
        return (polynomial(sides[0]) - polynomial(sides[1])).relation()
    except NoExactForm:
        return None


def word(text: str) -> Hashable | None:
    """Return the key of a word (`even`, `Mary Ann`, `no`); None for a product of variables (`xy`, `abc`, `p - q`).

    Letters in capitals (`CAB`) keep their case and their order.
    """
    if not WORDS.fullmatch(text) or INFINITE.fullmatch(text):
        return None
    longest, small = max(SEPARATORS.split(text), key=len), text.casefold()
    short = SHORT_WORD.fullmatch(small) if len(text) == 3 else small in TWO_LETTERS
    named = len(text) == 3 and text[0].isupper() and text[1:].islower()
    if len(longest) > 3 or not text.isascii() or (len(text) in (2, 3) and short) or named:
        return ("word", " ".join(small.split()))
    return ("word", text) if len(longest) > 1 and text.isupper() else None


def _polynomial_key(text: str) -> Hashable:
    return polynomial(text).key()


def _repeating(decimal: re.Match[str]) -> str:
    r"""Return 0.1\overline{6} as the fraction (16 − 1)/90."""
    whole, fixed, *periods = decimal.groups()
    whole = whole or "0"
    period = periods[0] or periods[1]
    bottom = "9" * len(period) + "0" * len(fixed)
    return rf"(\frac{{{whole}{fixed}{period}-{whole}{fixed}}}{{{bottom}}})"


def _mixed(match: re.Match[str]) -> str:
    """Return a mixed number as a sum; where the fraction is improper the writer meant something else."""
    value = _mixed_value(match)
    return rf"(\frac{{{value.numerator}}}{{{value.denominator}}})"


def _mixed_value(match: re.Match[str]) -> Fraction:
    whole, top, bottom = (int(part) for part in match.groups() if part)
    if not 0 < top < bottom:
        raise NoExactForm
    return whole + Fraction(top, bottom)


SINGLE: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Hashable]], ...] = (
    (CLOCK, lambda time: ("clock", tuple(map(int, time[0].split(":"))))),
    (DATE, lambda date: ("date", tuple(int(part) for part in date.groups() if part and part.isdigit()))),
    (INFINITE, lambda sign: MINUS_INFINITY if sign[1] == "-" else INFINITY),
    (FIGURE, lambda figure: ("word", figure[2] if figure[1].startswith(r"\over") else figure[1] + figure[2])),
)


class _Structure:
    """Reads what is not an expression, and hands expressions to `leaf`. Every method may raise NoExactForm."""

    def __init__(self, leaf: Leaf) -> None:
        self.leaf = leaf

    def value(self, text: str, depth: int) -> Hashable:
        """Return the key of anything: a bare list is a set, `(a, b)` a pair (or an open interval)."""
        if not text or not depth:
            raise NoExactForm
        items = split(text, COMMA)
        if len(items) > 1:
            return collect([self.value(item, depth - 1) for item in items])
        quoted = IN_TEXT.fullmatch(text)
        if quoted:
            text = quoted[1].strip()
        told = (IN_TEXT.sub(r"\1", text) if "text" in text else text).casefold()
        named = NAMED_SETS.get(text if text[:1] == "\\" else told) or (
            EMPTY if "no" in told[:16] and NO_SOLUTION.fullmatch(told) else None
        )
        if quoted and text.isalpha() and len(text) > 1:
            return named or word(text) or ("word", text)
        found = named or word(text)
        for read in (self._special, self._bracketed, self._expression):
            found = read(text, depth - 1) if found is None else found  # not «or»: the key 0 is one
        return found

    def ratio(self, text: str) -> Hashable | None:
        """Return the key of `6:8`, whatever it was multiplied by."""
        parts = split(text, COLON)
        if len(parts) == 1 or not all(parts):
            return None
        try:
            return ("ratio", tuple(self.leaf(f"({part})/({parts[0]})") for part in parts))
        except NoExactForm:
            return ("ratio", tuple(self.leaf(part) for part in parts))

    def _special(self, text: str, depth: int) -> Hashable | None:
        """Return the key of a time, date, ratio, ±∞, a figure, a matrix or a union; None for anything else."""
        for pattern, build in SINGLE:
            if found := pattern.fullmatch(text):
                return build(found)
        if matrix := MATRIX.fullmatch(text):
            rows = [split(row, CELLS) for row in split(matrix[2], ROWS) if row]
            return ("matrix", tuple(tuple(self.value(cell, depth) for cell in row) for row in rows))
        if len(whole := split(text, MINUS)) == 2:
            return _without(self.value(whole[0], depth), self.value(whole[1], depth))
        if r"\cup" in text:
            return _united([span for part in split(text, CUP) for span in _spans(self.value(part, depth))])
        return self.ratio(text) if ":" in text else None

    def _bracketed(self, text: str, depth: int) -> Hashable | None:
        r"""Return the key of `(…)`, `[…]`, `\{…\}` or `{…}` around the whole of `text`, else None."""
        opening = next((bracket for bracket in BRACKETS if text.startswith(bracket)), "")
        if not opening or matching(text, len(opening) - 1) != len(text) - 1:
            return None
        closing = r"\}" if text.endswith(r"\}") else text[-1]
        inner = text[len(opening) : -len(closing)].strip()
        items = split(inner, COMMA)
        if opening + closing == r"\{\}":
            return collect([self.value(item, depth) for item in items])
        if opening + closing == "{}":
            return self.value(inner, depth)
        if len(items) == 1:
            return self.value(inner, depth) if opening + closing == "()" else None
        keys = tuple(self.value(item, depth) for item in items)
        return ("tuple", keys) if opening + closing == "()" else ("interval", keys, opening, closing)

    def _expression(self, text: str, depth: int) -> Hashable:
        if r"\pm" not in text and r"\mp" not in text:
            return self.leaf(text)
        plus = text.replace(r"\pm", "+").replace(r"\mp", "-")
        minus = text.replace(r"\pm", "-").replace(r"\mp", "+")
        return collect([self.value(plus, depth), self.value(minus, depth)])


def _spans(key: Any) -> list[Span]:
    match key:
        case ("union" | "set", members):
            return [_span(member) for member in members]
        case ("empty",):
            return []
    return [_span(key)]


def _span(key: Any) -> Span:
    """Return an interval, or a number as the interval that holds it alone."""
    match key:
        case ("tuple", (start, end)):
            return (start, False, end, False)
        case ("interval", (start, end), opening, closing):
            return (start, opening == "[", end, closing == "]")
    _order(key)
    return (key, True, key, True)


def _order(key: Any) -> float:
    """Return what ends are sorted by: the value, near enough."""
    if key in (INFINITY, MINUS_INFINITY):
        return float("-inf") if key[1] else float("inf")
    try:
        if not isinstance(key, frozenset):
            return float(key)
        return float(sum(float(factor) * radicand**0.5 * _symbols(powers) for (radicand, powers), factor in key))
    except (TypeError, ValueError, OverflowError) as error:
        raise NoExactForm from error


def _symbols(powers: tuple[tuple[str, int], ...]) -> float:
    values = {r"\pi": 3.141592653589793, "e": 2.718281828459045}
    product = 1.0
    for name, exponent in powers:
        if name not in values:
            raise NoExactForm
        product *= values[name] ** exponent
    return product


def _united(spans: Sequence[Span]) -> Hashable:
    """Return the key of a union: spans that overlap, or meet in a point that one of them holds, are one."""
    merged: list[Span] = []
    for span in sorted(spans, key=lambda span: (_order(span[0]), not span[1])):
        if merged:
            start, closed, end, end_closed = merged[-1]
            gap = _order(span[0]) - _order(end)
            if span[0] != end and abs(gap) < NEAR:
                raise NoExactForm  # too near to be told apart
            if gap < 0 or (span[0] == end and (end_closed or span[1])):
                last = max((end, end_closed), (span[2], span[3]), key=lambda part: (_order(part[0]), part[1]))
                merged[-1] = (start, closed, *last)
                continue
        merged.append(span)
    if not merged:
        return EMPTY
    kind = "set" if all(span[0] == span[2] for span in merged) else "union"
    return _interval(merged[0]) if len(merged) == 1 else (kind, frozenset(map(_interval, merged)))


def _interval(span: Span) -> Hashable:
    start, closed, end, end_closed = span
    if start == end:
        return start if closed and end_closed else EMPTY
    if not closed and not end_closed:
        return ("tuple", (start, end))
    return ("interval", (start, end), "[" if closed else "(", "]" if end_closed else ")")


def _without(key: Hashable, removed: Hashable) -> Hashable:
    """Return the key of a set without single points."""
    spans = _spans(key)
    for point, _, same, _ in _spans(removed):
        if point != same:
            raise NoExactForm
        cut = [span for span in spans if _order(span[0]) < _order(point) < _order(span[2])]
        spans = [span for span in spans if span not in cut]
        spans += [part for s in cut for part in ((s[0], s[1], point, False), (point, False, s[2], s[3]))]
    return _united(spans)
