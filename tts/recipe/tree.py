"""A recipe before it is checked: values that know where they were written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

Scalar: TypeAlias = "str | int | float | bool | None"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was written: a line of a file, or an override (`line` None)."""

    source: str
    line: int | None = None
    folder: Path | None = None

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"


@dataclass(frozen=True, slots=True)
class Node:
    """One value of a recipe. `place` is where its key (or list item) stands; `quoted` tells `"8"` from `8`."""

    value: Scalar | list[Node] | dict[str, Node]
    place: Place
    quoted: bool = False

    def plain(self) -> Any:
        """Return the value without places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


def from_plain(value: Any, place: Place) -> Node:
    """Return the tree of plain data, everything at one place."""
    if isinstance(value, dict):
        return Node({str(key): from_plain(item, place) for key, item in value.items()}, place)
    if isinstance(value, list | tuple):
        return Node([from_plain(item, place) for item in value], place)
    return Node(value, place)


def as_section(node: Node) -> Node:
    """Write a bare name out: `greedy` is short for `{name: greedy}`."""
    return Node({"name": node}, node.place) if isinstance(node.value, str) else node


def merge(parent: Node, child: Node) -> Node:
    """Lay a child's tree over its parent's, key by key; lists and scalars are replaced whole.

    Where the child names another component, nothing of the parent's section is kept.
    """
    if isinstance(parent.value, dict) or isinstance(child.value, dict):
        parent, child = as_section(parent), as_section(child)
    above, below = child.value, parent.value
    if not isinstance(above, dict) or not isinstance(below, dict):
        return child
    if "name" in above and "name" in below and above["name"].value != below["name"].value:
        return child
    return Node(
        {**below, **{key: merge(below[key], above[key]) if key in below else above[key] for key in above}}, child.place
    )


def shown(node: Node) -> str:
    """Return the value as an error message shows it: at most 60 characters, strings in double quotes."""
    match node.value:
        case None:
            return "nothing"
        case dict():
            return f"a mapping with {', '.join(node.value)}" if node.value else "an empty mapping"
        case list():
            return f"a list of {len(node.value)}" if node.value else "an empty list"
        case str():
            text = json.dumps(node.value, ensure_ascii=False)
            return "the string " + (text if len(text) <= 60 else f'{text[:56]}…"')
        case _:
            return json.dumps(node.value)
