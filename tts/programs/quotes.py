"""Which parts of a program's lines lie inside strings and comments, told without parsing it."""

from __future__ import annotations

import re

MASK = "\x01"
"""Stands for every character of a string or comment."""

TOKEN = re.compile(
    r"""\\. | \"{3} | '{3} | "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | \#.*""",
    re.VERBOSE,
)
ENDS = {mark: re.compile(rf"\\.|{mark}") for mark in ('"""', "'''")}


def open_quote(line: str, inside: str = "") -> str:
    """Return the triple quote that is open after `line`, "" for none; `inside` is the one open before it."""
    return masked(line, inside)[1]


def masked(line: str, inside: str = "") -> tuple[str, str]:
    """Return `line` with its strings and comments masked, and the triple quote that is open after it."""
    pieces = []
    position = 0
    while position < len(line):
        found = (ENDS[inside] if inside else TOKEN).search(line, position)
        start, end = found.span() if found else (len(line), len(line))
        pieces += [MASK * (start - position) if inside else line[position:start], MASK * (end - start)]
        position = end
        if found and found.group() in ENDS:
            inside = "" if inside else found.group()
    return "".join(pieces), inside
