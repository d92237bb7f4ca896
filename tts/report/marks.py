"""A report's points as marks of a chart."""

from __future__ import annotations

from tts.report.chart import Mark, Series
from tts.report.data import Arm, Report
from tts.report.wording import amount, count, interval, known, percent_range

K_TITLE = "candidates k (log scale)"


def series_of(
    report: Report, name: str, arm: Arm, figure: str, look: int, *, band: bool, axis: str | None = None
) -> Series:
    """Return the marks of an arm's figure, without points that are not known, or cost nothing.

    On the report's axis, unless another is named: `k`, or `written` for the tokens that all engines wrote.
    """
    axis = axis or report.axis
    marks = []
    for point in arm.points(figure):
        cost = point.tokens if axis == "written" else point.amount(axis)
        if cost is None or not (known(cost) and cost > 0):
            continue
        bounded = known(point.interval_low) and known(point.interval_high)
        told = {"k": "", "written": f", {count(cost)} tokens"}.get(axis, f", {amount(cost, axis)}")
        marks.append(
            Mark(
                x=cost,
                lower=point.lower,
                upper=point.upper,
                band=(point.interval_low, point.interval_high) if band and bounded else None,
                place=f"k = {point.k}{told}",
                value=percent_range(point.lower, point.upper),
                bounds=interval(point.interval_low, point.interval_high) if bounded else "",
            )
        )
    return Series(name, tuple(sorted(marks, key=lambda mark: mark.x)), look)


def k_ticks(report: Report) -> tuple[tuple[float, str], ...]:
    """Return the places of the report's ks."""
    return tuple((k, str(k)) for k in sorted(report.ks))
