"""Charts beside accuracy over k: differences, what is left to a perfect choice, coverage beyond what was drawn."""

from __future__ import annotations

from collections.abc import Iterator

from tts.report.chart import Chart, Mark, Series, round_range
from tts.report.data import Report
from tts.report.marks import K_TITLE, k_ticks, series_of
from tts.report.wording import interval, percent_range, points_range

COVERAGE = "pass@k"
MOST_BANDS = 3
"""Differences in one chart beyond which bands would hide each other."""


def differences(report: Report) -> Iterator[Chart]:
    """Yield, for each figure that is compared over k, the differences from the baseline or the first recipe."""
    over_k = [one for one in report.contrasts if one.k is not None and one.second == report.contrasts[0].second]
    for figure in dict.fromkeys(one.figure for one in over_k):
        pairs = dict.fromkeys(one.pair for one in over_k if one.figure == figure)
        series = []
        for look, pair in enumerate(pairs):
            marks = (
                Mark(
                    float(one.k or 0),
                    one.lower,
                    one.upper,
                    (one.together_low, one.together_high) if len(pairs) <= MOST_BANDS else None,
                    f"k = {one.k}",
                    f"{points_range(one.lower, one.upper)} points",
                    f"{interval(one.interval_low, one.interval_high, sign=True)}; "
                    f"of all looks {interval(one.together_low, one.together_high, sign=True)}",
                    bar=(one.interval_low, one.interval_high),
                )
                for one in over_k
                if (one.figure, one.pair) == (figure, pair)
            )
            series.append(Series(pair, tuple(marks), look))
        drawn = [mark for one in series for mark in one.marks]
        if len({mark.x for mark in drawn}) < 2:
            continue
        ends = [end for mark in drawn for end in (mark.lower, mark.upper, *(mark.band or ()), *(mark.bar or ()))]
        yield Chart(
            name=f"difference-{figure.replace('@', '-at-').replace('^', '-hat-')}",
            title=f"Difference in {figure}, problem by problem",
            description="Strokes are the 95 % intervals of each look alone, bands those of all looks together.",
            x_title=K_TITLE,
            y_title="points",
            ticks=k_ticks(report),
            y_range=round_range([0.0, *ends], most=1.0, least=-1.0),
            y_label=lambda share: f"{round(100 * share, 1):+g}".replace("-", "−").replace("+0", "0"),
            series=tuple(series),
        )


def gap(report: Report) -> Iterator[Chart]:
    """Yield what the headline's choice, or the vote, leaves to a perfect one over k."""
    figure = report.headline if report.headline != "selected" else "maj@k"
    series = []
    for look, arm in enumerate(report.arms):
        marks = (
            Mark(
                one.k,
                one.gap_lower,
                one.gap_upper,
                (one.gap_interval_low, one.gap_interval_high),
                f"k = {one.k}",
                f"{percent_range(one.gap_lower, one.gap_upper)}",
                interval(one.gap_interval_low, one.gap_interval_high),
            )
            for one in arm.gains
            if one.figure == figure
        )
        series.append(Series(arm.name, tuple(marks), look))
    drawn = [mark for one in series for mark in one.marks]
    if report.axis == "k" and len({mark.x for mark in drawn}) > 1:
        yield Chart(
            name="gap",
            title=f"Selection gap: {COVERAGE} minus {figure}",
            description="What a perfect choice among the same candidates would still gain; bands are 95 % intervals.",
            x_title=K_TITLE,
            y_title="gap",
            ticks=k_ticks(report),
            y_range=round_range([0.0, *(end for mark in drawn for end in mark.band or ())], most=1.0),
            y_label=lambda share: f"{round(100 * share, 1):g} %",
            series=tuple(series),
        )


def beyond(report: Report) -> Iterator[Chart]:
    """Yield coverage of the arms that are pools, drawn on to four times their candidates, where a law has a shape."""
    arms = [arm for arm in report.arms if arm.beyond]
    if not arms or report.axis != "k":
        return
    series = []
    for look, arm in enumerate(arms):
        drawn = series_of(report, arm.name, arm, COVERAGE, look, band=True)
        further = tuple(
            Mark(
                one.k,
                one.low,
                one.high,
                (one.interval_low, one.interval_high),
                f"k = {one.k}, extrapolated; without a law {interval(one.bound_low, one.bound_high)}",
                percent_range(one.low, one.high),
                interval(one.interval_low, one.interval_high),
                bar=(one.bound_low, one.bound_high),
            )
            for one in arm.beyond
        )
        series += [drawn, Series(f"{arm.name}, extrapolated", further, look, guessed=True)]
    values = [end for one in series for mark in one.marks for end in (*(mark.band or ()), *(mark.bar or ()))]
    places = sorted({one.k for arm in arms for one in arm.beyond})
    yield Chart(
        name="beyond",
        title=f"Coverage, {COVERAGE}, beyond the candidates that were drawn",
        description=(
            "Dashed and hollow: not drawn, but extrapolated by two laws, with the hull of their 95 % intervals. "
            "Upright strokes: what holds for these problems without any law."
        ),
        x_title=K_TITLE,
        y_title="coverage",
        ticks=(*k_ticks(report), *((k, str(k)) for k in places)),
        y_range=round_range(values, most=1.0),
        y_label=lambda share: f"{round(100 * share, 1):g} %",
        series=tuple(series),
    )
