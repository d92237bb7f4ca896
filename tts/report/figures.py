"""The figures of a report: which charts there are, the same for the page and for files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tts.report.chart import GREY, Chart, Mark, Series, draw, round_range
from tts.report.data import Arm, Line, Point, Report
from tts.report.png import renderer
from tts.report.wording import count, decimal, interval, known, percent_range

COVERAGE, CHANCE = "pass@k", "random"
BAND = "Bands are 95 % intervals over problems; a filled range means that verdicts are undecided."


def charts(report: Report) -> list[Chart]:
    """Return the charts that the report has data for; all that show shares have one vertical axis."""
    drawn = [*_comparing(report), *_by_arm(report), _by_tokens(report), _distinct_answers(report)]
    return [chart for chart in drawn if any(series.marks for series in chart.series)]


def write_figures(report: Report, folder: Path) -> list[Path]:
    """Write each chart as SVG and PNG into `folder`, which is made; return the files.

    Raises UsageError where there is nothing to draw PNG with, before anything is written.
    """
    render = renderer()
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for chart in charts(report):
        svg = draw(chart)
        vector, pixels = (folder / f"{chart.name}.{kind}" for kind in ("svg", "png"))
        vector.write_text(svg, encoding="utf-8")
        pixels.write_bytes(render(svg))
        written += [vector, pixels]
    return written


def line_of(arm: Arm, figure: str) -> Line:
    """Return the arm's line of that figure; one without points where it has none."""
    return next((line for line in arm.lines if line.figure == figure), Line(figure, ()))


def _comparing(report: Report) -> Iterator[Chart]:
    """Yield the headline figure and coverage of all arms, where there are several."""
    if len(report.arms) < 2:
        return
    for figure in dict.fromkeys((report.headline, COVERAGE)):
        series = [_series(arm.name, line_of(arm, figure), look, band=True) for look, arm in enumerate(report.arms)]
        title = (
            f"Coverage, {figure}: is any of k candidates right?" if figure == COVERAGE else f"{figure} of each recipe"
        )
        yield _of_shares(report, _slug(figure), title, series)


def _by_arm(report: Report) -> Iterator[Chart]:
    """Yield every figure of each arm, with bands around the headline and coverage alone."""
    figures = dict.fromkeys(line.figure for arm in report.arms for line in arm.lines if line.figure != CHANCE)
    for number, arm in enumerate(report.arms, start=1):
        series = [
            _series(_legend(figure), line_of(arm, figure), look, band=figure in {report.headline, COVERAGE})
            for look, figure in [*enumerate(figures), (GREY, CHANCE)]
        ]
        yield _of_shares(report, f"arm-{number}", arm.name, [one for one in series if one.marks])


def _by_tokens(report: Report) -> Chart:
    series = [
        _series(arm.name, line_of(arm, report.headline), look, band=True, tokens=True)
        for look, arm in enumerate(report.arms)
    ]
    title = f"{report.headline} by tokens spent on a problem"
    places = [mark.x for one in series for mark in one.marks]
    ticks = tuple((place, count(place)) for place in _powers_of_two(places))
    return _of_shares(report, "tokens", title, series, x_title="completion tokens a problem (log scale)", ticks=ticks)


def _distinct_answers(report: Report) -> Chart:
    series = tuple(
        Series(arm.name, tuple(_distinct(*pair) for pair in _distinct_at(report, arm)), look)
        for look, arm in enumerate(report.arms)
    )
    values = [mark.lower for one in series for mark in one.marks]
    return Chart(
        name="distinct-answers",
        title="Answers that differ among k candidates",
        description="The mean number over problems, by number of candidates k.",
        x_title="candidates k (log scale)",
        y_title="different answers",
        ticks=_k_ticks(report),
        y_range=round_range([0.0, *values]),
        y_label=decimal,
        series=series,
    )


def _distinct_at(report: Report, arm: Arm) -> list[tuple[int, float]]:
    pairs = zip(report.ks, arm.quality.distinct_answers, strict=False)  # none where nothing was drawn
    return [(k, value) for k, value in pairs if known(value)]


def _distinct(k: int, value: float) -> Mark:
    return Mark(k, value, value, None, f"k = {k}", decimal(value))


def _of_shares(
    report: Report,
    name: str,
    title: str,
    series: Sequence[Series],
    *,
    x_title: str = "candidates k (log scale)",
    ticks: tuple[tuple[float, str], ...] | None = None,
) -> Chart:
    return Chart(
        name=name,
        title=title,
        description=f"{' '.join(_told(one) for one in series)} {BAND}",
        x_title=x_title,
        y_title="share of problems",
        ticks=_k_ticks(report) if ticks is None else ticks,
        y_range=_share_range(report),
        y_label=lambda share: f"{round(100 * share, 1):g} %",
        series=tuple(series),
    )


def _told(series: Series) -> str:
    """Return the ends of a line in words, for those who cannot see it."""
    ends = series.marks if len(series.marks) < 2 else (series.marks[0], series.marks[-1])
    return f"{series.name}: {'; '.join(map(str, ends))}."


def _series(name: str, line: Line, look: int, *, band: bool, tokens: bool = False) -> Series:
    """Return the line's marks, without points that are not known; by tokens, without those that cost none."""
    points = [point for point in line.points if known(point.lower) and known(point.upper)]
    shown = [point for point in points if not tokens or (known(point.tokens) and point.tokens > 0)]
    return Series(name, tuple(_mark(point, band, tokens) for point in shown), look)


def _mark(point: Point, band: bool, tokens: bool) -> Mark:
    bounded = known(point.interval_low) and known(point.interval_high)
    spent = f", {count(point.tokens)} tokens" if tokens else ""
    return Mark(
        x=point.tokens if tokens else point.k,
        lower=point.lower,
        upper=point.upper,
        band=(point.interval_low, point.interval_high) if band and bounded else None,
        place=f"k = {point.k}{spent}",
        value=percent_range(point.lower, point.upper),
        bounds=interval(point.interval_low, point.interval_high) if bounded else "",
    )


def _share_range(report: Report) -> tuple[float, float]:
    """Return the axis that holds every share of the report with the intervals that are drawn."""
    drawn = {report.headline, COVERAGE}
    values = [
        value
        for arm in report.arms
        for line in arm.lines
        for point in line.points
        for value in (point.lower, point.upper, *((point.interval_low, point.interval_high) * (line.figure in drawn)))
        if known(value)
    ]
    return round_range(values or [0.0, 1.0], most=1.0)


def _k_ticks(report: Report) -> tuple[tuple[float, str], ...]:
    return tuple((k, str(k)) for k in sorted(report.ks))


def _powers_of_two(places: Sequence[float]) -> list[float]:
    """Return the powers of two between the places; the places themselves where there are fewer than two."""
    if not places:
        return []
    inside = [2.0**power for power in range(64) if min(places) <= 2.0**power <= max(places)]
    return inside if len(inside) > 1 else sorted({min(places), max(places)})


def _legend(figure: str) -> str:
    return f"{figure} (oracle)" if figure == COVERAGE else figure


def _slug(figure: str) -> str:
    return figure.replace("@", "-at-").replace("^", "-hat-")
