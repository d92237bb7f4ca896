"""Inputs like the given ones: small random changes that keep the type, the sign and the shape of what they change."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

from tts.sandbox import Value

Arguments: TypeAlias = tuple[Value, ...]
Input = TypeVar("Input", str, Arguments)

TOKEN = re.compile(r"\S+")
INTEGER = re.compile(r"-?\d{1,18}")
ATTEMPTS = 8  # tries for each mutant that is wanted; few inputs have few neighbours


def mutants(inputs: Sequence[Input], count: int, seed: str) -> list[Input]:
    """Return up to `count` changed inputs, none twice and none of the given ones: a function of its arguments alone."""
    rng = random.Random(seed)
    seen = {repr(given) for given in inputs}
    found: list[Input] = []
    for _ in range(count * ATTEMPTS if inputs else 0):
        if len(found) == count:
            break
        given = rng.choice(inputs)
        if isinstance(given, str):
            mutant = _changed_text(given, rng)
        else:
            mutant = _changed_arguments(given, [other for other in inputs if len(other) == len(given)], rng)
        if repr(mutant) not in seen:
            seen.add(repr(mutant))
            found.append(mutant)
    return found


def _changed_arguments(given: Arguments, alike: Sequence[Arguments], rng: random.Random) -> Arguments:
    """Change one argument, or take it from another of the inputs."""
    if not given:
        return given
    place = rng.randrange(len(given))
    value = rng.choice(alike)[place] if rng.random() < 0.25 else changed(given[place], rng)
    return (*given[:place], value, *given[place + 1 :])


def _changed_text(given: str, rng: random.Random) -> str:
    """Change one token of a text, or swap it with another of its line; no token is added or removed."""
    lines = given.split("\n")
    places = [place for place, line in enumerate(lines) if line.strip()]
    if not places:
        return given
    place = rng.choice(places)
    tokens = list(TOKEN.finditer(lines[place]))
    token, other = rng.choice(tokens), rng.choice(tokens)
    word = other.group() if token is not other else _changed_word(token.group(), rng)
    lines[place] = lines[place][: token.start()] + word + lines[place][token.end() :]
    return "\n".join(lines)


def _changed_word(word: str, rng: random.Random) -> str:
    """Return a number near a number, else a word of the same letters with its signs and brackets in place."""
    if INTEGER.fullmatch(word):
        return str(_changed_int(int(word), rng))
    places = [place for place, character in enumerate(word) if character.isalnum()] or range(len(word))
    place = rng.choice(places)
    return word[:place] + word[rng.choice(places)] + word[place + 1 :]


def changed(value: Value, rng: random.Random) -> Value:
    """Return a value of the same type near `value`; itself, where none is known."""
    change = CHANGES.get(type(value))
    return change(value, rng) if change else value


def _changed_string(value: str, rng: random.Random) -> str:
    return _changed_word(value, rng) if INTEGER.fullmatch(value) else "".join(map(str, _rearranged([*value], rng)))


def _changed_list(value: list[Value], rng: random.Random) -> list[Value]:
    if not value or rng.random() >= 0.5:
        return _rearranged(value, rng)
    place = rng.randrange(len(value))
    return [*value[:place], changed(value[place], rng), *value[place + 1 :]]


def _changed_dict(value: dict[Value, Value], rng: random.Random) -> dict[Value, Value]:
    if not value:
        return value
    key = rng.choice(list(value))
    return {**value, key: changed(value[key], rng)}


def _changed_int(value: int, rng: random.Random) -> int:
    """Return a number of the same sign near `value`; 0 stays 0 or becomes 1."""
    size = abs(value)
    near = rng.choice((size + 1, max(size - 1, min(size, 1)), size // 2 or size, min(2 * size, size + 10), size + 3))
    return -near if value < 0 else near


def _rearranged(items: list[Value], rng: random.Random) -> list[Value]:
    """Drop, repeat or swap items, or turn them round; an only item stays."""
    if len(items) < 2:
        return [*items, *items]
    first, second = sorted(rng.sample(range(len(items)), 2))
    swapped = [*items[:first], items[second], *items[first + 1 : second], items[first], *items[second + 1 :]]
    dropped, repeated = [*items[:first], *items[first + 1 :]], [*items[:second], items[first], *items[second:]]
    return rng.choice((swapped, dropped, repeated, [*items[::-1]]))


CHANGES: dict[type, Callable[[Any, random.Random], Value]] = {
    bool: lambda value, _: not value,
    int: _changed_int,
    float: lambda value, rng: rng.choice((value / 2, value * 2, value + 0.5 if value >= 0 else value - 0.5)),
    str: _changed_string,
    list: _changed_list,
    tuple: lambda value, rng: tuple(_changed_list([*value], rng)),
    dict: _changed_dict,
}
