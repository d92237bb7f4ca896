r"""Answers that name their variable: `x = 5`, `x = 1 \text{ or } x = 2`, `x \in [1,2]`, `-2 \le x < 7`.

Only a name is a label that may be left out. The sides of any other equation (`5x - 7y + 4 = 0`, `-x = 5`) say nothing
apart. Names are letters with their marks, words, `f(x)`, and what geometry calls its quantities (`|AB|`, `AB:CD`).
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from typing import TypeAlias

from tts.verifiers.math import exact
from tts.verifiers.math.normal import FUNCTIONS, split, squeeze

Named: TypeAlias = tuple[str | None, Hashable]

LETTER = rf"(?:\\(?!(?:{FUNCTIONS}|sqrt|frac|text|infty|pm|mp|cdot|emptyset|cup|in)(?![a-z]))[A-Za-z]+|[A-Za-z])"
MARKS = r"(?: ?_ ?(?:\w|\{[^{}]*\}))?'*"
NAME = re.compile(
    rf"\((?P<letters>{LETTER}{MARKS}(?:, ?{LETTER}{MARKS})+)\)"
    rf"|(?:(?:\\Delta|d) ?)?(?:\\(?:hat|bar|vec|dot|overline) ?\{{?)?{LETTER}\}}?{MARKS}(?:\^\{{-1\}})?"
    rf"(?: ?\((?P<arguments>[A-Za-z0-9, ]*)\))?"
    r"|m? ?\\(?:angle|triangle) ?[A-Z]+'*|m?[A-Z]{2,}'*|\\text ?\{[^{}\\]*\}|(?P<words>[A-Za-z]+(?: [A-Za-z]+)*)"
    rf"|\| ?[A-Z]{{2,}} ?\||(?:[A-Z]{{2,}}|[A-Za-z]{MARKS})(?: ?: ?(?:[A-Z]{{2,}}|[A-Za-z]{MARKS}))+"
    r"|\\frac ?\{(?:[A-Z]{2}|d[a-z])\} ?\{(?:[A-Z]{2}|d[a-z])\}"
)
FUNCTION = re.compile(r"[A-Za-z]('*)\(([a-zA-Z])\)")
EQUALS, COMMA, IN = re.compile("="), re.compile("[,;]"), re.compile(r"\\in(?![a-zA-Z])")
ORDER = re.compile(r"\\(?:[lg]e|ne)(?![a-zA-Z])|[<>]")
UNIT = re.compile(r" ?\\text ?\{[^{}]*\}$")
APPROXIMATELY = re.compile(r"(.*?) ?\\approx ?(.*)")
ABSOLUTE = re.compile(r"\| ?([a-zA-Z]) ?([-+] ?(?:\d+(?:\.\d+)?|\\frac ?\{\d+\} ?\{\d+\}))? ?\|")
MIRRORED = {">": "<", r"\ge": r"\le"}


def assigned(text: str) -> tuple[str | None, str | None]:
    r"""Return (x, 5) for `x = 5`, `x = 2 + 3 = 5` or `x \in 5`; (None, text) for no relation; else twice None."""
    if ORDER.search(text):
        return None, None
    about = APPROXIMATELY.fullmatch(text)
    if about:
        text = f"{about[1]} = {about[2]}" if "=" not in about[1] and _is_name(about[1]) else about[1]
    parts = split(text, IN if IN.search(text) else EQUALS)
    if len(parts) == 1:
        return None, text
    if not all(parts) or (len(parts) > 2 and len(split(parts[-2], COMMA)) > 1):
        return None, None
    if _is_name(parts[0]):
        repeated = rf", ?{re.escape(parts[0])} ?= ?" if parts[0][0] == "(" else None
        return squeeze(parts[0]), re.sub(repeated, ", ", parts[-1]) if repeated else parts[-1]
    if len(parts) == 2 and _is_name(parts[1]):
        return squeeze(parts[1]), parts[0]
    numbers = all(exact.is_number(exact.key(part)) for part in (parts[0], UNIT.sub("", parts[-1])))
    return None, parts[-1] if numbers else None


def letters(variable: str) -> list[str]:
    """Return x and y of `(x,y)`; nothing for any other name."""
    name = NAME.fullmatch(variable)
    return re.split(", ?", name["letters"]) if name and name["letters"] else []


def solved(text: str, leaf: exact.Leaf | None = None) -> tuple[str | None, list[Hashable]] | None:
    """Return the variable and the keys of an inequality or of several relations; None where they have no reading.

    `x = 1, x = 2` is a set of values of x, `x < 1, x > 3` a union; `x = 1, y = 2` has no one variable. The further keys
    of the last are those of its values without their names.
    """
    relations: list[tuple[str, Hashable]] = []
    items = split(text, COMMA)
    if r"\ne" in items[0] and all(ORDER.findall(item) in ([r"\ne"], []) for item in items):  # x ≠ 1, 2 and x ≠ 1, x ≠ 2
        sides = [split(item, ORDER) for item in items]
        if {*(side[0] for side in sides if len(side) == 2)} == {sides[0][0]}:
            items = [rf"{sides[0][0]} \ne {', '.join(side[-1] for side in sides)}"]
    for item in items:
        if ORDER.search(item):
            relation = _inequality(item, leaf)
        else:
            name, value = assigned(item)
            name = name if value != item else (relations[-1][0] if relations else None)  # `x = 1, 2`
            key = exact.key(value, leaf) if name and value else None
            relation = None if key is None else (str(name), key)
        if relation is None:
            return None
        relations.append(relation)
    names, keys = [name for name, _ in relations], [key for _, key in relations]
    if len({*names}) > 1:
        return None, _systems(names, relations)
    key = exact.ranges(keys) if ORDER.search(text) else exact.collect(keys)
    return None if key is None else (names[0], [key])


def system(names: Sequence[str], values: Sequence[Hashable]) -> list[Hashable]:
    """Return the keys of named values: with their names, as a tuple in the order of the names, and as a set."""
    order = [*zip(names, values, strict=True)]
    plain = [name.strip("\\") for name in names]
    if all(len(name) == 1 for name in plain) and ord(max(plain)) - ord(min(plain)) == len(plain) - 1:
        order.sort(key=lambda pair: pair[0])  # x, y, z as they follow each other, in whichever order they were given
    return [("relations", frozenset(order)), ("tuple", tuple(value for _, value in order)), exact.collect(values)]


def _systems(names: list[str], relations: list[tuple[str, Hashable]]) -> list[Hashable]:
    """Return the keys of one system, or of a set of systems: `p = 5, q = 2; p = 7, q = 2`."""
    size = len({*names})
    blocks = [relations[start : start + size] for start in range(0, len(relations), size)]
    if len(blocks) > 1 and all(
        names[: len(block)] == [name for name, _ in block] and len(block) == size for block in blocks
    ):
        systems = [system(names[:size], [key for _, key in block]) for block in blocks]
        return [exact.collect(keys) for keys in zip(*systems, strict=True)][:2]
    return system(names, [key for _, key in relations]) if size == len(names) else [("relations", frozenset(relations))]


def _is_name(text: str) -> bool:
    name = NAME.fullmatch(text)
    return bool(name and (not name["words"] or len(text) > 3 or exact.word(text)))


def _inequality(text: str, leaf: exact.Leaf | None) -> tuple[str, Hashable] | None:
    """Return a range of values of one variable as the interval or union that it is."""
    signs, parts = ORDER.findall(text), split(text, ORDER)
    if signs == [r"\ne"] and _is_name(parts[0]):
        key = exact.key(rf"\mathbb{{R}} \setminus \{{{parts[1]}\}}", leaf)
        return None if key is None else (squeeze(parts[0]), key)
    # Everything reads from the smaller to the larger, and −x < 1 is x > −1.
    negative = any(part.startswith("-") and _is_name(part[1:]) for part in parts)
    if signs[0] in MIRRORED:
        signs, parts = [MIRRORED.get(sign, "") for sign in reversed(signs)], parts[::-1]
    if negative:
        signs, parts = signs[::-1], [part[1:] if _is_name(part[1:]) else f"-({part})" for part in reversed(parts)]
    if len(parts) == 2:
        first = _is_name(parts[0]) or ABSOLUTE.fullmatch(parts[0])
        signs, parts = (["<", *signs], [r"-\infty", *parts]) if first else ([*signs, "<"], [*parts, r"\infty"])
    if len(parts) != 3 or len(signs) != 2 or not {*signs} <= {"<", r"\le"}:
        return None
    low, name, high = parts
    opening, closing = "[" if signs[0] == r"\le" else "(", "]" if signs[1] == r"\le" else ")"
    spans = [(opening, low, high, closing)]
    if size := ABSOLUTE.fullmatch(name):  # |x - 1| <= 2 is [-2, 2], moved by 1
        name, start = size[1], "[" if closing == "]" else "("
        mirrored = (start, f"-({high})", f"-({low})", "]" if opening == "[" else ")")
        spans = [(start, f"-({high})", high, closing)] if low == r"-\infty" else [mirrored, *spans]
        shift = f"-({size[2]})" if size[2] else ""
        moved = {end: end if "infty" in end else end + shift for span in spans for end in span[1:3]}
        spans = [(begin, moved[low], moved[high], end) for begin, low, high, end in spans]
    span = r" \cup ".join(f"{opening}{low}, {high}{closing}" for opening, low, high, closing in spans)
    if not _is_name(name):
        return None
    key = exact.key(span.replace(r"-(\infty)", r"-\infty").replace(r"-(-\infty)", r"\infty"), leaf)
    return None if key is None else (squeeze(name), key)
