r"""A reading of one answer: its value, and what is written beside it (`x =`, `cm`, `%`).

A label beside the value may be left out, so an answer without one agrees with any; two labels must agree.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from tts.verifiers.math import exact
from tts.verifiers.math.normal import normalise, split, squeeze
from tts.verifiers.math.units import split_unit

NAME = re.compile(
    r"(?:\\(?:angle|triangle) ?)?(?:\\?[A-Za-z]+|\\text ?\{[^{}\\]*\})'*"
    r"(?: ?_ ?(?:\w|\{\w+\}))?(?: ?\([A-Za-z0-9, ]*\))?"
)
EQUALS, COMMA, IN = re.compile("="), re.compile("[,;]"), re.compile(r"\\in(?![a-zA-Z])")
ORDER = re.compile(r"\\[lg](?:e|t)(?![a-zA-Z])|[<>]")
CLOSED, LESS, MORE = (r"\le", r"\ge"), ("<", r"\lt", r"\le"), (">", r"\gt", r"\ge")
MAX_CHARS = 10_000
CACHE_SIZE = 4096


@dataclass(frozen=True, slots=True)
class Form:
    """One answer, read. Without a `key` sympy has to parse `value`; of an `equation`, only `whole` makes sense."""

    whole: str
    value: str
    key: Hashable | None
    variable: str | None = None
    unit: str | None = None
    equation: bool = False

    @property
    def identity(self) -> Hashable:
        """Answers with the same identity are the same answer, written alike or not."""
        value = squeeze(self.value) if self.key is None else self.key
        return (value, self.variable, self.unit, self.key is None)

    @property
    def too_long(self) -> bool:
        """Whether it is beyond MAX_CHARS, and so neither read nor parsed."""
        return self.key is None and len(self.whole) > MAX_CHARS


@lru_cache(CACHE_SIZE)
def read(text: str) -> Form:
    """Read an answer of any kind and length; one beyond MAX_CHARS has no key unless it is an integer."""
    text = text.strip()
    if exact.INTEGER.fullmatch(text) and text.isascii():
        return Form(text, text, exact.integer(text))
    if len(text) > MAX_CHARS:
        return Form(text, text, None)
    whole = normalise(text)
    variable, value = _split_variable(whole)
    if value is None:
        return _assignments(whole) or _inequality(whole) or Form(whole, whole, exact.line(whole), equation=True)
    value, unit = split_unit(value)
    return Form(whole, value, exact.key(value), variable, unit)


def _split_variable(text: str) -> tuple[str | None, str | None]:
    r"""Return (x, 5) for `x = 5`, `x = 2 + 3 = 5` or `x \in 5`; (None, text) for no relation; else twice None."""
    if ORDER.search(text) or r"\ne " in text:
        return None, None
    parts = split(text, IN if IN.search(text) else EQUALS)
    if len(parts) == 1:
        return None, text
    if not all(parts) or (len(split(parts[-2], COMMA)) > 1 and len(parts) > 2):
        return None, None
    if NAME.fullmatch(parts[0]):
        return squeeze(parts[0]), parts[-1]
    constant = exact.is_number(exact.key(parts[0]))
    return (None, parts[-1]) if constant else (None, None)


def _assignments(text: str) -> Form | None:
    """Return the reading of `x = 1, x = 2` (a set of values of x) or `x = 1, y = 2` (a set of assignments)."""
    pairs = [_split_variable(item) for item in split(text, COMMA)]
    keys = [exact.key(value) if value else None for _, value in pairs]
    names = {name for name, _ in pairs}
    if len(pairs) < 2 or None in keys or None in names:
        return None
    if len(names) == 1:
        return Form(text, text, exact.collect(keys), names.pop())
    return Form(text, text, ("assignments", frozenset(zip((name for name, _ in pairs), keys, strict=True))))


def _inequality(text: str) -> Form | None:
    r"""Return the reading of `x > 3` or `-2 \le x < 7` as an interval of values of x."""
    signs, parts = ORDER.findall(text), split(text, ORDER)
    if any(sign in MORE for sign in signs):
        flip = dict(zip(MORE, LESS, strict=True))
        signs, parts = [flip.get(sign, "") for sign in reversed(signs)], parts[::-1]
    if len(parts) not in (2, 3) or len(signs) != len(parts) - 1 or "" in signs:
        return None
    if len(parts) == 2 and NAME.fullmatch(parts[0]):
        parts, signs = [r"-\infty", *parts], ["<", *signs]
    elif len(parts) == 2:
        parts, signs = [*parts, r"\infty"], [*signs, "<"]
    low, name, high = parts
    opening, closing = "[" if signs[0] in CLOSED else "(", "]" if signs[1] in CLOSED else ")"
    key = exact.key(f"{opening}{low}, {high}{closing}")
    return Form(text, text, key, squeeze(name)) if key is not None and NAME.fullmatch(name) else None


def equal(left: Form, right: Form, *, match_names: bool = True) -> bool | None:
    """Tell whether two answers are equal; None where only sympy can tell."""
    if match_names and left.variable and right.variable and left.variable != right.variable:
        return None if _mentions(left, right.variable) or _mentions(right, left.variable) else False
    if left.identity == right.identity:
        return True
    if left.unit and right.unit and left.unit != right.unit:
        return False
    if left.key is None or right.key is None or left.equation != right.equation:
        return None
    return left.key == right.key or _percent_equal(left, right) or _percent_equal(right, left)


def _mentions(form: Form, name: str) -> bool:
    """Tell whether a value depends on `name`, or may: `y = 2x` and `x = y/2` are one line."""
    return name in form.value


def _percent_equal(left: Form, right: Form) -> bool:
    r"""Tell whether `left` is a percentage and `right` the plain number that it stands for: `50\%` is 0.5 (and 50)."""
    if left.unit != "%" or right.unit or not isinstance(left.key, Fraction):
        return False
    return left.key / 100 == right.key


def texts(left: Form, right: Form) -> tuple[str, str]:
    """Return what sympy has to compare: the values, or the whole relations where one of them is no assignment."""
    if left.equation or right.equation or (left.variable and right.variable and left.variable != right.variable):
        return left.whole, right.whole
    return left.value, right.value
