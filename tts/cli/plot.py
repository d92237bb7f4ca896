"""A small plot of lines of text: points at evenly spaced places, joined by dots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ASCII = str.maketrans("●○▲△◆◇·│└─┼", "oOxX*#.|+-+")
MARKS = "●▲○△◆◇"


@dataclass(frozen=True, slots=True)
class Curve:
    """One line: its mark, and a share in [0, 1] at each place; None: not known there."""

    mark: str
    values: tuple[float | None, ...]


def plot(curves: Sequence[Curve], labels: Sequence[str], *, width: int = 64, height: int = 11) -> list[str]:
    """Return the lines of a plot: shares from 0 to the largest, in per cent, one label under each place.

    Of two marks on one spot the earlier curve's is seen.
    """
    known = [value for curve in curves for value in curve.values if value is not None]
    most = max(known, default=0.0)
    top = next((step for step in (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8) if most <= step), 1.0)
    columns = [round(place * (width - 1) / max(1, len(labels) - 1)) for place in range(len(labels))]
    grid = [[" "] * width for _ in range(height)]
    for curve in reversed(curves):
        _join(grid, columns, [_row(value, top, height) for value in curve.values])
    for curve in reversed(curves):
        for column, value in zip(columns, curve.values, strict=True):
            if value is not None:
                grid[_row(value, top, height) or 0][column] = curve.mark
    return [*_framed(grid, top), f"     └{'─' * width}", f"      {_axis(columns, labels, width)}"]


def _row(value: float | None, top: float, height: int) -> int | None:
    return None if value is None else height - 1 - round(min(1.0, value / top) * (height - 1))


def _join(grid: list[list[str]], columns: Sequence[int], rows: Sequence[int | None]) -> None:
    """Dot the straight ways between neighbouring points."""
    for place in range(len(columns) - 1):
        start, end = rows[place], rows[place + 1]
        if start is None or end is None:
            continue
        left, right = columns[place], columns[place + 1]
        for column in range(left + 1, right):
            row = round(start + (end - start) * (column - left) / (right - left))
            grid[row][column] = "·"


def _framed(grid: list[list[str]], top: float) -> list[str]:
    last = len(grid) - 1
    ticks = {0: top, last // 2: top * (1 - (last // 2) / last), last: 0.0}
    return [
        f"{f'{100 * ticks[row]:.0f}' if row in ticks else '':>4} {'┼' if row in ticks else '│'}{''.join(line)}".rstrip()
        for row, line in enumerate(grid)
    ]


def _axis(columns: Sequence[int], labels: Sequence[str], width: int) -> str:
    """Return the labels, each ending or centred at its place, as far as they do not touch."""
    line = ""
    for column, label in zip(columns, labels, strict=True):
        start = min(max(0, column - len(label) // 2), width - len(label))
        if start > len(line) or not line:
            line = line.ljust(start) + label
    return line
