"""A report on a terminal: tables and a plot for people, JSON lines for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from tts.cli.output import PLAIN
from tts.cli.plot import ASCII, MARKS, Curve, plot
from tts.report.data import Arm, Line, Point, Report
from tts.report.headline import headline, speed
from tts.report.wording import at_k, count, decimal, interval, p_value, percent_range, plural, seconds
from tts.runs.records import as_dict

HEADLINES = ("pass@k", "maj@k")
NOT_CHOICES = ("random", "pass@k", "pass^k")


def records(report: Report) -> Iterator[dict[str, Any]]:
    """Yield the report as small JSON objects: a line for each point, contrast, arm and warning."""
    for arm in report.arms:
        for line in arm.lines:
            for point in line.points:
                yield {"arm": arm.name, "figure": line.figure, **as_dict(point)}
    for contrast in report.contrasts:
        yield {"contrast": contrast}
    for one in report.speeds:
        yield {"speed": one}
    for arm in report.arms:
        yield {"arm": arm.name, "cost": arm.cost, "quality": arm.quality, "spread": arm.spread}
    for warning in report.warnings:
        yield {"warning": warning}


def show(report: Report, console: Console) -> None:
    """Print the report's tables, plot and headline; 80 columns and no colour are enough."""
    for arm in report.arms:
        graded = "" if arm.num_graded == arm.num_problems else f" ({arm.num_graded} graded)"
        drawn = f"{count(arm.quality.num_candidates)} candidates"
        title = f"\n{arm.name}: {plural(arm.num_problems, 'problem')}{graded}, {drawn}"
        console.print(title, style="bold", **PLAIN)
        if arm.lines:
            console.print(_curves(arm), "", _choices(arm), sep="\n")
    if any(arm.lines for arm in report.arms):
        _show_plot(report, console)
    if report.contrasts:
        console.print(_contrasts(report), "", sep="\n")
    console.print(_costs(report.arms), "", sep="\n")
    for one in report.speeds:
        console.print(f"{speed(one)}\n", markup=False, highlight=False)
    console.print(_texts(report.arms), "", sep="\n")
    for sentence in headline(report):
        console.print(sentence, markup=False, highlight=False)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place == 0 else "right", no_wrap=True)
    return table


def _line(arm: Arm, figure: str) -> Line | None:
    return next((line for line in arm.lines if line.figure == figure), None)


def _curves(arm: Arm) -> Table:
    """Return the headline figures over k, each with its 95 % interval."""
    table = _table("k", "tokens", "pass@k", "95 %", "maj@k", "95 %")
    covered, voted = (_line(arm, figure) for figure in HEADLINES)
    if covered is not None and voted is not None:
        for one, two in zip(covered.points, voted.points, strict=True):
            table.add_row(str(one.k), count(one.tokens), *_cells(one), *_cells(two))
    return table


def _cells(point: Point) -> tuple[str, str]:
    return percent_range(point.lower, point.upper), interval(point.interval_low, point.interval_high)


def _choices(arm: Arm) -> Table:
    """Return every way to choose among the most candidates, the best first."""
    last = {line.figure: line.points[-1] for line in arm.lines if line.figure not in NOT_CHOICES}
    blind = _line(arm, "random")
    assert blind is not None
    k = blind.points[-1].k
    table = _table(f"chosen from {k}", "accuracy", "95 %")
    for figure, point in sorted(last.items(), key=lambda item: -item[1].lower):
        table.add_row(at_k(figure, k) if figure.endswith("@k") else figure, *_cells(point))
    table.add_row("blindly (random)", *_cells(blind.points[-1]))
    return table


def _show_plot(report: Report, console: Console) -> None:
    """Print the headline figures of all arms over k, undecided counted as wrong."""
    found = [(arm, figure, _line(arm, figure)) for arm in report.arms for figure in HEADLINES]
    lines = [(arm, figure, line) for arm, figure, line in found if line is not None][: len(MARKS)]
    curves = [
        Curve(mark, tuple(point.lower for point in line.points))
        for mark, (_, _, line) in zip(MARKS, lines, strict=False)
    ]
    legend = "   ".join(
        f"{mark} {figure}{f' {arm.name}' if len(report.arms) > 1 else ''}"
        for mark, (arm, figure, _) in zip(MARKS, lines, strict=False)
    )
    width = max(24, min(64, console.width - 8))
    drawn = plot(curves, [f"k={k}" if place == 0 else str(k) for place, k in enumerate(report.ks)], width=width)
    ranges = any(point.lower < point.upper for _, _, line in lines for point in line.points)
    note = ["%  (undecided counted as wrong)"] if ranges else []
    for text in ["", f"%  {legend}", *note, *drawn, ""]:
        shown = text if console.encoding.lower().startswith("utf") else text.translate(ASCII)
        console.print(shown, markup=False, highlight=False)


def _contrasts(report: Report) -> Table:
    """Return the comparisons; the p-values are corrected for all of them."""
    table = _table("difference", "points", "95 %", "p (Holm)", "wins–losses–ties")
    for one in report.contrasts:
        pair = f" {one.first} − {one.second}" if len(report.arms) > 2 else ""
        table.add_row(
            f"{at_k(one.figure, one.k)}{pair}",
            percent_range(one.lower, one.upper, sign=True).removesuffix(" %"),
            interval(one.interval_low, one.interval_high, sign=True),
            p_value(one.adjusted_p_value),
            f"{one.num_wins}–{one.num_losses}–{one.num_ties}",
        )
    if len(report.arms) == 2:
        table.title = f"{report.contrasts[0].first} minus {report.contrasts[0].second}"
        table.title_justify = "left"
    return table


def _costs(arms: Sequence[Arm]) -> Table:
    table = _table("cost", "tokens written", "read", "tok/s", "time", "truncated", "no answer")
    for arm in arms:
        cost, quality = arm.cost, arm.quality
        table.add_row(
            arm.name,
            count(cost.completion_tokens),
            count(cost.prompt_tokens),
            decimal(cost.tokens_per_second),
            seconds(cost.seconds),
            count(quality.num_truncated),
            count(quality.num_no_answer),
        )
    return table


def _texts(arms: Sequence[Arm]) -> Table:
    table = _table("texts", "answers", "Vendi", "cosine", "distinct-2", "perplexity")
    for arm in arms:
        spread = arm.spread
        table.add_row(
            arm.name,
            decimal(arm.quality.distinct_answers[-1]),
            decimal(spread.vendi.get("1") if spread else None),
            decimal(spread.mean_similarity if spread else None),
            decimal(spread.distinct_2 if spread else None),
            decimal(spread.perplexity if spread else None),
        )
    return table
