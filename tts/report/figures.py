"""The figures of a report: which charts there are, the same for the page and for files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tts.metrics.matched import undominated
from tts.report.bars import draw_bars, draw_dots
from tts.report.chart import COLOURS, GREY, Chart, Mark, Series, draw, round_range
from tts.report.data import Report
from tts.report.further import beyond, differences, gap
from tts.report.marks import K_TITLE, k_ticks, series_of
from tts.report.rates import bars, dots
from tts.report.wording import COSTS, amount, count, decimal, interval, known, percent_range
from tts.runs.files import write_whole

COVERAGE, CHANCE = "pass@k", "random"
NO_CHOICES = {CHANCE, COVERAGE, "pass^k", "first"}
BAND = "Bands are 95 % intervals over problems; a filled range means that verdicts are undecided."


def charts(report: Report) -> list[Chart]:
    """Return the charts that the report has data for; all that show shares have one vertical axis."""
    beside = _by_cost(report) if report.axis == "k" else [_by_k(report)]
    over_k = [*differences(report), *_by_arm(report), *gap(report), *beside, *beyond(report)]
    drawn = [*_comparing(report), *over_k, _distinct_answers(report)]
    return [chart for chart in drawn if any(series.marks for series in chart.series)]


def write_figures(report: Report, folder: Path, render: Callable[[str], bytes] | None) -> list[Path]:
    """Write each chart as SVG, and as PNG by `render` (see `tts.report.png`), into `folder`; return the files."""
    files = {}
    drawn = {chart.name: draw(chart) for chart in charts(report)}
    spread = bars(report)
    drawn |= {} if spread is None else {spread.name: draw_bars(spread)}
    drawn |= {one.name: draw_dots(one) for one in dots(report)}
    for name, svg in drawn.items():
        files[folder / f"{name}.svg"] = svg.encode()
        if render is not None:
            files[folder / f"{name}.png"] = render(svg)
    for file, content in files.items():
        write_whole(file, content)
    return list(files)


def _comparing(report: Report) -> Iterator[Chart]:
    """Yield the headline figure and coverage of all arms, where there are several or the axis is a cost.

    On an axis of costs the headline has the stopping rules beside it, and the frontier.
    """
    if len(report.arms) < 2 and report.axis == "k":
        return
    coverage = f"Coverage, {COVERAGE}: is any of k candidates right?"
    for figure, title in {report.headline: f"{report.headline} of each recipe", COVERAGE: coverage}.items():
        series = [series_of(report, arm.name, arm, figure, look, band=True) for look, arm in enumerate(report.arms)]
        if figure == report.headline and report.axis != "k":
            series += [*_stopping(report, len(series)), _frontier(report)]
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
            series_of(
                report,
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


def _stopping(report: Report, look: int) -> Iterator[Series]:
    """Yield what stopping rules would have bought on the candidates of each arm that is a pool."""
    for arm in report.arms:
        for line in arm.stopping:
            costs = [(point, getattr(point.budget, report.axis)) for point in line.points]
            marks = (
                Mark(
                    cost,
                    point.lower,
                    point.upper,
                    None,
                    f"{decimal(point.setting)}, {amount(cost, report.axis)}",
                    percent_range(point.lower, point.upper),
                    interval(point.interval_low, point.interval_high),
                )
                for point, cost in costs
                if known(cost) and cost > 0
            )
            yield Series(f"{line.rule} on {arm.name}", tuple(marks), look)
            look += 1


def _frontier(report: Report) -> Series:
    """Return what nothing dominates."""
    marks = (
        Mark(
            one.cost,
            one.lower,
            one.lower,
            None,
            f"{one.arm}, {one.at}, {amount(one.cost, report.axis)}",
            percent_range(one.lower, one.upper),
        )
        for one in report.frontier
        if one.cost > 0
    )
    return Series("frontier", tuple(marks), GREY)


def _by_cost(report: Report) -> Iterator[Chart]:
    """Yield every selector's line against tokens, and against FLOPs where they are known, with what nothing dominates.

    Of more lines than can be told apart, the headline's alone.
    """
    choices = {line.figure for arm in report.arms for line in arm.lines} - NO_CHOICES | {report.headline}
    named = [(arm, line.figure) for arm in report.arms for line in arm.lines if line.figure in choices]
    if len(named) > len(COLOURS) - 1:
        named = [(arm, figure) for arm, figure in named if figure == report.headline]
    for axis, name, x_title in (
        ("written", "tokens", "completion tokens a problem (log scale)"),
        ("flops", "flops", "FLOPs a problem, of all engines (log scale)"),
    ):
        series = []
        for look, (arm, figure) in enumerate(named):
            title = figure if len(report.arms) == 1 else f"{arm.name}, {figure}"
            band = figure == report.headline and len(report.arms) == len(named)
            series.append(series_of(report, title, arm, figure, look, band=band, axis=axis))
        marks = [mark for one in series for mark in one.marks]
        best = sorted(
            (marks[at] for at in undominated([(mark.x, mark.lower) for mark in marks])), key=lambda one: one.x
        )
        frontier = Series("frontier", tuple(replace(mark, upper=mark.lower, band=None) for mark in best), GREY)
        told = count if axis == "written" else lambda cost: amount(cost, "flops")
        if marks:
            yield _of_shares(
                report,
                name,
                f"Accuracy by {COSTS['tokens' if axis == 'written' else axis]} spent on a problem",
                [*series, frontier] if len(named) > 1 else series,
                x_title=x_title,
                ticks=_cost_ticks(series, told),
            )


def _by_k(report: Report) -> Chart:
    series = [
        series_of(report, arm.name, arm, report.headline, look, band=True, axis="k")
        for look, arm in enumerate(report.arms)
    ]
    return _of_shares(
        report,
        "candidates",
        f"{report.headline} by number of candidates",
        series,
        x_title=K_TITLE,
        ticks=k_ticks(report),
    )


def _cost_ticks(series: Sequence[Series], told: Callable[[float], str]) -> tuple[tuple[float, str], ...]:
    """Return the powers of two between the marks; the outermost marks where there are fewer than two."""
    places = [mark.x for one in series for mark in one.marks]
    ticks = [2.0**power for power in range(128) if places and min(places) <= 2.0**power <= max(places)]
    if places and len(ticks) < 2:
        ticks = sorted({min(places), max(places)})
    return tuple((place, told(place)) for place in ticks)


def _distinct_answers(report: Report) -> Chart:
    series = []
    for look, arm in enumerate(report.arms):
        pairs = zip(report.ks, arm.quality.distinct_answers, strict=False)  # none where nothing was drawn
        marks = (Mark(k, value, value, None, f"k = {k}", decimal(value)) for k, value in pairs if value is not None)
        series.append(Series(arm.name, tuple(marks), look))
    return Chart(
        name="distinct-answers",
        title="Answers that differ among k candidates",
        description="The mean number over problems, by number of candidates k.",
        x_title=K_TITLE,
        y_title="different answers",
        ticks=k_ticks(report),
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
    x_title: str = "",
    ticks: tuple[tuple[float, str], ...] = (),
) -> Chart:
    """Return the chart; on the report's axis unless another is named."""
    if not x_title and report.axis == "k":
        x_title, ticks = K_TITLE, k_ticks(report)
    elif not x_title:
        x_title = f"{COSTS[report.axis]} a problem, of all engines, read and written (log scale)"
        ticks = _cost_ticks(series, count if report.axis == "tokens" else lambda cost: amount(cost, report.axis))
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
        ticks=ticks,
        y_range=round_range(values or [0.0, 1.0], most=1.0),
        y_label=lambda share: f"{round(100 * share, 1):g} %",
        series=tuple(series),
    )
