"""Numbers in words: `twelve`, `twenty-first`, `two thirds`, `five million`."""

from __future__ import annotations

import re
from fractions import Fraction
from math import prod

UNITS = re.findall(
    r"\w+",
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen",
)
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
SCALES = {
    **{"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12},
    **{"quadrillion": 10**15, "lakh": 10**5, "crore": 10**7},
    **{"score": 20, "scores": 1, "gross": 144, "bn": 10**9},  # scores of a game are no twenties
    **{"百": 100, "千": 10**3, "万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8, "兆": 10**12},
    **{"백": 100, "천": 10**3, "만": 10**4, "억": 10**8, "조": 10**12},
}
ABROAD = {
    12: "dutzend douzaine docena dozzina dozzine dúzia dozijn dussin tuzin дюжина дюжин",
    100: "hundert honderd hundra",
    10**3: "tausend mille millier mil mila duizend tusen tusind tysiąc tysiące tysięcy tys tisíc ribu nghìn"
    " тысяча тысячи тысяч тыс"
    " тисяча тисячі тисяч",
    10**6: "millionen mio millón millones milione milioni milhão milhões miljoen miljon miljoner millioner"
    " milion miliony milionów mln"
    " milyon juta triệu миллион миллиона миллионов млн мільйон мільйона мільйонів",
    10**9: "milliarde milliarden mrd milliard miliardo miliardi bilhão bilhões miljard miljarder milliarder"
    " miliard miliardy miliardów"
    " mld milyar miliar tỷ миллиард миллиарда миллиардов млрд мільярд мільярда мільярдів",
    10**12: "billionen biljoen biliony",
}
SCALES |= {word: size for size, words in ABROAD.items() for word in words.split()}
_SPELLED = sorted((word for word in SCALES if len(word) > 1), key=len, reverse=True)
SCALE_BEHIND = re.compile(  # behind a number
    rf"\s*(?:[百千万萬亿億兆백천만억조]+(?![米克瓦])元?|(?:{'|'.join(_SPELLED)})s?(?![^\W_]))", re.IGNORECASE
)
SMALL = {
    **{word: number for number, word in enumerate(UNITS)},
    **{word: 10 * number for number, word in enumerate(TENS, 2)},
}
ORDINALS = {
    **{"first": 1, "second": 2, "third": 3, "fifth": 5, "eighth": 8, "ninth": 9, "twelfth": 12},
    **{f"{word}th": number for word, number in SMALL.items() if word not in ("one", "two", "three", "five", "eight")},
    **{f"{word.removesuffix('y')}ieth": 10 * number for number, word in enumerate(TENS, 2)},
    **{"hundredth": 100, "thousandth": 1000, "millionth": 10**6},
}
PARTS = {"half": 2, "halve": 2, "quarter": 4} | {word: number for word, number in ORDINALS.items() if number > 2}


FIRST = frozenset({*SMALL, *ORDINALS, *PARTS, "minus", "negative", "a", "an", "and"})
"""How a number in words may begin, beside scale words."""

SAID = re.compile(r"(?:\\text ?\{ ?)?([A-Za-z][A-Za-z -]*?) ?\}?")
LONG = re.compile("[a-z]{5,}")
MAX_NUMBER_WORDS = 12
MAX_WORDS_BEHIND = 3


def scale(word: str) -> int:
    """Return what a scale word multiplies by; 1 for any other word."""
    if len(word) > 1 and all(letter in SCALES for letter in word):  # 千万
        return prod(SCALES[letter] for letter in word)
    return SCALES.get(word) or SCALES.get(word.lower()) or SCALES.get(word.lower().removesuffix("s")) or 1


def is_scaled(formula: str) -> bool:
    """Tell whether a scale word stands in a formula, where it is no product of letters."""
    return any(scale(word) > 1 for word in LONG.findall(formula))


def with_digits(text: str) -> str:
    """Return `twelve red apples` as `12 red apples`; text that begins with no number, or goes on for long, as it is."""
    said = SAID.fullmatch(text)
    if (
        text[-1:] == ")"
        and (twice := re.fullmatch(r"([A-Za-z -]+) \((-?\d+)\)", text))
        and in_words(twice[1]) == int(twice[2])
    ):
        return twice[2]
    words = said[1].split() if said else []
    first = words[0].lower().partition("-")[0] if words else ""
    if not {first, first.removesuffix("s")} & FIRST and scale(first) == 1:
        return text
    for size in range(min(len(words), MAX_NUMBER_WORDS), max(0, len(words) - MAX_WORDS_BEHIND - 1), -1):
        value = in_words(" ".join(words[:size]))
        if value is not None:
            digits = str(value) if value.denominator == 1 else rf"\frac{{{value.numerator}}}{{{value.denominator}}}"
            return " ".join([digits, *words[size:]])
    return text


def in_words(text: str) -> Fraction | None:
    """Return the value of a number in words, an ordinal, or a fraction (`two thirds`); None for any other text."""
    said = [word for word in re.split(r"[ -]+", text.lower()) if word]
    if said and said[0] in ("minus", "negative"):
        negated = in_words(" ".join(said[1:]))
        return None if negated is None else -negated
    if "point" in said:  # two point five
        whole, digits = (
            _cardinal(said[: said.index("point")]),
            [SMALL.get(word, 10) for word in said[said.index("point") + 1 :]],
        )
        decimal = digits and max(digits) < 10 and whole is not None
        return Fraction(f"{whole}.{''.join(map(str, digits))}") if decimal else None
    for index, word in enumerate(said):  # one and a half
        part = _part(said[index + 1 :]) if word == "and" and index else None
        if part is not None and part < 1 and (whole := _cardinal(said[:index])) is not None:
            return whole + part
    words = [word for word in said if word != "and"]
    if (part := _part(words)) is not None:
        return part
    if words and words[-1] in ORDINALS:
        rest = _cardinal(words[:-1]) if len(words) > 1 else 0
        return None if rest is None else Fraction(rest + ORDINALS[words[-1]])
    value = _cardinal(["one", *words[1:]] if words[:1] in (["a"], ["an"]) and len(words) > 1 else words)
    return None if value is None else Fraction(value)


def _part(words: list[str]) -> Fraction | None:
    """Return the value of `half`, `two thirds`, `a quarter`, `five hundredths`; None for any other words."""
    if not words:
        return None
    top = words[:-1] or ["one"]
    part = PARTS.get(words[-1]) or PARTS.get(words[-1].removesuffix("s"))
    number = _cardinal(["one"] if top in (["a"], ["an"]) else top)
    if not part or number is None or (len(words) == 1 and part not in (2, 4)) or (len(top) > 1 and top[0] not in SMALL):
        return None
    ordinal = words[-1] in ORDINALS and (top[-1] in TENS or (part >= 100 and number > 1))  # twenty-fifth
    return None if ordinal else Fraction(number, part)


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
    begins = words and (words[0] in SMALL or (len(words[0]) > 3 and scale(words[0]) > 1))
    return total + group if begins else None
