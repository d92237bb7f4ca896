"""A line chart with bands as SVG: one writer for the page and for files. Presentation attributes only, no style.

Nine lines have nine colours, the first of which colour-blind people can tell apart (after Okabe and Ito 2008); more
than nine nobody can, so each series also has a dash pattern and a marker, and no two have all three in common. The page
gives the classes `ink`, `faint`, `grid` and `fill-0` … other colours in the dark.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from tts.report.wording import NBSP, shortened, visible

COLOURS = (
    *("#0067a5", "#c44e00", "#00795a", "#a63d83", "#7a6a00"),
    *("#6a4fc4", "#0a8f9e", "#c2183c", "#6f4423", "#5b5b66"),
)
DASHES = ("", "7 4", "2 3", "9 3 2 3", "12 4", "4 2", "1 4")
GUESSED = "3 4"
GREY = -1  # the look of a line to measure others by: it has the last colour, which no other line gets
MARKERS = ("circle", "square", "triangle", "diamond")
WIDTH, PLOT_HEIGHT = 520, 270
LEFT, RIGHT, BOTTOM = 46, 14, 44
INK, FAINT, GRID = "#22252b", "#5f6570", "#e3e5e9"
FONT = "font-family=\"system-ui, 'Segoe UI', 'Liberation Sans', 'DejaVu Sans', Arial, sans-serif\""


@dataclass(frozen=True, slots=True)
class Mark:
    """A figure at one place: a range `lower` … `upper`, and the band around it (None: there is none).

    `bar` is a second one, an upright stroke. `place`, `value` and `bounds` say the same in words; `bounds` is empty
    where there is no interval.
    """

    x: float
    lower: float
    upper: float
    band: tuple[float, float] | None
    place: str
    value: str
    bounds: str = ""
    bar: tuple[float, float] | None = None

    def __str__(self) -> str:
        return f"{self.place}: {self.value}" + (f" (95{NBSP}%: {self.bounds})" if self.bounds else "")


@dataclass(frozen=True, slots=True)
class Series:
    """One line. `look` numbers its colour, dashes and marker; one that is `guessed` is dotted, its markers hollow."""

    name: str
    marks: tuple[Mark, ...]
    look: int
    guessed: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """What to draw. The horizontal axis is logarithmic (base 2); `ticks` are the places it names."""

    name: str
    title: str
    description: str
    x_title: str
    y_title: str
    ticks: tuple[tuple[float, str], ...]
    y_range: tuple[float, float]
    y_label: Callable[[float], str]
    series: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where the plot lies, and where a value lies in it."""

    chart: Chart
    top: float

    @property
    def bottom(self) -> float:
        return self.top + PLOT_HEIGHT

    def x(self, value: float) -> float:
        places = [math.log2(mark.x) for series in self.chart.series for mark in series.marks]
        low, high = min(places), max(places)
        share = (math.log2(value) - low) / (high - low) if high > low else 0.5
        return LEFT + 12 + share * (WIDTH - LEFT - RIGHT - 24)

    def y(self, value: float) -> float:
        low, high = self.chart.y_range
        return self.bottom - (min(max(value, low), high) - low) / (high - low) * PLOT_HEIGHT


def draw(chart: Chart) -> str:
    """Return the chart as an SVG document that stands alone; every mark says its value when pointed at."""
    named, top = legend(chart.series)
    frame = _Frame(chart, top)
    drawn = [
        *named,
        *_axes(frame),
        *(line for place, series in enumerate(chart.series) for line in _band(frame, series, place)),
        *(line for place, series in enumerate(chart.series) for line in _line(frame, series, place)),
    ]
    return document(chart.name, chart.title, chart.description, round(frame.bottom + BOTTOM), drawn)


def document(name: str, title: str, description: str, height: int, lines: Iterable[str]) -> str:
    """Return an SVG document of that height, with its title above the lines."""
    key = quoteattr(f"{name}-title {name}-text")
    written = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-labelledby={key} {FONT} font-size="12">',
        f'<title id="{name}-title">{escaped(title)}</title>',
        f'<desc id="{name}-text">{escaped(description)}</desc>',
        f'<text x="0" y="15" font-size="14" font-weight="600" {inked(INK)}>{escaped(shortened(title, 60))}</text>',
        *lines,
        "</svg>",
    ]
    return "\n".join(written) + "\n"


def legend(named: Sequence[Series]) -> tuple[list[str], float]:
    """Return the legend's entries, as many a row as fit, and where the plot begins below them."""
    lines, x, y = [], 0.0, 36.0
    for series in named:
        name = shortened(series.name, 48)
        width = 44 + 7 * len(name)
        if x and x + width > WIDTH:
            x, y = 0.0, y + 18
        lines.append(_stroke([(x, y - 4), (x + 26, y - 4)], series) + _marker(x + 13, y - 4, series))
        lines.append(f'<text x="{x + 32:.0f}" y="{y:.0f}" {inked(INK)}>{escaped(name)}</text>')
        x += width
    return lines, y + 36


def _axes(frame: _Frame) -> Iterator[str]:
    chart = frame.chart
    for value in grid(*chart.y_range):
        y = frame.y(value)
        ruled = f'class="faint" stroke="{FAINT}"' if value == 0 > chart.y_range[0] else f'class="grid" stroke="{GRID}"'
        yield f'<path {ruled} d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
        label = escaped(chart.y_label(value))
        yield f'<text x="{LEFT - 7}" y="{y + 4:.1f}" text-anchor="end" {inked(FAINT)}>{label}</text>'
    end = -math.inf
    for value, label in chart.ticks:
        x, half = frame.x(value), 3.6 * len(label) + 3
        if x - half < end:
            continue  # it would touch the label before it
        end = x + half
        yield f'<path class="faint" stroke="{FAINT}" d="M{x:.1f} {frame.bottom:.1f}v5"/>'
        yield below(x, frame.bottom + 19, label)
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield f'<path class="faint" stroke="{FAINT}" d="M{LEFT} {frame.bottom:.1f}H{WIDTH - RIGHT}"/>'
    yield below(middle, frame.bottom + 38, chart.x_title)
    yield f'<text x="0" y="{frame.top - 14:.1f}" {inked(FAINT)}>{escaped(chart.y_title)}</text>'


