r"""A reading of one answer: its value, and what is written beside it (`x =`, `cm`, `%`).

A label beside the value may be left out, so an answer without one agrees with any; two labels must agree. Some answers
can be read in several ways (`50\%` is 50 and 0.5, `2,74` two numbers and one): two are equal if any of theirs are.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import combinations
from typing import Any

from tts.verifiers.math import exact, relations
from tts.verifiers.math.normal import normalise, split, squeeze
from tts.verifiers.math.relations import COMMA, EQUALS, FUNCTION, assigned, solved
from tts.verifiers.math.units import NO_UNIT, Unit, agree, split_units

MAX_CHARS = 10_000
CACHE_SIZE = 4096
PURE: Unit = frozenset({"number"})
"""The unit of a percentage read as the number that it is: it agrees with no other."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One value; without a `key` it has none that is exact, and sympy has to parse the answer's text."""

    key: Hashable | None
    unit: Unit = NO_UNIT


@dataclass(frozen=True, slots=True)
class Form:
    """One answer, read; of an `equation`, only `whole` makes sense; of a system only the first reading has names."""

    whole: str
    value: str
    readings: tuple[Reading, ...]
    variable: str | None = None
    equation: bool = False

    @property
    def key(self) -> Hashable | None:
        """The key of the likeliest reading."""
        return self.readings[0].key

    @property
    def identity(self) -> Hashable:
        """Answers with the same identity are the same answer, written alike or not."""
        value = squeeze(self.value) if self.key is None else self.readings
        return (value, self.readings[0].unit, self.variable, self.equation)

    @property
    def plain(self) -> bool:
        """Whether its keys tell it from all other plain answers."""
        return self.key is not None and not self.equation and (not self.variable or exact.is_number(self.key))

    @property
    def too_long(self) -> bool:
        """Whether it is beyond MAX_CHARS, and so neither read nor parsed."""
        return self.key is None and len(self.whole) > MAX_CHARS


@lru_cache(CACHE_SIZE)
def read(text: str) -> Form:
    """Read an answer of any kind and length; one beyond MAX_CHARS has no key unless it is an integer."""
    text = text.strip()
    number = exact.plain_number(text)
    if number is not None:
        said = str(number) if exact.is_number(number) and len(text) < exact.MAX_PLAIN else text
        return Form(said, said, (Reading(number),))
    if len(text) > MAX_CHARS:
        return Form(text, text, (Reading(None),))
    whole = normalise(text)
    variable, value = assigned(whole)
    if value is None:
        name, keys = solved(whole) or (None, [exact.equation(whole) or exact.prose(whole)])
        is_equation = keys[0] is None or (isinstance(keys[0], tuple) and keys[0][0] == "equation")
        return Form(whole, whole, tuple(map(Reading, keys)), name, is_equation)
    if variable and (names := relations.letters(variable)):
        return _tuple(whole, names, value) or Form(whole, value, (Reading(exact.key(value)),), variable)
    parts = split_units(value)
    readings = tuple(reading for part, unit in parts for reading in _readings(part, unit))
    return Form(whole, parts[0][0], readings, variable)


def _readings(value: str, unit: Unit) -> list[Reading]:
    """Return what a value may mean; the first reading is the likeliest."""
    keys = [exact.key(value), *exact.others(value)]
    if keys[0] is None:
        keys = keys[1:] or [exact.prose(value)]
    readings = [Reading(key, unit) for key in keys]
    if unit == frozenset({"%"}):
        readings += [Reading(key / 100, PURE) for key in keys if isinstance(key, Fraction)]
    if unit == frozenset({"degree"}):
        radians = exact.key(rf"({value})\cdot \pi/180")
        readings += [Reading(radians), Reading(radians, frozenset({"radian"}))] if radians is not None else []
    return readings


