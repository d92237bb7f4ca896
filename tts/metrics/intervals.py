"""Confidence intervals that treat problems, not candidates, as the unit."""

from __future__ import annotations

import math
from dataclasses import dataclass

Z_95 = 1.959963984540054  # the 97.5 % quantile of the standard normal distribution


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over problems, in [0, 1], with its 95 % interval.

    `lower` counts every undecided verdict as wrong, `upper` as right; they are equal where all are decided.
    `interval_low` belongs to `lower`, `interval_high` to `upper`. Without problems, the interval is [0, 1] and the
    means are NaN.
    """

    lower: float
    upper: float
    interval_low: float
    interval_high: float
    num_problems: int


def wilson(mean: float, num_problems: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval for a mean of `num_problems` values in [0, 1].

    Exact in form for proportions; conservative for fractional values (a problem's share of right candidates), whose
    variance is at most mean · (1 - mean). Never of width zero. No problems: (0, 1). Source: Wilson (1927), JASA 22.
    """
    if num_problems == 0:
        return 0.0, 1.0
    z2 = Z_95**2 / num_problems
    centre = (mean + z2 / 2) / (1 + z2)
    half = Z_95 / (1 + z2) * math.sqrt(mean * (1 - mean) / num_problems + z2 / (4 * num_problems))
    return max(0.0, centre - half), min(1.0, centre + half)
