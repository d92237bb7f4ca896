"""Charts beside accuracy over k: coverage beyond what was drawn."""

from __future__ import annotations

from collections.abc import Iterator

from tts.report.chart import Chart, Mark, Series, round_range
from tts.report.data import Report
from tts.report.marks import K_TITLE, k_ticks, series_of
from tts.report.wording import interval, percent_range

COVERAGE = "pass@k"


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
        y_title="share of problems",
        ticks=(*k_ticks(report), *((k, str(k)) for k in places)),
        y_range=round_range(values, most=1.0),
        y_label=lambda share: f"{round(100 * share, 1):g} %",
        series=tuple(series),
    )
