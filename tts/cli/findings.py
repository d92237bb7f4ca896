"""A report on a terminal: tables and a plot for people, JSON lines for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from rich.console import Console

from tts.cli.layout import Heads, say, table, wrapped
from tts.cli.output import PLAIN
from tts.cli.plot import ASCII, MARKS, Curve, plot
from tts.errors import plural
from tts.report.data import Arm, Contrast, Gain, Line, Point, Report, StoppingPoint
from tts.report.headline import headline, look, record, speed
from tts.report.wording import (
    COSTS,
    NBSP,
    amount,
    at_k,
    count,
    decimal,
    interval,
    p_value,
    percent_range,
    points_range,
    seconds,
)
from tts.runs.records import as_dict

HEADLINES = ("pass@k", "maj@k")
SELECTIONS = ("maj@k", "selected")
NOT_CHOICES = ("random", "pass@k", "pass^k", "selected")


def records(report: Report) -> Iterator[dict[str, Any]]:
    """Yield the report as small JSON objects: a line for each point, gain, contrast, arm and warning."""
    for arm in report.arms:
        for line in arm.lines:
            for point in line.points:
                yield {"arm": arm.name, "figure": line.figure, **as_dict(point)}
        for gain in arm.gains:
            yield {"arm": arm.name, "gain": gain}
        yield from ({"arm": arm.name, "reliability": reliable} for reliable in arm.reliability)
        yield from ({"arm": arm.name, "group": group} for group in arm.groups)
        yield from ({"arm": arm.name, "beyond": further} for further in arm.beyond)
        if arm.scorer is not None:
            yield {"arm": arm.name, "scorer": arm.scorer}
    for contrast in report.contrasts:
        yield {"contrast": contrast}
    for one in report.speeds:
        yield {"speed": one}
    for arm in report.arms:
        yield {"arm": arm.name, "cost": arm.cost, "quality": arm.quality, "spread": arm.spread}
        for rule in arm.stopping:
            for stopped in rule.points:
                yield {"arm": arm.name, "stopping": rule.rule, **as_dict(stopped)}
    for best in report.frontier:
        yield {"frontier": best}
    for warning in report.warnings:
        yield {"warning": warning}


def show(report: Report, console: Console) -> None:
    """Print the report, what it says in words first; 60 columns and no colour are enough."""
    for sentence in headline(report):
        say(console, sentence)
    for arm in report.arms:
        graded = "" if arm.num_graded == arm.num_problems else f" ({arm.num_graded} graded)"
        drawn = plural(arm.quality.num_candidates, "candidate")
        say(console, f"\n{arm.name}: {plural(arm.num_problems, 'problem')}{graded}, {drawn}", style="bold")
        if arm.lines:
            _show_table(console, *_curves(arm, report))
            say(console, "")
            # A search that has no run of the headline's k is shown at its own largest.
            ks = {point.k for line in arm.lines for point in line.points}
            _show_table(console, *_choices(arm, report.headline_k if report.headline_k in ks else max(ks)))
    if any(arm.lines for arm in report.arms):
        _show_plot(report, console)
    _show_frontier(report, console)
    _show_contrasts(report, console)
    _show_table(console, *_costs(report.arms))
    say(console, "")
    for one in report.speeds:
        say(console, f"{speed(one)}\n")
    _show_table(console, *_texts(report.arms))
    say(console, "")


Table = tuple[Heads, Sequence[Sequence[str]]]
"""Titles and rows."""


def _show_table(console: Console, heads: Heads, rows: Sequence[Sequence[str]]) -> None:
    for line in table(heads, rows, console.width):
        console.print(line, **PLAIN)


def _line(arm: Arm, figure: str) -> Line | None:
    return next((line for line in arm.lines if line.figure == figure), None)


def _curves(arm: Arm, report: Report) -> Table:
    """Return the headline figures over k, each with its 95 % interval; a vote of one is its only candidate.

    On an axis of costs, beside what all engines took.
    """
    rows: list[Sequence[str]] = []
    figures = (HEADLINES[0], report.headline if report.headline in SELECTIONS else HEADLINES[1])
    covered, voted = (_line(arm, figure) for figure in figures)
    if covered is not None and voted is not None:
        for one, two in zip(covered.points, voted.points, strict=True):
            same = one.k == 1 and _cells(one) == _cells(two)
            tokens = one.tokens if report.axis == "k" else one.amount(report.axis)
            rows.append((str(one.k), _cost(tokens, report), *_cells(one), *(("same", "") if same else _cells(two))))
    return [("k",), (COSTS.get(report.axis, "tokens"),), (figures[0], "95 %"), (figures[1], "95 %")], rows


def _cost(value: float | None, report: Report) -> str:
    return amount(value, report.axis) if report.axis == "flops" else count(value)


def _cells(point: Point | StoppingPoint) -> tuple[str, str]:
    return percent_range(point.lower, point.upper), interval(point.interval_low, point.interval_high)


def _bounds(one: Contrast | Gain) -> str:
    return interval(one.together_low, one.together_high, sign=True)


def _choices(arm: Arm, k: int) -> Table:
    """Return every way to choose among k candidates, the best first, with its gain over one of them."""
    figures = [line.figure for line in arm.lines if line.figure not in NOT_CHOICES]
    found = {figure: point for figure in figures if (point := arm.point(figure, k)) is not None}
    gains = {one.figure: one for one in arm.gains if one.k == k}
    rows: list[Sequence[str]] = []
    for figure, point in sorted(found.items(), key=lambda item: -item[1].lower):
        one = gains.get(figure)
        gain = (points_range(one.lower, one.upper), _bounds(one)) if one else ("", "")[: 2 * bool(gains)]
        rows.append((at_k(figure, k) if figure.endswith("@k") else figure, *_cells(point), *gain))
    blind = arm.point("random", k)
    if blind is not None:
        rows.append(("blindly (random)", *_cells(blind), *(("", "") if gains else ())))
    return [(f"chosen from {k}",), ("accuracy", "95 %"), *([("gain", "95 %")] if gains else [])], rows


def _show_plot(report: Report, console: Console) -> None:
    """Print the headline figures of all arms, undecided counted as wrong: over k, or over all costs of points.

    At a cost between two points of an arm stands their mixture (see `tts.metrics.matched`).
    """
    figures = (HEADLINES[0], report.headline if report.headline in SELECTIONS else HEADLINES[1])
    found = [(arm, figure, _line(arm, figure)) for arm in report.arms for figure in figures]
    lines = [(arm, figure, line) for arm, figure, line in found if line is not None][: len(MARKS)]
    known = [
        sorted((cost, point.lower) for point in line.points if (cost := point.amount(report.axis)) is not None)
        for _, _, line in lines
    ]
    places = sorted({cost for points in known for cost, _ in points})
    curves = []
    for mark, points in zip(MARKS, known, strict=False):
        costs = [cost for cost, _ in points]
        mixes = report.axis != "k" and len(costs) > 1
        at = [costs[0] <= place <= costs[-1] if mixes else place in costs for place in places]
        values = np.interp(places, costs, [value for _, value in points]).tolist() if costs else []
        curves.append(Curve(mark, tuple(one if there else None for one, there in zip(values, at, strict=False))))
    legend = "   ".join(
        f"{mark}{NBSP}{figure}{f'{NBSP}{arm.name}' if len(report.arms) > 1 else ''}"
        for mark, (arm, figure, _) in zip(MARKS, lines, strict=False)
    )
    width = max(24, min(64, console.width - 8))
    first = "k=" if report.axis == "k" else ""
    labels = [f"{first if number == 0 else ''}{_cost(place, report)}" for number, place in enumerate(places)]
    drawn = plot(curves, labels, width=width)
    ranges = any(point.lower < point.upper for _, _, line in lines for point in line.points)
    note = ["%  (undecided counted as wrong)"] if ranges else []
    note += [f"   over {COSTS[report.axis]} a problem, not to scale"] if report.axis != "k" else []
    for text in ["", *wrapped(f"%  {legend}", console.width), *note, *drawn, ""]:
        shown = text if console.encoding.lower().startswith("utf") else text.translate(ASCII)
        console.print(shown, **PLAIN)


def _show_frontier(report: Report, console: Console) -> None:
    """Print what nothing dominates, and what rules would have bought for nothing."""
    if report.axis == "k":
        return
    unit = COSTS[report.axis]
    for arm in report.arms:
        rows = [
            (f"{line.rule} {decimal(one.setting)}", _cost(getattr(one.budget, report.axis), report), *_cells(one))
            for line in arm.stopping
            for one in line.points
        ]
        if rows:
            say(console, f"{arm.name}, had a rule stopped it: the vote, over random orders", style="bold")
            _show_table(console, [("",), (unit,), ("accuracy", "95 %")], rows)
            say(console, "")
    if report.frontier:
        say(
            console, f"frontier of {report.headline}: nothing cheaper is as good, nothing as cheap better", style="bold"
        )
        best = [
            (f"{one.arm}, {one.at}", _cost(one.cost, report), percent_range(one.lower, one.upper))
            for one in report.frontier
        ]
        _show_table(console, [("",), (unit,), ("accuracy",)], best)
        say(console, "")


def _show_contrasts(report: Report, console: Console) -> None:
    """Print the comparisons of two arms, or of more those of the headline."""
    pairs = dict.fromkeys(f"{one.first} minus {one.second}" for one in report.contrasts)
    if not pairs:
        return
    title, shown = next(iter(pairs)), report.contrasts
    if len(pairs) > 1 and report.axis == "k":
        k = report.headline_k
        title, shown = f"k = {k} (the page has all)", tuple(one for one in shown if one.k == k)
    elif len(pairs) > 1:
        shown = tuple(one for one in shown if one.figure == report.headline)
        also = " or of the same candidates" if any(one.k is not None for one in shown) else ""
        title = f"{report.headline} at equal {COSTS[report.axis]}{also} (the page has all)"
    rows = [
        (
            look(one) + (f" {one.pair}" if len(pairs) > 1 else ""),
            points_range(one.lower, one.upper),
            _bounds(one),
            p_value(one.adjusted_p_value) + "*" * one.told_apart,
            record(one),
        )
        for one in shown
    ]
    say(console, f"{title}; intervals and p are for all comparisons together", style="bold")
    _show_table(console, [("",), ("points", "95 %"), ("p",), ("wins–losses–ties–open",)], rows)
    say(console, "* told apart\n" if any(one.told_apart for one in shown) else "")


def _costs(arms: Sequence[Arm]) -> Table:
    gave_up = any(arm.quality.num_abandoned for arm in arms)
    wasted = any(arm.cost.thrown_away for arm in arms)
    rows = [
        (
            arm.name,
            count(arm.cost.completion_tokens),
            count(arm.cost.prompt_tokens),
            *([count(arm.cost.thrown_away)] if wasted else []),
            decimal(arm.cost.tokens_per_second),
            seconds(arm.cost.seconds),
            count(arm.quality.num_truncated),
            count(arm.quality.num_no_answer),
            *((count(arm.quality.num_abandoned),) if gave_up else ()),
        )
        for arm in arms
    ]
    titles = ("tokens written", "read", *(["thrown away"] if wasted else []), "tok/s", "time", "truncated", "no answer")
    titles += ("abandoned",) if gave_up else ()
    return [("cost",), *((title,) for title in titles)], rows


def _texts(arms: Sequence[Arm]) -> Table:
    rows = []
    for arm in arms:
        spread = arm.spread
        values = (
            arm.quality.most_distinct,
            spread.vendi.get("1") if spread else None,
            spread.mean_similarity if spread else None,
            spread.distinct_2 if spread else None,
            spread.perplexity if spread else None,
        )
        rows.append((arm.name, *map(decimal, values)))
    titles = ("answers", "Vendi", "cosine", "distinct-2", "perplexity")
    return [("texts",), *((title,) for title in titles)], rows
