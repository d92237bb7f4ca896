"""Curves of one arm, and the contrasts of two, as points and p-values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import cast

import numpy as np

from tts.components import registry
from tts.components.component import Component
from tts.metrics.bootstrap import estimates
from tts.metrics.comparison import Comparison, adjusted_p_values, compare
from tts.metrics.cost import expected_tokens
from tts.metrics.curves import Curve, selected_curve
from tts.metrics.pool import Pool
from tts.metrics.resampling import chosen_by, sampled_odds
from tts.metrics.selection import SelectionOdds
from tts.protocols import BoundSelector, Selector
from tts.report.data import Contrast, Line, Point
from tts.types import Ballot

PRIMARY = ("pass@k", "maj@k")
"""The figures that arms are compared in. More of them would cost power: every p-value is corrected for all."""


NUM_OWN_DRAWS = 4096
"""Subsets that a selector without a formula is run on; it is slow. Each problem gets 16 at least."""


def line(curve: Curve, pool: Pool, seed: int) -> Line:
    """Return a curve's means with their 95 % intervals, on the axis of k and on that of tokens."""
    tokens = expected_tokens(pool, curve.ks).mean(axis=1)
    found = estimates(curve.lower, curve.upper, seed=seed)
    points = (
        Point(k, float(tokens[row]), one.lower, one.upper, one.interval_low, one.interval_high, error)
        for row, (k, one, error) in enumerate(zip(curve.ks, found, curve.sampling_errors, strict=True))
    )
    return Line(curve.name, tuple(points))


def has_own_curve(selector: Selector) -> bool:
    """Tell whether a selector's accuracy@k is not among `curves`, so that it must be run itself on drawn subsets."""
    name = registry.name_of("selectors", cast("Component", selector).__class__)
    return name not in registry.builtin("selectors") and not isinstance(selector, BoundSelector)


def own_curve(selector: Selector, ballots: Sequence[Ballot], pool: Pool, ks: Sequence[int], seed: int) -> Curve:
    """Return the accuracy@k of any selector by running it on random subsets; `ballots` go with the pool's problems."""

    def odds(pool: Pool, k: int) -> SelectionOdds:
        choose = chosen_by(selector, ballots)
        return sampled_odds(pool, k, choose, pool.classes >= 0, num_draws=NUM_OWN_DRAWS, seed=seed)

    name = registry.name_of("selectors", cast("Component", selector).__class__)
    return selected_curve(name, odds, pool, ks)


def contrasts(arms: Sequence[tuple[str, Sequence[Curve]]], seed: int) -> tuple[Contrast, ...]:
    """Return the later arm minus the earlier one, for each two arms, primary figure and k; corrected for all (Holm).

    Arms whose problems have no reference are in none.
    """
    pairs: list[tuple[str, str, Comparison]] = []
    for (second, seconds), (first, firsts) in combinations(arms, 2):
        by_name = {curve.name: curve for curve in seconds}
        for curve in firsts:
            if curve.name in PRIMARY and curve.name in by_name:
                pairs += [(first, second, one) for one in compare(curve, by_name[curve.name], seed=seed)]
    adjusted = adjusted_p_values([comparison for _, _, comparison in pairs])
    return tuple(
        Contrast(
            first=first,
            second=second,
            figure=one.figure,
            k=one.k,
            lower=one.lower,
            upper=one.upper,
            interval_low=one.interval_low,
            interval_high=one.interval_high,
            p_value=one.p_value,
            adjusted_p_value=adjusted_p_value,
            num_wins=one.record.num_wins,
            num_losses=one.record.num_losses,
            num_ties=one.record.num_ties,
            num_open=one.record.num_open,
            power=str(one.power),
        )
        for (first, second, one), adjusted_p_value in zip(pairs, adjusted, strict=True)
    )


def only(curve: Curve, problem_ids: Sequence[str]) -> Curve:
    """Return the curve of some of its problems, in the order given."""
    places = np.array([curve.problem_ids.index(name) for name in problem_ids], dtype=np.int64)
    return replace(curve, problem_ids=tuple(problem_ids), lower=curve.lower[:, places], upper=curve.upper[:, places])
