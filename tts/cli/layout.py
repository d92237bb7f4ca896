"""Sentences and tables on a terminal of any width: no word and no number is broken, and nothing is cut off.

Widths are in cells of the terminal. Only an ordinary space ends a line: the no-break space in `56.7 %` never does.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console

GAP = "  "

Heads = Sequence[Sequence[str]]
"""The titles of a table's columns, those that belong together as one group."""


def say(console: Console, text: str, style: str = "") -> None:
    """Print text as it is: to a terminal broken into lines between words, to a file as one line."""
    lines = [text]
    if console.is_terminal:
        lines = [line for paragraph in text.split("\n") for line in wrapped(paragraph, console.width)]
    for line in lines:
        console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


def wrapped(text: str, width: int) -> list[str]:
    """Return lines of at most `width` cells; a word that is longer stands on a line of its own, whole."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and cell_len(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def table(heads: Heads, rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Return the lines of a table: the first column to the left, the others, numbers, to the right.

    Groups of columns that do not fit beside the others come below, behind the first column again. Where the first
    column leaves no room for a group, its text stands on a line of its own above the figures.
    """
    titles = [title for group in heads for title in group]
    cells = [titles, *rows]
    sizes = [max(cell_len(row[place]) for row in cells) for place in range(len(titles))]

    # Each group as the places of its columns; the first column is none of them.
    first, *groups = (
        range(sum(map(len, heads[:number])), sum(map(len, heads[: number + 1]))) for number in range(len(heads))
    )
    assert len(first) == 1
    room = [sum(len(GAP) + sizes[place] for place in group) for group in groups]
    apart = sizes[0] + max(room, default=0) > width
    left = 0 if apart else sizes[0]

    blocks: list[list[int]] = []
    used = width
    for group, needed in zip(groups, room, strict=True):
        if not blocks or used + needed > width:
            blocks.append([])
            used = left
        blocks[-1] += group
        used += needed
    lines: list[str] = []
    for places in blocks:
        lines += [""] if lines else []
        for row in cells:
            name, figures = row[0], "".join(GAP + _right(row[place], sizes[place]) for place in places)
            lines += [name, figures] if apart else [name + " " * (left - cell_len(name)) + figures]
    return [line.rstrip(" ") for line in lines]


def _right(text: str, size: int) -> str:
    return " " * (size - cell_len(text)) + text
