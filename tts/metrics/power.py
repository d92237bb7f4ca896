"""Power: how large a difference these problems and candidates could have shown."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tts.metrics.student import t_quantile
from tts.metrics.subsets import Floats

POWER = 0.8
SIGNIFICANCE = 0.05
FEWEST_MOVED = 6  # problems that all differ one way: with fewer, no sign-flip p-value is below 0.05 (2 / 2^6 = 0.03)


@dataclass(frozen=True, slots=True)
class Power:
    """The least true difference of the means, in [0, 1], that would be called significant 80 % of the time.

    None: with fewer than 6 problems no difference could be. A true difference of that size may still be missed.
    """

    num_problems: int
    num_candidates: int
    detectable: float | None

    def __str__(self) -> str:
        setting = f"with {self.num_problems} problems and {self.num_candidates} candidates"
        if self.detectable is None:
            return f"{setting} no difference would be seen: it takes at least {FEWEST_MOVED} problems"
        points = math.ceil(100 * self.detectable)
        return f"{setting} a difference of {points} points or more would be seen {POWER:.0%} of the time"


def power(differences: Floats, num_candidates: int) -> Power:
    """Return what a comparison whose differences spread like these, one per problem, could have shown.

    Source: the sample-size formula of the paired t-test, (t₀.₉₇₅ + t₀.₈) · s / √problems. Where fewer than 6 problems
    differ their spread says little, and a difference is taken to be that of 6 problems that all differ one way.
    """
    num_problems = len(differences)
    if num_problems < FEWEST_MOVED:
        return Power(num_problems, num_candidates, None)
    quantiles = t_quantile(1 - SIGNIFICANCE / 2, num_problems - 1) + t_quantile(POWER, num_problems - 1)
    spread = quantiles * float(np.std(differences, ddof=1)) / math.sqrt(num_problems)
    few = np.count_nonzero(differences) < FEWEST_MOVED
    return Power(num_problems, num_candidates, min(1.0, max(spread, _rate_to_move(num_problems) if few else 0.0)))


def _rate_to_move(num_problems: int) -> float:
    """Return the rate at which problems must differ, all one way, to show 6 of them 80 % of the time; by bisection."""
    low, high = 0.0, 1.0
    for _ in range(40):
        rate = (low + high) / 2
        short = sum(
            math.comb(num_problems, n) * rate**n * (1 - rate) ** (num_problems - n) for n in range(FEWEST_MOVED)
        )
        low, high = (rate, high) if 1 - short < POWER else (low, rate)
    return high
