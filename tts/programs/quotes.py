"""Which lines of a program lie inside a triple-quoted string, told without parsing it."""

from __future__ import annotations

import re

TOKEN = re.compile(
    r"""\\. | \"{3} | '{3} | "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | \#.*""",
    re.VERBOSE,
)
ENDS = {mark: re.compile(rf"\\.|{mark}") for mark in ('"""', "'''")}


def open_quote(line: str, inside: str = "") -> str:
    """Return the triple quote that is open after `line`, "" for none; `inside` is the one open before it."""
    position = 0
    while position < len(line):
        found = (ENDS[inside] if inside else TOKEN).search(line, position)
        if found is None:
            break
        position = found.end()
        if found.group() in ENDS:
            inside = "" if inside else found.group()
    return inside
