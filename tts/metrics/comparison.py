"""Two recipes on the same problems: paired differences at each k, with interval, p-value, wins and losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tts.errors import UsageError
from tts.metrics.curves import Curve
from tts.metrics.permutation import holm, sign_flip_p_values
from tts.metrics.power import Power, power
from tts.metrics.subsets import Floats
from tts.metrics.typical_values import difference_intervals

ROUNDING = 1e-9  # differences below it are ties


@dataclass(frozen=True, slots=True)
class Record:
    """On how many problems the first recipe does better, worse, alike; `num_open`: that hangs on what is undecided."""

    num_wins: int
    num_losses: int
    num_ties: int
    num_open: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """The first recipe minus the second, at one k: the mean over problems of the paired difference, in [-1, 1].

    `lower` counts the first's undecided verdicts as wrong and the second's as right, `upper` the other way round;
    `interval_low` and `interval_high` are their 95 % bounds. `p_value` is the larger of the two ends', and 1 where
    they have different signs: what is undecided could decide. `p_value_undecided_wrong` counts all as wrong, as many
    tools do. Neither is corrected for other comparisons: see `adjusted_p_values`.
    """

    figure: str
    k: int
    lower: float
    upper: float
    interval_low: float
    interval_high: float
    p_value: float
    p_value_undecided_wrong: float
    record: Record
    power: Power


def compare(first: Curve, second: Curve, *, seed: int = 0) -> list[Comparison]:
    """Return the comparison at each k. Raises UsageError unless both are the same figure of the same problems and ks.

    The problems' order does not matter.
    """
    if (first.name, first.ks) != (second.name, second.ks):
        raise UsageError(
            f"both curves must be of the same figure at the same ks, got {first.name} at {list(first.ks)} "
            f"and {second.name} at {list(second.ks)}"
        )
    alone = sorted(set(first.problem_ids) ^ set(second.problem_ids))
    if alone:
        raise UsageError(
            f"both recipes must have the same problems, got {len(alone)} that only one of them has, {alone[0]!r} "
            "for instance. Compare them on what both have solved"
        )
    if not first.problem_ids:
        raise UsageError("a comparison must have at least one problem, got none")
    order = [second.problem_ids.index(problem_id) for problem_id in first.problem_ids]
    second_lower, second_upper = second.lower[:, order], second.upper[:, order]
    lower, upper = _rounded(first.lower - second_upper), _rounded(first.upper - second_lower)
    as_wrong = _rounded(first.lower - second_lower)
    num_ks = len(first.ks)
    bounds = difference_intervals(np.concatenate([lower, upper]), seed=seed)
    p_values = sign_flip_p_values(np.concatenate([lower, upper, as_wrong]), seed=seed)
    return [
        Comparison(
            figure=first.name,
            k=k,
            lower=float(lower[row].mean()),
            upper=float(upper[row].mean()),
            interval_low=bounds[row][0],
            interval_high=bounds[num_ks + row][1],
            p_value=_worst(lower[row], upper[row], p_values[row], p_values[num_ks + row]),
            p_value_undecided_wrong=p_values[2 * num_ks + row],
            record=_record(lower[row], upper[row]),
            power=power(as_wrong[row], min(first.num_candidates, second.num_candidates)),
        )
        for row, k in enumerate(first.ks)
    ]


def adjusted_p_values(comparisons: Sequence[Comparison]) -> list[float]:
    """Return the p-values corrected (Holm) for being looked at together, order kept."""
    return holm([comparison.p_value for comparison in comparisons])


def _record(lower: Floats, upper: Floats) -> Record:
    wins, losses = lower > 0, upper < 0
    ties = (lower == 0) & (upper == 0)
    undecided = ~(wins | losses | ties)
    return Record(int(wins.sum()), int(losses.sum()), int(ties.sum()), int(undecided.sum()))


def _worst(lower: Floats, upper: Floats, p_lower: float, p_upper: float) -> float:
    """Return the larger p-value of the two ends; 1 where the mean may be zero between them."""
    zero_between = lower.sum() <= 0 <= upper.sum() and bool(np.any(lower != upper))
    return 1.0 if zero_between else max(p_lower, p_upper)


def _rounded(differences: Floats) -> Floats:
    return np.where(np.abs(differences) < ROUNDING, 0.0, differences)
