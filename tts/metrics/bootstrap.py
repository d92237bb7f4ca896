"""95 % intervals for means over problems: the problems are drawn anew, each with all its candidates.

Method: the BCa bootstrap (Efron 1987, «Better Bootstrap Confidence Intervals»), its normal quantiles widened to
Student's t, since for few problems it is too narrow (Hesterberg 2015, «What Teachers Should Know About the
Bootstrap», section 3.2). At rates near 0 and 1 the bootstrap knows nothing of what it has not seen: where fewer than
6 problems make up the rate, the Wilson score interval takes its place, which is also the outer bound of the others.
`benchmarks/metrics.py` shows the coverage of simulated data.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import NormalDist

import numpy as np

from tts.metrics.intervals import Z_95, Estimate, wilson
from tts.metrics.student import t_quantile
from tts.metrics.subsets import Floats

METHOD = "BCa bootstrap over problems (widened to Student's t); Wilson score where fewer than 6 problems make the rate"
NUM_RESAMPLES = 4_000
FEWEST = 6  # problems that a rate must rest on to be bootstrapped
BLOCK = 1 << 22  # drawn problems in memory at once


def estimates(lower: Floats, upper: Floats, *, seed: int = 0) -> list[Estimate]:
    """Return the mean over problems and its 95 % interval for each row of `lower` and `upper`, [rows, problems].

    Values are in [0, 1]; `lower` counts undecided verdicts as wrong, `upper` as right. See `Estimate`.
    """
    num_rows, num_problems = lower.shape
    bounds = mean_intervals(np.concatenate([lower, upper]), seed=seed)
    means = [float(row.mean()) if num_problems else math.nan for row in (*lower, *upper)]
    return [
        Estimate(means[row], means[row + num_rows], bounds[row][0], bounds[row + num_rows][1], num_problems)
        for row in range(num_rows)
    ]


def mean_intervals(values: Floats, *, seed: int = 0, num_resamples: int = NUM_RESAMPLES) -> list[tuple[float, float]]:
    """Return the 95 % interval of the mean of each row of `values`, [rows, problems], all in [0, 1]."""
    intervals = [wilson(float(row.mean()) if len(row) else math.nan, len(row)) for row in values]
    rows = [index for index, row in enumerate(values) if _rests_on(row) >= FEWEST]
    for index, (low, high) in zip(rows, _bca(values[rows], seed, num_resamples), strict=True):
        intervals[index] = max(low, intervals[index][0]), min(high, intervals[index][1])
    return intervals


def participation(shares: Floats) -> float:
    """Return (Σ x)² / Σ x²: n for n equal shares, 1 where one has all."""
    squares = float((shares**2).sum())
    return float(shares.sum()) ** 2 / squares if squares else 0.0


def _rests_on(values: Floats) -> float:
    """Return the effective number of problems that keep the mean from 0 or 1, whichever is nearer; 0 for no spread."""
    if not len(values) or np.ptp(values) == 0:
        return 0.0
    return participation(values if values.mean() <= 0.5 else 1 - values)


def _bca(values: Floats, seed: int, num_resamples: int) -> list[tuple[float, float]]:
    """Return the widened BCa interval of each row's mean. No row is constant."""
    if not len(values):
        return []
    num_problems, normal = values.shape[1], NormalDist()
    resampled = np.sort(np.concatenate(list(_resampled_means(values, seed, num_resamples))), axis=0)
    wide = Z_95 * (t_quantile(0.975, num_problems - 1) / Z_95 * math.sqrt(num_problems / (num_problems - 1)))
    intervals = []
    for row, means in zip(values, resampled.T, strict=True):
        # The quantile levels: corrected for the bias of the median and the skew (acceleration).
        centre = float(row.mean())
        below = (np.searchsorted(means, centre - 1e-12) + np.searchsorted(means, centre + 1e-12)) / 2 / len(means)
        bias = normal.inv_cdf(min(max(below, 1 / len(means)), 1 - 1 / len(means)))
        deviations = row - centre
        acceleration = float((deviations**3).sum() / (6 * (deviations**2).sum() ** 1.5))
        levels = [normal.cdf(bias + (bias + z) / (1 - acceleration * (bias + z))) for z in (-wide, wide)]
        low, high = np.quantile(means, levels)
        intervals.append((float(low), float(high)))
    return intervals


def _resampled_means(values: Floats, seed: int, num_resamples: int) -> Iterator[Floats]:
    """Yield the means of all rows over problems drawn anew, [some resamples, rows]."""
    num_problems = values.shape[1]
    rng = np.random.default_rng([seed, num_problems])
    for block in np.array_split(np.arange(num_resamples), 1 + num_resamples * num_problems // BLOCK):
        drawn = rng.integers(0, num_problems, (len(block), num_problems))
        drawn += np.arange(len(block))[:, None] * num_problems
        times = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)
        yield times.astype(np.float64) @ values.T / num_problems
