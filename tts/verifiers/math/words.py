"""Numbers in words: `twelve`, `twenty-first`, `two thirds`, `five million`."""

from __future__ import annotations

import re
from fractions import Fraction

UNITS = re.findall(
    r"\w+",
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen",
)
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
SCALES = {
    **{"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12},
    **{"quadrillion": 10**15, "lakh": 10**5, "crore": 10**7, "bn": 10**9, "mn": 10**6},
    **{"千": 10**3, "万": 10**4, "百万": 10**6, "亿": 10**8, "тысяч": 10**3, "миллион": 10**6, "millones": 10**6},
    **{"Million": 10**6, "Millionen": 10**6, "Milliarde": 10**9, "milliard": 10**9, "mille": 10**3, "mil": 10**3},
}
SMALL = {
    **{word: number for number, word in enumerate(UNITS)},
    **{word: 10 * number for number, word in enumerate(TENS, 2)},
}
ORDINALS = {
    **{"first": 1, "second": 2, "third": 3, "fifth": 5, "eighth": 8, "ninth": 9, "twelfth": 12},
    **{f"{word}th": number for word, number in SMALL.items() if word not in ("one", "two", "three", "five", "eight")},
    **{f"{word.removesuffix('y')}ieth": 10 * number for number, word in enumerate(TENS, 2)},
}
PARTS = {"half": 2, "halve": 2, "quarter": 4} | {word: number for word, number in ORDINALS.items() if number > 2}


SAID = re.compile(r"(?:\\text ?\{ ?)?([A-Za-z][A-Za-z -]*?) ?\}?")
LONG = re.compile("[a-z]{5,}")
MAX_NUMBER_WORDS = 12
MAX_WORDS_BEHIND = 3


def scale(word: str) -> int:
    """Return what a scale word multiplies by; 1 for any other word."""
    return SCALES.get(word) or SCALES.get(word.lower()) or SCALES.get(word.lower().removesuffix("s")) or 1


def is_scaled(formula: str) -> bool:
    """Tell whether a scale word stands in a formula, where it is no product of letters."""
    return any(scale(word) > 1 for word in LONG.findall(formula))


def with_digits(text: str) -> str:
    """Return `twelve red apples` as `12 red apples`; text that begins with no number, or goes on for long, as it is."""
    said = SAID.fullmatch(text)
    words = said[1].split() if said else []
    for size in range(min(len(words), MAX_NUMBER_WORDS), max(0, len(words) - MAX_WORDS_BEHIND - 1), -1):
        value = in_words(" ".join(words[:size]))
        if value is not None:
            digits = str(value) if value.denominator == 1 else rf"\frac{{{value.numerator}}}{{{value.denominator}}}"
            return " ".join([digits, *words[size:]])
    return text


def in_words(text: str) -> Fraction | None:
    """Return the value of a number in words, an ordinal, or a fraction (`two thirds`); None for any other text."""
    words = [word for word in re.split(r"[ -]+", text.lower()) if word not in ("and", "")]
    if not words:
        return None
    if words[0] in ("minus", "negative") and len(words) > 1:
        negated = in_words(" ".join(words[1:]))
        return None if negated is None else -negated
    if words[0] in ("a", "an") and len(words) > 1:
        words[0] = "one"
    part = PARTS.get(words[-1]) or PARTS.get(words[-1].removesuffix("s"))
    if part and (len(words) > 1 or part in (2, 4)):
        top = _cardinal(words[:-1] or ["one"])
        if top is not None and (len(words) < 3 or words[0] in SMALL):
            tens = len(words) == 2 and words[0] in TENS
            return Fraction(top, part) if not tens else Fraction(top + part)
    if words[-1] in ORDINALS:
        rest = _cardinal(words[:-1]) if len(words) > 1 else 0
        return None if rest is None else Fraction(rest + ORDINALS[words[-1]])
    value = _cardinal(words)
    return None if value is None else Fraction(value)


def _cardinal(words: list[str]) -> int | None:
    total = group = 0
    for word in words:
        if word in SMALL:
            group += SMALL[word]
        elif scale(word) == 100:
            group = (group or 1) * 100
        elif scale(word) > 1:
            total, group = total + (group or 1) * scale(word), 0
        else:
            return None
    return total + group if words and (words[0] in SMALL or scale(words[0]) > 1) else None
