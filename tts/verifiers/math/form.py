r"""A reading of one answer: its value, and what is written beside it (`x =`, `cm`, `%`).

A label beside the value may be left out, so an answer without one agrees with any; two labels must agree.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import combinations

from tts.verifiers.math import exact
from tts.verifiers.math.normal import normalise, squeeze
from tts.verifiers.math.relations import assigned, solved
from tts.verifiers.math.units import split_unit

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
    def plain(self) -> bool:
        """Whether its key tells it from all other plain answers (a percentage has two, see `keys`)."""
        return self.key is not None and (not self.variable or exact.is_number(self.key))

    @property
    def keys(self) -> tuple[Hashable, ...]:
        """The keys of the plain answers that may equal it."""
        return (self.key, self.key / 100) if self.unit == "%" and isinstance(self.key, Fraction) else (self.key,)

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
    variable, value = assigned(whole)
    if value is None:
        relation = solved(whole) or (None, exact.prose(whole))
        return Form(whole, whole, relation[1], relation[0], equation=relation[1] is None)
    value, unit = split_unit(value)
    key = exact.key(value)
    return Form(whole, value, exact.prose(value) if key is None else key, variable, unit)


def equal(left: Form, right: Form) -> bool | None:
    """Tell whether two answers are equal; None where only sympy can tell."""
    if left.equation or right.equation:
        return left.identity == right.identity or _same_line(left, right)
    if left.variable and right.variable and left.variable != right.variable:
        return _same_line(left, right) if _depends(left, right) or _depends(right, left) else False
    if left.identity == right.identity:
        return True
    if left.unit and right.unit and left.unit != right.unit:
        return False
    if left.key is None or right.key is None:
        return None
    return left.key == right.key or (not (left.unit and right.unit) and not {*left.keys}.isdisjoint(right.keys))


def _depends(form: Form, other: Form) -> bool:
    """Tell whether a value may depend on the other's variable, as in `y = 2x` and `x = y/2`."""
    return str(other.variable) in form.value


def _same_line(left: Form, right: Form) -> bool | None:
    """Tell whether two linear equations are multiples of each other; None where one of them is not linear."""
    lines = exact.line(left.whole), exact.line(right.whole)
    return None if None in lines else lines[0] == lines[1]


def comparable(forms: Sequence[Form]) -> list[tuple[Form, Form]]:
    """Return the pairs that may be equal, once each: all but those of plain answers whose keys differ."""
    pairs = {(i, j) for j, form in enumerate(forms) for i in range(len(forms)) if not form.plain and i != j}
    by_key: dict[Hashable, list[int]] = {}
    for index, form in enumerate(forms):
        for key in form.keys if form.plain else ():
            by_key.setdefault(key, []).append(index)
    pairs.update(pair for indices in by_key.values() for pair in combinations(indices, 2))
    return [(forms[i], forms[j]) for i, j in sorted({(min(pair), max(pair)) for pair in pairs})]


def texts(left: Form, right: Form) -> tuple[str, str]:
    """Return what sympy has to compare: the values, or the relations where they do not assign to one variable."""
    apart = left.variable and right.variable and left.variable != right.variable
    if left.equation or right.equation or apart:
        return left.whole, right.whole
    return left.value, right.value
