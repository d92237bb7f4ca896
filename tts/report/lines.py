"""Curves of one arm, and the contrasts of two, as points and p-values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from itertools import combinations
from typing import TypedDict, cast

import numpy as np

from tts.components import registry
from tts.components.component import Component
from tts.metrics.bootstrap import DIGITS, estimates
from tts.metrics.budget import Costs
from tts.metrics.comparison import Figures, compare
from tts.metrics.curves import Curve, Drawn, selected_curve
from tts.metrics.gain import gains
from tts.metrics.matched import Buys, grid
from tts.metrics.paired import SIGNIFICANCE, Look
from tts.metrics.pool import Pool
from tts.metrics.redraw import redraw_errors
from tts.metrics.resampling import chosen_by, sampled_odds
from tts.metrics.selection import SelectionOdds
from tts.metrics.subsets import Floats
from tts.pipeline.judge import chosen
from tts.protocols import BoundSelector, Selector
from tts.report.data import Contrast, Gain, Line, Point
from tts.runs.records import finite
from tts.types import Ballot, Selection

PRIMARY = ("pass@k", "maj@k")
"""The figures that arms are compared in. More of them would cost power: every p-value is corrected for all."""

SELECTED = "selected"
"""What each arm's own selector hands in, where they choose unalike."""

EXACT = frozenset({"first", "majority_vote", "self_consistency", "best_of_n"})
"""The selectors whose lines are among `curves`."""

NUM_OWN_DRAWS = 4096
"""Subsets that a selector without a formula is run on; it is slow. Each problem gets 16 at least."""


def line(curve: Curve, costs: Costs, units: Sequence[str], seed: int, *, pool: Pool | None, cut: bool) -> Line:
    """Return a curve's means with their 95 % intervals, and what each point costs.

    `units` are what its problems are drawn with (see `tts.metrics.units`). `pool` is what the curve was read off, None
    where each point is a run; `cut`: some candidates were, by the length limit.
    """
    ks = curve.ks
    budgets = dict(zip(costs.ks, costs.budgets(), strict=True))
    again = [None] * len(ks) if pool is None else redraw_errors(curve.name, pool, ks)
    found = estimates(curve.lower, curve.upper, units=units, seed=seed)
    points = (
        Point(
            k,
            budgets[k].written_tokens,
            one.lower,
            one.upper,
            one.interval_low,
            one.interval_high,
            error,
            again[row],
            tie_share=_mean(curve.tie_shares, row),
            cut_lower=_mean(curve.cut_lower, row) if cut else None,
            cut_upper=_mean(curve.cut_upper, row) if cut else None,
            budget=budgets[k],
        )
        for row, (k, one, error) in enumerate(zip(ks, found, curve.sampling_errors, strict=True))
    )
    return Line(curve.name, tuple(points))


def _mean(table: Floats | None, row: int) -> float | None:
    """Return the mean over the problems of which it is known."""
    return None if table is None or np.isnan(table[row]).all() else round(float(np.nanmean(table[row])), DIGITS)


def has_own_curve(selector: Selector) -> bool:
    """Tell whether a selector's accuracy@k is not among `curves`, so that it must be run itself on drawn subsets."""
    name = registry.name_of("selectors", cast("Component", selector).__class__)
    return name not in EXACT and not isinstance(selector, BoundSelector)


def figure_of(selector: Selector, scorer: str | None) -> str:
    """Return the figure that a selector hands in; `scorer` is what its scorer is called."""
    if isinstance(selector, BoundSelector):
        return PRIMARY[0]
    name = registry.name_of("selectors", cast("Component", selector).__class__)
    return {"majority_vote": "maj@k"}.get(name, name if scorer is None or name not in EXACT else f"{name}({scorer})")


def own_curve(
    selector: Selector,
    ballots: Sequence[Ballot],
    drawn: Drawn,
    seed: int,
    choose: Callable[[Ballot], Selection] | None = None,
) -> Curve:
    """Return the accuracy@k of any selector by running it on random subsets; `ballots` go with those problems.

    Where a scorer that asks told too little of a subset, the plain vote chooses there. `choose` runs it in another way.
    """
    of_problem = dict(zip(drawn.pool.problem_ids, ballots, strict=True))

    def odds(pool: Pool, k: int) -> SelectionOdds:
        run = chosen_by(choose or partial(chosen, selector), [of_problem[name] for name in pool.problem_ids])
        return sampled_odds(pool, k, run, pool.classes >= 0, num_draws=NUM_OWN_DRAWS, seed=seed)

    name = registry.name_of("selectors", cast("Component", selector).__class__)
    return selected_curve(name, odds, drawn)


