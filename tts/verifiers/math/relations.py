r"""Answers that name their variable: `x = 5`, `x = 1 \text{ or } x = 2`, `x \in [1,2]`, `-2 \le x < 7`."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import TypeAlias

from tts.verifiers.math import exact
from tts.verifiers.math.normal import split, squeeze

Named: TypeAlias = tuple[str | None, Hashable]

NAME = re.compile(
    r"\([A-Za-z](?:, ?[A-Za-z])+\)|(?:\\(?:angle|triangle) ?)?(?:\\?[A-Za-z]+|\\text ?\{[^{}\\]*\})'*"
    r"(?: ?_ ?(?:\w|\{\w+\}))?(?: ?\([A-Za-z0-9, ]*\))?"
)
EQUALS, COMMA, IN = re.compile("="), re.compile("[,;]"), re.compile(r"\\in(?![a-zA-Z])")
ORDER = re.compile(r"\\[lg](?:e|t)(?![a-zA-Z])|[<>]")
MIRRORED = {">": "<", r"\gt": "<", r"\ge": r"\le"}


def assigned(text: str) -> tuple[str | None, str | None]:
    r"""Return (x, 5) for `x = 5`, `x = 2 + 3 = 5` or `x \in 5`; (None, text) for no relation; else twice None."""
    if ORDER.search(text) or r"\ne " in text:
        return None, None
    parts = split(text, IN if IN.search(text) else EQUALS)
    if len(parts) == 1:
        return None, text
    if not all(parts) or (len(parts) > 2 and len(split(parts[-2], COMMA)) > 1):
        return None, None
    if NAME.fullmatch(parts[0]):
        return squeeze(parts[0]), parts[-1]
    if len(parts) == 2 and NAME.fullmatch(parts[1]):
        return squeeze(parts[1]), parts[0]
    numbers = all(exact.is_number(exact.key(part)) for part in (parts[0], parts[-1]))
    return None, parts[-1] if numbers else None


def solved(text: str) -> Named | None:
    """Return the variable and the key of an inequality or of several relations; None where they have no exact reading.

    `x = 1, x = 2` is a set of values of x, `x < 1, x > 3` a union; `x = 1, y = 2` has no one variable.
    """
    items = split(text, COMMA)
    relations = []
    for item in items:
        if ORDER.search(item):
            relation = _inequality(item)
        else:
            name, value = assigned(item)
            key = exact.key(value) if name and value else None
            relation = None if key is None else (name, key)
        if relation is None:
            return None
        relations.append(relation)
    names, keys = {name for name, _ in relations}, [key for _, key in relations]
    if len(names) > 1:
        return None, ("relations", frozenset(relations))
    key = exact.unite(keys) if ORDER.search(text) and len(keys) > 1 else exact.collect(keys)
    return None if key is None else (names.pop(), key)


def _inequality(text: str) -> Named | None:
    """Return a range of values of one variable as the interval that it is."""
    signs, parts = ORDER.findall(text), split(text, ORDER)
    if signs[0] in MIRRORED:
        signs, parts = [MIRRORED.get(sign, "") for sign in reversed(signs)], parts[::-1]
    if len(parts) == 2 and NAME.fullmatch(parts[0]):
        signs, parts = ["<", *signs], [r"-\infty", *parts]
    elif len(parts) == 2:
        signs, parts = [*signs, "<"], [*parts, r"\infty"]
    if len(parts) != 3 or len(signs) != 2 or not NAME.fullmatch(parts[1]) or not {*signs}.isdisjoint({"", *MIRRORED}):
        return None
    opening, closing = "[" if signs[0] == r"\le" else "(", "]" if signs[1] == r"\le" else ")"
    key = exact.key(f"{opening}{parts[0]}, {parts[2]}{closing}")
    return None if key is None else (squeeze(parts[1]), key)
