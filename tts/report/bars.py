"""Bars and dots as SVG, in the looks of `tts.report.chart`: how many problems there are of a kind."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tts.errors import plural
from tts.report.chart import (
    BOTTOM,
    FAINT,
    GRID,
    LEFT,
    PLOT_HEIGHT,
    RIGHT,
    WIDTH,
    Series,
    below,
    colour,
    document,
    escaped,
    grid,
    inked,
    legend,
    round_range,
)
from tts.report.wording import shortened

LARGEST, SMALLEST = 15.0, 2.5
"""The radii of a dot."""


@dataclass(frozen=True, slots=True)
class Bars:
    """Beside each other for each of `labels`, a bar for each of `names`: how many problems, [names, labels]."""

    name: str
    title: str
    description: str
    x_title: str
    labels: tuple[str, ...]
    names: tuple[str, ...]
    numbers: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Dots:
    """Two shares against each other: (x, y, number of problems), the number being the dot's area."""

    name: str
    title: str
    description: str
    x_title: str
    y_title: str
    dots: tuple[tuple[float, float, int], ...]


def draw_bars(bars: Bars) -> str:
    """Return the bars as an SVG document that stands alone; each says its number when pointed at."""
    named, top = legend([Series(name, (), look) for look, name in enumerate(bars.names)])
    bottom = top + PLOT_HEIGHT
    most = round_range([0.0, float(max(map(max, bars.numbers)))])[1]
    lines = [*named, *_scale([(bottom - value / most * PLOT_HEIGHT, f"{value:g}") for value in grid(0.0, most)])]
    slot = (WIDTH - LEFT - RIGHT) / len(bars.labels)
    width = slot * 0.8 / len(bars.names)
    for place, label in enumerate(bars.labels):
        left = LEFT + slot * (place + 0.1)
        for look, (name, numbers) in enumerate(zip(bars.names, bars.numbers, strict=True)):
            tall = numbers[place] / most * PLOT_HEIGHT
            told = escaped(f"{name}, {label}: {plural(numbers[place], 'problem')}")
            lines.append(
                f'<g><title>{told}</title><rect x="{left + look * width:.1f}" y="{bottom - tall:.1f}" '
                f'width="{max(width - 1.5, 0.5):.1f}" height="{tall:.1f}" {colour("fill", look)}/></g>'
            )
        lines.append(below(left + slot * 0.4, bottom + 19, label))
    lines += _titles(bars.x_title, "problems", top, bottom)
    return document(bars.name, bars.title, bars.description, round(bottom + BOTTOM), lines)


def draw_dots(dots: Dots) -> str:
    """Return the dots as an SVG document that stands alone, with the diagonal on which both are equal."""
    wide, side = WIDTH - LEFT - RIGHT - 2 * LARGEST, PLOT_HEIGHT
    top, left = 66.0, LEFT + LARGEST
    bottom = top + side
    lines = list(_scale([(bottom - value * side, f"{100 * value:g} %") for value in grid(0.0, 1.0)]))
    lines += [below(left + value * wide, bottom + 28, f"{100 * value:g} %") for value in grid(0.0, 1.0)]
    lines.append(f'<path class="faint" stroke="{FAINT}" d="M{left} {bottom}L{left + wide} {top}"/>')
    most = max(number for *_, number in dots.dots)
    for x, y, number in sorted(dots.dots, key=lambda one: -one[2]):  # small ones lie on top
        radius = max(LARGEST * math.sqrt(number / most), SMALLEST) if most > 1 else SMALLEST + 1
        told = escaped(f"{dots.x_title} {100 * x:.4g} %, {dots.y_title} {100 * y:.4g} %: {plural(number, 'problem')}")
        lines.append(
            f'<g><title>{told}</title><circle cx="{left + x * wide:.1f}" cy="{bottom - y * side:.1f}" '
            f'r="{radius:.1f}" {colour("fill", 0)} fill-opacity="0.45" /></g>'
        )
    lines += _titles(dots.x_title, dots.y_title, top, bottom, 46)
    return document(dots.name, dots.title, dots.description, round(bottom + BOTTOM + 8), lines)


def _scale(places: Sequence[tuple[float, str]]) -> Iterator[str]:
    for y, label in places:
        yield f'<path class="grid" stroke="{GRID}" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
        yield f'<text x="{LEFT - 7}" y="{y + 4:.1f}" text-anchor="end" {inked(FAINT)}>{escaped(label)}</text>'


def _titles(x_title: str, y_title: str, top: float, bottom: float, drop: float = 38) -> Iterator[str]:
    yield f'<path class="faint" stroke="{FAINT}" d="M{LEFT} {bottom:.1f}H{WIDTH - RIGHT}"/>'
    yield below((LEFT + WIDTH - RIGHT) / 2, bottom + drop, shortened(x_title, 60))
    yield f'<text x="0" y="{top - 22:.1f}" {inked(FAINT)}>{escaped(shortened(y_title, 60))}</text>'
