"""The figures of a report: which charts there are, the same for the page and for files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tts.report.chart import GREY, Chart, Mark, Series, draw, round_range
from tts.report.data import Arm, Report
from tts.report.wording import count, decimal, interval, known, percent_range
from tts.runs.files import write_whole

COVERAGE, CHANCE = "pass@k", "random"
BAND = "Bands are 95 % intervals over problems; a filled range means that verdicts are undecided."


def charts(report: Report) -> list[Chart]:
    """Return the charts that the report has data for; all that show shares have one vertical axis."""
    drawn = [*_comparing(report), *_by_arm(report), _by_tokens(report), _distinct_answers(report)]
    return [chart for chart in drawn if any(series.marks for series in chart.series)]


def write_figures(report: Report, folder: Path, render: Callable[[str], bytes] | None) -> list[Path]:
    """Write each chart as SVG, and as PNG by `render` (see `tts.report.png`), into `folder`; return the files."""
    files = {}
    for chart in charts(report):
        svg = draw(chart)
        files[folder / f"{chart.name}.svg"] = svg.encode()
        if render is not None:
            files[folder / f"{chart.name}.png"] = render(svg)
    for file, content in files.items():
        write_whole(file, content)
    return list(files)


def _comparing(report: Report) -> Iterator[Chart]:
    """Yield the headline figure and coverage of all arms, where there are several."""
    if len(report.arms) < 2:
        return
    coverage = f"Coverage, {COVERAGE}: is any of k candidates right?"
    for figure, title in {report.headline: f"{report.headline} of each recipe", COVERAGE: coverage}.items():
        series = [_series(arm.name, arm, figure, look, band=True) for look, arm in enumerate(report.arms)]
        yield _of_shares(report, figure.replace("@", "-at-").replace("^", "-hat-"), title, series)


def _by_arm(report: Report) -> Iterator[Chart]:
    """Yield every figure of each arm, with bands around the headline and coverage alone.

    The headline comes first, a whole line below the dashes of what lies over it; figures that are the same at every k
    are one line.
    """
    found = [line.figure for arm in report.arms for line in arm.lines if line.figure != CHANCE]
    figures = dict.fromkeys(sorted(found, key=lambda figure: figure != report.headline))
    for number, arm in enumerate(report.arms, start=1):
        series = [
            _series(
                f"{figure} (oracle)" if figure == COVERAGE else figure,
                arm,
                figure,
                look,
                band=figure in {report.headline, COVERAGE},
            )
            for look, figure in [*enumerate(figures), (GREY, CHANCE)]
        ]
        alike: dict[tuple[str, ...], Series] = {}
        for one in series:
            key = tuple(map(str, one.marks))
            same = alike.setdefault(key, one)
            if same is not one:
                alike[key] = replace(same, name=f"{same.name} = {one.name}", look=min(same.look, one.look))
        yield _of_shares(report, f"arm-{number}", arm.name, [one for one in alike.values() if one.marks])


def _by_tokens(report: Report) -> Chart:
    series = [
        _series(arm.name, arm, report.headline, look, band=True, tokens=True) for look, arm in enumerate(report.arms)
    ]
    # Ticks at the powers of two between the marks; at the outermost marks where there are fewer than two.
    places = [mark.x for one in series for mark in one.marks]
    ticks = [2.0**power for power in range(64) if places and min(places) <= 2.0**power <= max(places)]
    if places and len(ticks) < 2:
        ticks = sorted({min(places), max(places)})
    return _of_shares(
        report,
        "tokens",
        f"{report.headline} by tokens spent on a problem",
        series,
        x_title="completion tokens a problem (log scale)",
        ticks=tuple((place, count(place)) for place in ticks),
    )


def _distinct_answers(report: Report) -> Chart:
    series = []
    for look, arm in enumerate(report.arms):
        pairs = zip(report.ks, arm.quality.distinct_answers, strict=False)  # none where nothing was drawn
        marks = (Mark(k, value, value, None, f"k = {k}", decimal(value)) for k, value in pairs if known(value))
        series.append(Series(arm.name, tuple(marks), look))
    return Chart(
        name="distinct-answers",
        title="Answers that differ among k candidates",
        description="The mean number over problems, by number of candidates k.",
        x_title="candidates k (log scale)",
        y_title="different answers",
        ticks=_k_ticks(report),
        y_range=round_range([0.0, *(mark.lower for one in series for mark in one.marks)]),
        y_label=decimal,
        series=tuple(series),
    )


def _of_shares(
    report: Report,
    name: str,
    title: str,
    series: Sequence[Series],
    *,
    x_title: str = "candidates k (log scale)",
    ticks: tuple[tuple[float, str], ...] | None = None,
) -> Chart:
    # In words, for those who cannot see it: the ends of each line.
    ends = [one.marks if len(one.marks) < 2 else (one.marks[0], one.marks[-1]) for one in series]
    told = [f"{one.name}: {'; '.join(map(str, marks))}." for one, marks in zip(series, ends, strict=True)]
    # One axis for all: it holds every share of the report with the intervals that are drawn.
    bounded = {report.headline, COVERAGE}
    values = [
        value
        for arm in report.arms
        for line in arm.lines
        for point in line.points
        for value in (point.lower, point.upper, *((point.interval_low, point.interval_high) * (line.figure in bounded)))
        if known(value)
    ]
    return Chart(
        name=name,
        title=title,
        description=f"{' '.join(told)} {BAND}",
        x_title=x_title,
        y_title="share of problems",
        ticks=_k_ticks(report) if ticks is None else ticks,
        y_range=round_range(values or [0.0, 1.0], most=1.0),
        y_label=lambda share: f"{round(100 * share, 1):g} %",
        series=tuple(series),
    )


def _series(name: str, arm: Arm, figure: str, look: int, *, band: bool, tokens: bool = False) -> Series:
    """Return the marks of an arm's figure, without points that are not known; by tokens, without those of none."""
    marks = []
    for point in arm.points(figure):
        if tokens and not (known(point.tokens) and point.tokens > 0):
            continue
        bounded = known(point.interval_low) and known(point.interval_high)
        marks.append(
            Mark(
                x=point.tokens if tokens else point.k,
                lower=point.lower,
                upper=point.upper,
                band=(point.interval_low, point.interval_high) if band and bounded else None,
                place=f"k = {point.k}" + (f", {count(point.tokens)} tokens" if tokens else ""),
                value=percent_range(point.lower, point.upper),
                bounds=interval(point.interval_low, point.interval_high) if bounded else "",
            )
        )
    return Series(name, tuple(marks), look)


def _k_ticks(report: Report) -> tuple[tuple[float, str], ...]:
    return tuple((k, str(k)) for k in sorted(report.ks))