def _band(frame: _Frame, series: Series, place: int) -> Iterator[str]:
    marks = [(mark, mark.band) for mark in series.marks if mark.band is not None]
    if len(marks) > 1:
        above = [(frame.x(mark.x), frame.y(band[1])) for mark, band in marks]
        below = [(frame.x(mark.x), frame.y(band[0])) for mark, band in reversed(marks)]
        yield f'<path {colour("fill", series.look)} fill-opacity="0.13" d="{_path([*above, *below])}Z"/>'
    elif marks:
        mark, band = marks[0]
        x = _dodged(frame, mark, place)
        ends = [(x, frame.y(band[0])), (x, frame.y(band[1]))]
        yield f'<path {colour("stroke", series.look)} stroke-opacity="0.6" fill="none" d="{_path(ends)}"/>'


def _line(frame: _Frame, series: Series, place: int) -> Iterator[str]:
    """Yield the line; where undecided verdicts make ranges, both ends, and what is between filled if it has a band."""
    at = [(_dodged(frame, mark, place), frame.y(mark.lower), frame.y(mark.upper)) for mark in series.marks]
    upper, lower = [(x, high) for x, _, high in at], [(x, low) for x, low, _ in at]
    if upper != lower:
        if any(mark.band for mark in series.marks):
            outline = _path([*upper, *reversed(lower)])
            yield f'<path {colour("fill", series.look)} fill-opacity="0.25" d="{outline}Z"/>'
        yield _stroke(upper, series)
    yield _stroke(lower, series)
    for mark, (x, low, high) in zip(series.marks, at, strict=True):
        ends = sorted({low, high})
        drawn = "".join(_marker(x, y, series) for y in ends)
        if len(ends) > 1:
            drawn += _stroke([(x, low), (x, high)], series)
        if mark.bar is not None:
            reach = _path((x, frame.y(end)) for end in mark.bar)
            drawn += f'<path {colour("stroke", series.look)} stroke-width="1.2" fill="none" d="{reach}"/>'
        yield f"<g><title>{escaped(f'{series.name}, {mark}')}</title>{drawn}</g>"


def _dodged(frame: _Frame, mark: Mark, place: int) -> float:
    """Return where a mark stands: series stand side by side where the axis has only one place."""
    alone = len({mark.x for series in frame.chart.series for mark in series.marks}) == 1
    return frame.x(mark.x) + (26 * (place - (len(frame.chart.series) - 1) / 2) if alone else 0)


def _marker(x: float, y: float, series: Series) -> str:
    shape = {
        "circle": f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.6" {{}}/>',
        "square": f'<rect x="{x - 3.4:.1f}" y="{y - 3.4:.1f}" width="6.8" height="6.8" {{}}/>',
        "triangle": f'<path d="M{x:.1f} {y - 4.4:.1f}l4.4 7.6h-8.8Z" {{}}/>',
        "diamond": f'<path d="M{x:.1f} {y - 5:.1f}l5 5l-5 5l-5 -5Z" {{}}/>',
    }[MARKERS[series.look % len(MARKERS)]]
    if series.guessed:
        return shape.format(f'{colour("stroke", series.look)} fill="none" stroke-width="1.5"')
    return shape.format(colour("fill", series.look))


def _stroke(points: Sequence[tuple[float, float]], series: Series) -> str:
    dashes = GUESSED if series.guessed else DASHES[series.look % len(DASHES)]
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<path {colour("stroke", series.look)} fill="none" stroke-width="2"{dashed} d="{_path(points)}"/>'


def colour(attribute: str, look: int) -> str:
    """Return `fill` or `stroke` in the colour of a look."""
    number = len(COLOURS) - 1 if look == GREY else look % (len(COLOURS) - 1)
    return f'class="{attribute}-{number}" {attribute}="{COLOURS[number]}"'


def inked(colour: str) -> str:
    """Return how text in `INK` or `FAINT` is filled."""
    return f'class="{"ink" if colour == INK else "faint"}-text" fill="{colour}"'


def _path(points: Iterable[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def below(x: float, y: float, label: str) -> str:
    """Return a label of the horizontal axis, centred."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" {inked(FAINT)}>{escaped(label)}</text>'


def escaped(text: str) -> str:
    """Return text that reads as it stands, as SVG has it."""
    return escape(visible(text))


def grid(low: float, high: float) -> list[float]:
    """Return four to eight round values from `low` to `high`, both kept where they are round."""
    step = _round_step((high - low) / 5)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def round_range(values: Sequence[float], most: float = math.inf, least: float = 0.0) -> tuple[float, float]:
    """Return round bounds around the values, from at least `least` up to at most `most`."""
    low, high = min(values), max(values)
    step = _round_step(max(high - low, 0.05 * max(abs(high), 1e-9)) / 4)
    bottom, top = max(least, math.floor(low / step) * step), min(most, math.ceil(high / step) * step)
    return (bottom, top) if top > bottom else (max(least, bottom - step), bottom + step if bottom < most else bottom)


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * (1 - 1e-9))