def contrasts(
    arms: Sequence[Buys],
    *,
    axis: str = "k",
    figures: Sequence[str] = PRIMARY,
    baseline: str | None = None,
    same: Collection[frozenset[str]] = (),
    clusters: Mapping[str, str] | None = None,
    seed: int = 0,
) -> tuple[tuple[Contrast, ...], float]:
    """Return the later arm minus the earlier one, for each two arms, figure and k, and the level for a p-value.

    On another axis than k they are compared at equal cost, wherever one of the two has a point inside the range that
    both cover. With a `baseline`, only each other arm minus that one. Where k is 1 all figures are pass@1, which is
    there once. Two arms are compared on the problems that both have; those that share none, or have no reference, are
    in none. The pairs in `same` choose among the same candidates, so they are compared in that alone: at every k, and
    at equal cost, too.
    """
    chosen = [(later, earlier) for earlier, later in combinations(arms, 2) if baseline is None]
    chosen += [(arm, base) for base in arms if base.name == baseline for arm in arms if arm.name != baseline]
    names, pairs = list[tuple[str, str, str]](), list[tuple[Figures, Figures]]()
    for first, second in chosen:
        alike = frozenset((first.name, second.name)) in same
        for figure in [one for one in first.curves if one in figures and one in second.curves]:
            if not first.shared(second, figure) or (alike and figure != SELECTED):
                continue
            for held in dict.fromkeys(("k", axis) if alike else (axis,)):
                if held == "k":
                    found = _at_equal_k(first, second, figure)
                else:
                    found = _at_equal_cost(first, second, figure, held)
                if found is not None:
                    pairs.append(found)
                    names += [(first.name, second.name, held)] * len(found[0].places)
    if not pairs:
        return (), SIGNIFICANCE
    compared = compare(pairs, clusters=clusters, seed=seed)
    made = (
        Contrast(
            first=first,
            second=second,
            figure=one.figure,
            k=int(one.place) if held == "k" else None,
            num_problems=one.look.num_problems,
            **looked(one.look),
            num_wins=one.record.num_wins,
            num_losses=one.record.num_losses,
            num_ties=one.record.num_ties,
            num_open=one.record.num_open,
            power=str(one.power),
            axis=held,
            cost=None if held == "k" else one.place,
        )
        for (first, second, held), one in zip(names, compared.comparisons, strict=True)
    )
    return tuple(made), compared.level


def _at_equal_k(first: Buys, second: Buys, figure: str) -> tuple[Figures, Figures] | None:
    one, other = first.curves[figure], second.curves[figure]
    ks = [k for k in one.ks if k in other.ks and (k > 1 or figure == PRIMARY[0])]
    return (one.at(ks), other.at(ks)) if ks else None


def _at_equal_cost(first: Buys, second: Buys, figure: str, axis: str) -> tuple[Figures, Figures] | None:
    common, places = first.shared(second, figure), grid(first, second, figure, axis)
    if not places:
        return None
    return first.at(figure, axis, places, common), second.at(figure, axis, places, common)


class Looked(TypedDict):
    """A look as its columns in the report."""

    lower: float
    upper: float
    interval_low: float
    interval_high: float
    p_value: float | None
    together_low: float
    together_high: float
    adjusted_p_value: float | None


def looked(look: Look) -> Looked:
    """Return a look's columns; a p-value that there is not is None."""
    return Looked(
        lower=round(look.lower, DIGITS),
        upper=round(look.upper, DIGITS),
        interval_low=look.interval[0],
        interval_high=look.interval[1],
        p_value=finite(look.p_value),
        together_low=look.together[0],
        together_high=look.together[1],
        adjusted_p_value=finite(look.adjusted_p_value),
    )


def gained(curves: Sequence[Curve], clusters: Mapping[str, str], seed: int) -> tuple[Gain, ...]:
    """Return what each selector of an arm gains over one sample; none where nothing is graded."""
    found = gains(curves, clusters=clusters, seed=seed) if curves else []
    return tuple(
        Gain(
            figure=one.figure,
            k=one.k,
            **looked(one.look),
            gap_lower=one.gap.lower,
            gap_upper=one.gap.upper,
            gap_interval_low=one.gap.interval_low,
            gap_interval_high=one.gap.interval_high,
            closed=one.closed and one.closed[0],
            closed_low=one.closed and one.closed[1],
            closed_high=one.closed and one.closed[2],
        )
        for one in found
    )