def _tuple(whole: str, names: Sequence[str], value: str) -> Form | None:
    """Return the form of `(x,y) = (1,2)`: named values; None for any other value."""
    key: Any = exact.key(value)
    if not isinstance(key, tuple) or key[0] != "tuple" or len(key[1]) != len(names):
        return None
    return Form(whole, value, tuple(map(Reading, (relations.system(names, key[1])[0], key, exact.collect(key[1])))))


def equal(left: Form, right: Form) -> bool | None:
    """Tell whether two answers are equal; None where only sympy can tell."""
    if left.identity == right.identity:
        return True
    if left.equation or right.equation:
        return _same_relation(left, right)
    if left.variable != right.variable and left.variable and right.variable:
        if renamed := _renamed(left, right):
            return equal(left, renamed)
        return (_depends(left, right) or _depends(right, left)) and _same_relation(left, right)
    pairs = [(a, b) for a in left.readings for b in right.readings if agree(a.unit, b.unit)]
    if _kind(left) == _kind(right) in ("relations", "clock"):  # what else they may mean counts beside other kinds only
        return left.key == right.key and agree(left.readings[0].unit, right.readings[0].unit)
    found = any(a.key is not None and a.key == b.key for a, b in pairs)
    return None if not found and any(a.key is None or b.key is None for a, b in pairs) else found


def _kind(form: Form) -> Hashable:
    return form.key[0] if isinstance(form.key, tuple) else None


def _renamed(left: Form, right: Form) -> Form | None:
    """Return `right` with the name and the argument of the function `left`, where both are functions, or one is y."""
    ours, theirs = (FUNCTION.fullmatch(str(form.variable)) for form in (left, right))
    if ours and theirs:
        name = ours[2]
        value = re.sub(rf"(?<![A-Za-z\\]){theirs[2]}(?![A-Za-z])|(?<=[a-z]){theirs[2]}(?![A-Za-z])", name, right.value)
        clear = ours[1] == theirs[1] and (name == theirs[2] or name not in right.value)
        return read(f"{left.variable} = {value}") if clear else None
    function = ours or theirs
    other = right if ours else left
    named = function and other.variable in (f"y{function[1]}", function[0].partition("(")[0])
    return read(f"{left.variable} = {right.value}") if named else None


def _depends(form: Form, other: Form) -> bool:
    """Tell whether a value may depend on the other's variable, as in `y = 2x` and `x = y/2`."""
    return str(other.variable) in form.value


def _same_relation(left: Form, right: Form) -> bool | None:
    """Tell whether two equations are multiples of each other; None where one of them is no polynomial's."""
    if not all(form.equation or (form.variable and "=" in form.whole) for form in (left, right)):
        # An inequality or a system without a reading may be a value; the sides of one equation are none.
        single = (form for form in (left, right) if form.equation and len(split(form.whole, COMMA)) == 1)
        return False if any(EQUALS.search(form.whole) for form in single) else None
    keys = exact.equation(left.whole), exact.equation(right.whole)
    return None if None in keys else keys[0] == keys[1]


def comparable(forms: Sequence[Form]) -> list[tuple[Form, Form]]:
    """Return the pairs that may be equal, once each: all but those of plain answers whose keys differ."""
    pairs = {(i, j) for j, form in enumerate(forms) for i in range(len(forms)) if not form.plain and i != j}
    by_key: dict[Hashable, list[int]] = {}
    for index, form in enumerate(forms):
        for key in {reading.key for reading in form.readings} if form.plain else ():
            by_key.setdefault(key, []).append(index)
    pairs.update(pair for indices in by_key.values() for pair in combinations(indices, 2))
    return [(forms[i], forms[j]) for i, j in sorted({(min(pair), max(pair)) for pair in pairs})]


def texts(left: Form, right: Form) -> tuple[str, str]:
    """Return what sympy has to compare: the values, or the relations where they do not assign to one variable."""
    if left.variable != right.variable and left.variable and right.variable and (renamed := _renamed(left, right)):
        return texts(left, renamed)
    apart = left.variable and right.variable and left.variable != right.variable
    if left.equation or right.equation or apart:
        return left.whole, right.whole
    return left.value, right.value
