r"""The exact fast path: an answer's normal LaTeX → a key that equal answers share, and no others do.

Numbers are Fractions, expressions are sums of terms (see `polynomial`); tuples, sets, intervals, unions, matrices,
times and words hold those. What is outside of this (functions, roots of sums, …) has no key and is left to sympy.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from fractions import Fraction
from itertools import pairwise

from tts.verifiers.math.normal import matching, split
from tts.verifiers.math.polynomial import NoExactForm
from tts.verifiers.math.reader import MAX_DIGITS, number, polynomial

INTEGER = re.compile(r"[-+]?\d+")
RATIO = re.compile(r"(-?)(?:\\frac\{(-?\d{1,999})\}\{(\d{1,999})\}|(\d{1,999})/(\d{1,999}))")
THOUSANDS = re.compile(r"(?<![\d.])[1-9]\d{0,2}(?:(?:,\d{3})+(?![\d,])|(?: \d{3})+(?! ?\d))")
MIXED = re.compile(r"(?<![\d./^_])(\d{1,999})(?: ?\\frac ?(?:(\d) ?(\d)|\{(\d+)\} ?\{(\d+)\})| (\d+)/(\d+)(?!\d))")
REPEATING = re.compile(r"(?<!\d)(\d*)\.(\d*)\\(?:overline|bar|dot) ?\{(\d+)\}")
CLOCK = re.compile(r"\d{1,4}(?::\d{1,4})+")
MATRIX = re.compile(r"\\begin ?\{([pb]?matrix)\}(.*)\\end ?\{\1\}")
WORDS = re.compile(r"[^\W\d_]+(?:[ '-]{1,3}[^\W\d_]+)*\.?")
CAPITALISED = re.compile(r"[A-Z][a-z]{1,2}")  # «No» is «no»
BARE_WORD = re.compile(r"(?<![\\a-zA-Z{])[a-zA-Z]{2,}(?![a-zA-Z}])")
SEPARATORS = re.compile(r"[ '-]+")
INFINITE = re.compile(r"([-+]?) ?(?:\\infty|infinity|inf|oo)")
COMMA, EQUALS, ROWS, CELLS, CUP = (re.compile(pattern) for pattern in ("[,;]", "=", r"\\\\", "&", r"\\cup"))
BRACKETS = ("(", "[", r"\{", "{")
EMPTY = frozenset({r"\emptyset", r"\varnothing", r"\{\}", r"\{ \}"})
MAX_DEPTH = 40


def key(text: str) -> Hashable | None:
    """Return the key of a normalised answer, or None where it has no exact reading. Equal keys: equal answers."""
    if INTEGER.fullmatch(text):
        return integer(text)
    ratio = RATIO.fullmatch(text)
    if ratio and int(ratio[3] or ratio[5]):
        value = Fraction(int(ratio[2] or ratio[4]), int(ratio[3] or ratio[5]))
        return -value if ratio[1] else value
    try:
        text = REPEATING.sub(_repeating, text)
        if not any(bracket in text for bracket in ("(", "[", r"\{")):  # within these a comma may separate
            text = THOUSANDS.sub(lambda number: re.sub("[, ]", "", number[0]), text)
        return _value(MIXED.sub(_mixed, text), MAX_DEPTH)
    except NoExactForm:
        return None


def integer(digits: str) -> Hashable:
    """Return the key of an integer of any length; beyond MAX_DIGITS, where converting is slow, its digits."""
    if len(digits) < 1000:
        return Fraction(int(digits))
    negative, stripped = digits[0] == "-", digits.lstrip("+-").lstrip("0") or "0"
    if len(stripped) > MAX_DIGITS:
        return ("digits", negative, stripped)
    return -number(stripped) if negative else number(stripped)


def collect(keys: list[Hashable]) -> Hashable:
    """Return the key of an unordered collection of `keys`; sets among them are merged, one alone is itself."""
    members: set[Hashable] = set()
    for key in keys:
        members |= key[1] if isinstance(key, tuple) and key[0] == "set" else {key}
    return ("set", frozenset(members)) if len(members) > 1 else members.pop()


def unite(keys: list[Hashable]) -> Hashable | None:
    """Return the key of a union of intervals that lie apart; None for others, which would have to be merged."""
    try:
        return _united(keys)
    except NoExactForm:
        return None


def is_number(key: Hashable) -> bool:
    """Tell whether `key` is that of a rational number."""
    return isinstance(key, Fraction)


def prose(text: str) -> Hashable | None:
    """Return the key of a sentence, which is no formula though it may hold one; None for anything else."""
    words = BARE_WORD.findall(text)
    return ("word", " ".join(text.casefold().split())) if len(words) > 2 and len(max(words, key=len)) > 3 else None


def line(text: str) -> Hashable | None:
    """Return the key of a linear equation, whatever it was multiplied by; None for any other text."""
    sides = split(text, EQUALS)
    try:
        difference = polynomial(sides[0]) - polynomial(sides[-1]) if len(sides) == 2 else None
    except NoExactForm:
        return None
    return None if difference is None else difference.line()


def _repeating(decimal: re.Match[str]) -> str:
    r"""Return 0.1\overline{6} as the fraction (16 − 1)/90."""
    whole, fixed, period = decimal.groups()
    bottom = "9" * len(period) + "0" * len(fixed)
    return rf"\frac{{{whole}{fixed}{period}-{whole}{fixed or 0}}}{{{bottom}}}"


def _mixed(match: re.Match[str]) -> str:
    """Return a mixed number as a sum; where the fraction is improper the writer meant something else."""
    whole, *parts = (part for part in match.groups() if part)
    if not 0 < int(parts[0]) < int(parts[1]):
        raise NoExactForm
    return rf"({whole}+\frac{{{parts[0]}}}{{{parts[1]}}})"


def _value(text: str, depth: int) -> Hashable:
    """Return the key of anything: a bare list is a set, `(a, b)` a pair (or an open interval)."""
    if not text or not depth:
        raise NoExactForm
    items = split(text, COMMA)
    if len(items) > 1:
        return collect([_value(item, depth - 1) for item in items])
    if CAPITALISED.fullmatch(text):
        text = text.lower()
    if _is_word(text):
        return ("word", " ".join(text.casefold().split()))
    return _special(text, depth - 1) or _bracketed(text, depth - 1) or _expression(text, depth - 1)


def _special(text: str, depth: int) -> Hashable | None:
    """Return the key of a time or ratio, ±∞, a matrix or a union; None for anything else."""
    clock, infinite, matrix = CLOCK.fullmatch(text), INFINITE.fullmatch(text), MATRIX.fullmatch(text)
    if clock:
        return ("clock", tuple(map(int, text.split(":"))))
    if infinite:
        return ("infinity", infinite[1] == "-")
    if matrix:
        rows = [split(row, CELLS) for row in split(matrix[2], ROWS) if row]
        return ("matrix", tuple(tuple(_value(cell, depth) for cell in row) for row in rows))
    if r"\cup" not in text:
        return None
    return _united([_value(part, depth) for part in split(text, CUP)])


def _is_word(text: str) -> bool:
    """Tell a word (`even`, `Mary Ann`, `CAB`) from a product of variables (`xy`, `abc`, `p - q`)."""
    if not WORDS.fullmatch(text) or INFINITE.fullmatch(text):
        return False
    longest = max(SEPARATORS.split(text), key=len)
    return len(longest) > 3 or not text.isascii() or (len(longest) > 1 and text.isupper())


def _bracketed(text: str, depth: int) -> Hashable | None:
    r"""Return the key of `(…)`, `[…]`, `\{…\}` or `{…}` around the whole of `text`, else None."""
    if text in EMPTY:
        return ("empty",)
    opening = next((bracket for bracket in BRACKETS if text.startswith(bracket)), "")
    if not opening or matching(text, len(opening) - 1) != len(text) - 1:
        return None
    closing = r"\}" if text.endswith(r"\}") else text[-1]
    inner = text[len(opening) : -len(closing)].strip()
    items = split(inner, COMMA)
    if opening + closing == r"\{\}":
        return collect([_value(item, depth) for item in items])
    if opening + closing == "{}":
        return _value(inner, depth)
    if len(items) == 1:
        return _value(inner, depth) if opening + closing == "()" else None
    keys = tuple(_value(item, depth) for item in items)
    return ("tuple", keys) if opening + closing == "()" else ("interval", keys, opening, closing)


def _united(keys: list[Hashable]) -> Hashable:
    if len(keys) < 2:
        raise NoExactForm
    spans = []
    for key in keys:
        if not isinstance(key, tuple) or key[0] not in ("tuple", "interval") or len(key[1]) != 2:
            raise NoExactForm
        spans.append((_end(key[1][0]), _end(key[1][1]), key[0] == "interval"))
    # Two overlap, or meet in a point that one of them may hold.
    for (_, end, closed), (start, _, also_closed) in pairwise(sorted(spans)):
        if end > start or (end == start and (closed or also_closed)):
            raise NoExactForm
    return ("union", frozenset(keys))


def _end(key: Hashable) -> float:
    if isinstance(key, tuple) and key[0] == "infinity":
        return float("-inf") if key[1] else float("inf")
    if not isinstance(key, Fraction) or key.denominator.bit_length() > 900 or key.numerator.bit_length() > 900:
        raise NoExactForm
    return float(key)


def _expression(text: str, depth: int) -> Hashable:
    if r"\pm" not in text and r"\mp" not in text:
        return polynomial(text).key()
    plus = text.replace(r"\pm", "+").replace(r"\mp", "-")
    minus = text.replace(r"\pm", "-").replace(r"\mp", "+")
    return collect([_value(plus, depth), _value(minus, depth)])
