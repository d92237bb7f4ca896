r"""Answer text → one spelling: plain LaTeX, ASCII digits, no decoration. What is written alike means alike."""

from __future__ import annotations

import re
import unicodedata

SYMBOLS = str.maketrans(
    {
        "\u2212": "-", "\u2013": "-", "\u2012": "-", "\ufe63": "-", "\u2044": "/", "÷": "/", "×": r"\cdot ",
        "·": r"\cdot ", "⋅": r"\cdot ", "∗": "*", "°": r"^\circ ", "π": r"\pi ", "√": r"\sqrt ", "∞": r"\infty ",
        "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "∈": r"\in ", "∪": r"\cup ", "∩": r"\cap ", "∅": r"\emptyset ",
        "±": r"\pm ", "∓": r"\mp ", "θ": r"\theta ", "⁰": "^0", "¹": "^1", "²": "^2", "³": "^3", "⁴": "^4",
        "⁵": "^5", "⁶": "^6", "⁷": "^7", "⁸": "^8", "⁹": "^9", "\u202f": " ", "\u2009": " ", "\xa0": " ",
        "\u200b": None, "\ufeff": None,
    }
)  # fmt: skip
WRAPPERS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("**", "**"), ("`", "`"))
BOX = re.compile(r"\\(?:boxed|fbox|text)\s*\{")
SYNONYMS = {
    "leq": r"\le ", "leqslant": r"\le ", "geq": r"\ge ", "geqslant": r"\ge ", "neq": r"\ne ", "times": r"\cdot ",
    "lbrace": r"\{", "rbrace": r"\}", "lbrack": "[", "rbrack": "]", "langle": "(", "rangle": ")",
}  # fmt: skip
REWRITES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\s+", " "),
        (r"(?<!\\)\$([^$]*)(?<!\\)\$(?!\d)", r"\1"),
        (r",?\\! ?(?=\d{3})|\{,\} ?(?=\d{3})", ""),  # thousands: 10{,}000 and 32,\!348
        (r"(?<=\d)(?:\\[,;: ]|~)(?=\d{3}(?!\d))", ""),
        (r"(?<!\\)\\!", ""),
        (r"(?<!\\)\\(?:[,;:> ]|q?quad(?![a-zA-Z]))|~(?!=)", " "),
        (r"\\(?:left|right|[bB]igg?[lr]?|displaystyle|limits)(?![a-zA-Z])\.?", ""),
        (r"\\[dtc]frac(?![a-zA-Z])", r"\\frac"),
        (r"\\(?:mbox|mathrm|mathbf|mathit|mathsf|operatorname|text(?:bf|it|rm|sf|tt|normal)) ?(?=\{)", r"\\text"),
        (rf"\\({'|'.join(SYNONYMS)})(?![a-zA-Z])", lambda command: SYNONYMS[command[1]]),
        (r"<=", r"\\le "),
        (r">=", r"\\ge "),
        (r"!=", r"\\ne "),
        (r":=", "="),
        (r"(?<![\\a-zA-Z])(?=(?:sqrt|pi|sin|cos|tan|log|ln)(?![a-zA-Z]))", r"\\"),  # sqrt(2), 2pi
        (r"\*\*", "^"),
        (r"\^ ?\{? ?\\(?:circ|degree)(?![a-zA-Z]) ?\}?|\\degree(?![a-zA-Z])", r"^\\circ "),
        (r",? ?\\text ?\{ ?,? ?(?:and|or) ?\}|,? (?:and|or) ", ", "),
        (r" +", " "),
    )
)


def normalise(text: str) -> str:
    """Return `text` in one spelling; the meaning is kept, and any text is accepted."""
    if not text.isascii():
        text = "".join(map(_plain, unicodedata.normalize("NFC", text).translate(SYMBOLS)))
    text = _unwrap(text)
    for pattern, replacement in REWRITES:
        text = pattern.sub(replacement, text)
    return _unwrap(text)


def squeeze(text: str) -> str:
    """Return `text` without the spaces that mean nothing: only one between two digits does."""
    return re.sub(r"(?<!\d) | (?!\d)", "", text)


def _plain(letter: str) -> str:
    """Return a letter's plain form: ASCII for the digits of any script, LaTeX for ½ and its like."""
    if letter.isdecimal():
        return str(unicodedata.decimal(letter))
    numerator, slash, denominator = (plain := unicodedata.normalize("NFKC", letter)).partition("\u2044")
    return rf"\frac{{{numerator}}}{{{denominator}}}" if slash else plain


def _unwrap(text: str) -> str:
    """Strip the delimiters, boxes and full stops around the whole text."""
    before = None
    while before != text:
        before = text
        text = text.strip().rstrip(" .,;\\")
        for opening, closing in WRAPPERS:
            inner = text[len(opening) : -len(closing)]
            if (
                text.startswith(opening)
                and text.endswith(closing)
                and inner
                and opening not in inner.replace(r"\$", "")
            ):
                text = inner
        box = BOX.match(text)
        if box and matching(text, box.end() - 1) == len(text) - 1:
            text = text[box.end() : -1]
    return text


def matching(text: str, start: int) -> int:
    r"""Return the index of the bracket that closes the one at `start`, or -1; any of ( [ { fits any of ) ] }."""
    depth = 0
    index = start
    while index < len(text):
        letter = text[index]
        if letter == "\\" and text[index + 1 : index + 2] not in ("{", "}"):
            index += 1  # an escaped letter is no bracket, but \{ and \} are
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
            if not depth:
                return index
        index += 1
    return -1


def split(text: str, separator: re.Pattern[str]) -> list[str]:
    """Split `text` at the matches of `separator` that stand outside of all brackets; `separator` matches no bracket."""
    parts, depth, start = [], 0, 0
    for mark in re.finditer(rf"[(\[{{]|[)\]}}]|{separator.pattern}", text):
        if mark.group() in "([{":
            depth += 1
        elif mark.group() in ")]}":
            depth -= 1
        elif not depth:
            parts.append(text[start : mark.start()].strip())
            start = mark.end()
    return [*parts, text[start:].strip()]
