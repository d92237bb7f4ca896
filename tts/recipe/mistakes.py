"""What is wrong with a recipe: one readable line each, in our words rather than pydantic's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tts.components.component import Section
from tts.errors import RecipeError, near, nearest
from tts.recipe.tree import Node, Place, shown

_MUST_BE: Final = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "string_type": "a string",
    "bool_type": "true or false",
    "none_required": "empty",
    "tuple_type": "a list",
    "list_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "not_built": "a {word}: its name, or a mapping with `name` and its keys",
    "greater_than_equal": "≥ {ge}",
    "greater_than": "> {gt}",
    "less_than_equal": "≤ {le}",
    "less_than": "< {lt}",
    "multiple_of": "a multiple of {multiple_of}",
    "finite_number": "a finite number",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "string_too_short": "a string of at least {min_length} characters",
    "string_too_long": "a string of at most {max_length} characters",
    "string_pattern_mismatch": "a string that matches {pattern}",
    "too_short": "a list of at least {min_length}",
    "too_long": "a list of at most {max_length}",
}


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong, and where."""

    place: Place
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


def refusal(mistakes: Iterable[Mistake]) -> RecipeError:
    """Return the error that lists all mistakes: file by file in the order of the lines, then those in overrides."""
    distinct = list(dict.fromkeys(mistakes))
    sources = list(dict.fromkeys(mistake.place.source for mistake in distinct))
    distinct.sort(key=lambda at: (at.place.line is None, sources.index(at.place.source), at.place.line or 0))
    return RecipeError("\n".join(map(str, distinct)))


@dataclass(frozen=True, slots=True)
class Subject:
    """A section that is being checked: its class, its tree, its dotted key ("" at the top), and what it is called."""

    kind: type[Section]
    node: Node
    path: str
    title: str
    own_key: str = "name"

    def below(self, keys: Iterable[str]) -> str:
        """Return the dotted key of something inside."""
        return ".".join(filter(None, [self.path, *keys]))


def explain(error: ValidationError, subject: Subject) -> Iterator[Mistake]:
    """Yield pydantic's complaints about a section as mistakes.

    Complaints about one value (it fits no member of a union) become one mistake.
    """
    grouped: dict[tuple[str, ...], tuple[Node, list[ErrorDetails]]] = {}
    complaints_made = error.errors(include_url=False)
    unknown = [details["loc"] for details in complaints_made if details["type"] == "extra_forbidden"]
    # a key may only be missing because it is misspelt
    single = [str(place[0]) for place in unknown if len(place) == 1]
    misspelt: set[tuple[str, ...]] = {(key,) for word in single for key in near(word, subject.kind.model_fields)[:1]}
    for details in complaints_made:
        if not _follows(details, misspelt):
            node, keys = _located(details, subject)
            grouped.setdefault(keys, (node, []))[1].append(details)
    for keys, (node, complaints) in grouped.items():
        yield Mistake(node.place, _text(subject, keys, node, complaints))


def _follows(details: ErrorDetails, misspelt: set[tuple[str, ...]]) -> bool:
    """Tell whether a complaint only follows from another one.

    What is wrong with a component is noted where it is built; pydantic does not count a list's items that are wrong;
    and a key is missing because it is misspelt.
    """
    match details["type"]:
        case "not_built":
            return details["input"] is not None
        case "too_short":
            return len(details["input"]) > int(details["ctx"]["actual_length"])
        case "missing":
            return details["loc"] in misspelt
    return False


def _located(details: ErrorDetails, subject: Subject) -> tuple[Node, tuple[str, ...]]:
    """Return the value that pydantic complains about, and its keys below the section.

    What is missing is looked for where it should stand. What the location says beyond the recipe's own keys (a member
    of a union) is left out. A complaint about the whole section that begins with a key is about that key.
    """
    node, keys = subject.node, list[str]()
    location = details["loc"]
    named = re.match(r"`(\w+)`", _own_words(details))
    if not location and named and named[1] in subject.kind.model_fields:
        location = (named[1],)
    for depth, part in enumerate(location, start=1):
        if isinstance(node.value, dict) and part in node.value:
            node = node.value[str(part)]
        elif isinstance(node.value, list) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
        elif details["loc"] and (depth < len(location) or details["type"] != "missing"):
            continue
        keys.append(str(part))
    return node, tuple(keys)


def _own_words(details: ErrorDetails) -> str:
    """Return what a component's own check says."""
    return details["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")


def _text(subject: Subject, keys: tuple[str, ...], node: Node, complaints: list[ErrorDetails]) -> str:
    first, path = complaints[0], subject.below(keys)
    match first["type"]:
        case "missing":
            field = subject.kind.model_fields.get(keys[0]) if len(keys) == 1 else None
            about = f": {' '.join(field.description.split())}" if field and field.description else ""
            return f"`{path}` is missing{about}"
        case "extra_forbidden" if len(keys) != 1:
            return f"`{path}` is no key that is known here"
        case "extra_forbidden":
            valid = [subject.own_key, *subject.kind.model_fields]
            return f"`{path}` is no key of {subject.title}.{nearest(keys[0], valid)} The keys are: {', '.join(valid)}"
        case "value_error" | "assertion_error":
            return _own_complaint(path, keys, node, _own_words(first))
    wanted = " or ".join(dict.fromkeys(_must_be(details) for details in complaints))
    return f"`{path}` must be {wanted}, got {shown(node)}{_advice(node, complaints)}"


def _own_complaint(path: str, keys: tuple[str, ...], node: Node, words: str) -> str:
    """Return what a component's own check says, with the dotted key before it and the value where it is left out."""
    words = words.removeprefix(f"`{keys[-1]}` " if keys else "")
    if not words.startswith("must "):
        return f"`{path}`: {words}"
    constraint, colon, advice = words.partition(": ")
    got = "" if "got " in words or isinstance(node.value, dict) else f", got {shown(node)}"
    return f"`{path}` {constraint}{got}{colon}{advice}"


def _must_be(details: ErrorDetails) -> str:
    if details["type"] not in _MUST_BE:
        return re.sub(r"^Input should be ", "", details["msg"])
    return _MUST_BE[details["type"]].format_map({k: _number(v) for k, v in details.get("ctx", {}).items()})


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _advice(node: Node, complaints: list[ErrorDetails]) -> str:
    """Return what to do about a value of the wrong type, where that is sure."""
    types = {details["type"] for details in complaints}
    if not isinstance(node.value, str):
        return ""
    if node.quoted and types & {"int_type", "float_type", "bool_type"}:
        return ": remove the quotes"
    if "bool_type" in types:
        return ": write true or false"
    options = [match for details in complaints for match in re.findall(r"'([^']*)'", str(details.get("ctx")))]
    return f".{nearest(node.value, options)}" if "literal_error" in types else ""
