"""95 % intervals for means over problems: the problems are drawn anew, each with all its candidates.

Method: the BCa bootstrap (Efron 1987, «Better Bootstrap Confidence Intervals»), its normal quantiles widened to
Student's t, since for few problems it is too narrow (Hesterberg 2015, «What Teachers Should Know About the
Bootstrap», section 3.2). At rates near 0 and 1 the bootstrap knows nothing of what it has not seen: where fewer than
6 problems make up the rate, the Wilson score interval takes its place, which is also the outer bound of the others.
Where problems come in clusters, these are drawn anew, and the mean is the ratio of two sums. An interval depends on
what the values are, not on their order, so that a figure has the same one wherever it is told.
`benchmarks/metrics.py` shows the coverage of simulated data.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import NormalDist

import numpy as np

from tts.metrics.intervals import Estimate, wilson
from tts.metrics.student import t_quantile
from tts.metrics.subsets import Complexes, Floats, Ints
from tts.metrics.units import by_unit

METHOD = "BCa bootstrap over problems (widened to Student's t); Wilson score where fewer than 6 problems make the rate"
NUM_RESAMPLES = 4_000
FEWEST = 6  # problems that a rate must rest on to be bootstrapped
BLOCK = 1 << 20  # drawn units in memory at once
FEW_KINDS = 16  # units a kind from which on it is quicker to draw how often each kind comes
DIGITS = 10  # decimals of what is told: beyond them is what summing leaves


def estimates(lower: Floats, upper: Floats, *, units: Sequence[str] | None = None, seed: int = 0) -> list[Estimate]:
    """Return the mean over problems and its 95 % interval for each row of `lower` and `upper`, [rows, problems].

    Values are in [0, 1]; `lower` counts undecided verdicts as wrong, `upper` as right. `units` as in `mean_intervals`.
    See `Estimate`.
    """
    sums, sizes = _units(np.concatenate([lower, upper]), units)
    return estimates_of_units(sums[: len(lower)], sums[len(lower) :], sizes, seed=seed)


def estimates_of_units(lower: Floats, upper: Floats, sizes: Floats, *, seed: int = 0) -> list[Estimate]:
    """Return the estimate for each row of `lower` and `upper`, sums over the problems of each unit, [rows, units].

    `sizes` is how many problems each unit has. See `estimates`.
    """
    rows, total = np.concatenate([lower, upper]), float(sizes.sum())
    told = [
        (round(float(row.sum()) / total if total else math.nan, DIGITS), round(low, DIGITS), round(high, DIGITS))
        for row, (low, high) in zip(rows, _intervals(rows, sizes, seed, NUM_RESAMPLES), strict=True)
    ]
    return [
        Estimate(low_mean, high_mean, low, high, int(total))
        for (low_mean, low, _), (high_mean, _, high) in zip(told[: len(lower)], told[len(lower) :], strict=True)
    ]


def mean_intervals(
    values: Floats, *, units: Sequence[str] | None = None, seed: int = 0, num_resamples: int = NUM_RESAMPLES
) -> list[tuple[float, float]]:
    """Return the 95 % interval of the mean of each row of `values`, [rows, problems], all in [0, 1].

    `units` names for each problem what it is drawn with (see `tts.metrics.units`); None: every problem alone.
    """
    return _intervals(*_units(values, units), seed, num_resamples)


def mean_ratio(
    values: Floats, others: Floats, units: Sequence[str], *, seed: int = 0, num_resamples: int = NUM_RESAMPLES
) -> tuple[float, float, float]:
    """Return mean(values) / mean(others), both [problems], and its 95 % interval: quantiles over units drawn anew.

    `others` are not negative, and not all 0; drawn units of which all are 0 are left out.
    """
    (top, bottom), _ = by_unit(np.stack([values, others]), units)
    (drawn,) = _resampled([_kinds(top, bottom)], seed, num_resamples)
    low, high = np.quantile(drawn.real[drawn.imag > 0] / drawn.imag[drawn.imag > 0], [0.025, 0.975])
    ratio = float(top.sum() / bottom.sum())
    return round(ratio, DIGITS), round(float(low), DIGITS), round(float(high), DIGITS)


def _units(values: Floats, units: Sequence[str] | None) -> tuple[Floats, Floats]:
    """Return the sums of each row in each unit, and how many problems each unit has."""
    if units is None:
        return values, np.ones(values.shape[1])
    sums, sizes = by_unit(values, units)
    return sums, sizes[0] if len(sizes) else np.ones(0)


def _intervals(sums: Floats, sizes: Floats, seed: int, num_resamples: int) -> list[tuple[float, float]]:
    num_units, total = len(sizes), float(sizes.sum())
    intervals = [wilson(min(1.0, float(row.sum()) / total) if num_units else math.nan, num_units) for row in sums]
    rows = [index for index, row in enumerate(sums) if _rests_on(row, sizes) >= FEWEST]
    for index, (low, high) in zip(rows, _bca(sums[rows], sizes, seed, num_resamples), strict=True):
        intervals[index] = max(low, intervals[index][0]), min(high, intervals[index][1])
    return intervals


def participation(shares: Floats) -> float:
    """Return (Σ x)² / Σ x²: n for n equal shares, 1 where one has all."""
    squares = float((shares**2).sum())
    return float(shares.sum()) ** 2 / squares if squares else 0.0


def _rests_on(sums: Floats, sizes: Floats) -> float:
    """Return the effective number of units that keep the mean from 0 or 1, whichever is nearer; 0 for no spread."""
    if not len(sums) or np.ptp(sums / sizes) == 0:
        return 0.0
    return participation(sums if sums.sum() <= 0.5 * sizes.sum() else sizes - sums)


def _bca(sums: Floats, sizes: Floats, seed: int, num_resamples: int) -> list[tuple[float, float]]:
    """Return the widened BCa interval of each row's Σ sums / Σ sizes. No row is constant."""
    if not len(sums):
        return []
    num_units, normal = len(sizes), NormalDist()
    wide = t_quantile(0.975, num_units - 1) * math.sqrt(num_units / (num_units - 1))
    kinds = [_kinds(row, sizes) for row in sums]
    intervals = []
    for (values, counts), drawn in zip(kinds, _resampled(kinds, seed, num_resamples), strict=True):
        means = np.sort(drawn.real / drawn.imag)
        # The quantile levels: corrected for the bias of the median and the skew (acceleration).
        centre = float((counts @ values.real) / (counts @ values.imag))
        below = (np.searchsorted(means, centre - 1e-12) + np.searchsorted(means, centre + 1e-12)) / 2 / len(means)
        bias = normal.inv_cdf(min(max(below, 1 / len(means)), 1 - 1 / len(means)))
        deviations = values.real - centre * values.imag
        acceleration = float((counts @ deviations**3) / (6 * (counts @ deviations**2) ** 1.5))
        levels = [normal.cdf(bias + (bias + z) / (1 - acceleration * (bias + z))) for z in (-wide, wide)]
        low, high = np.quantile(means, levels)
        intervals.append((float(low), float(high)))
    return intervals


def _kinds(tops: Floats, bottoms: Floats) -> tuple[Complexes, Ints]:
    """Return top + i · bottom of each different unit, sorted, and how many units are so.

    What is drawn does not depend on the units' order then; where units are many, the kinds mostly are few.
    """
    return np.unique(np.round(tops + 1j * bottoms, DIGITS + 2), return_counts=True)


def _resampled(rows: Sequence[tuple[Complexes, Ints]], seed: int, num_resamples: int) -> Iterator[Complexes]:
    """Yield, for each row of `_kinds`, the sums over units drawn anew, [num_resamples]."""
    num_units = int(rows[0][1].sum()) if rows else 0
    is_short = [len(kinds) * FEW_KINDS <= num_units for kinds, _ in rows]
    # Where nearly every unit is its own kind, the units themselves, the same for all such rows.
    rest = [np.repeat(*row) for row, short in zip(rows, is_short, strict=True) if not short]
    sums = np.empty((len(rest), num_resamples), dtype=np.complex128)
    if rest:
        parts = np.concatenate([np.real(rest), np.imag(rest)])
        rng = np.random.default_rng([seed, num_units])
        for block in np.array_split(np.arange(num_resamples), 1 + num_resamples * num_units // BLOCK):
            drawn = rng.integers(0, num_units, (len(block), num_units))
            drawn += np.arange(len(block))[:, None] * num_units
            times = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape).astype(np.float64)
            tops, bottoms = np.split(parts @ times.T, 2)
            sums[:, block] = tops + 1j * bottoms
    others = iter(sums)
    for (kinds, counts), short in zip(rows, is_short, strict=True):
        if short:
            rng = np.random.default_rng([seed, num_units])
            blocks = np.array_split(np.arange(num_resamples), 1 + num_resamples * len(kinds) // BLOCK)
            chances = counts / num_units
            yield np.concatenate([rng.multinomial(num_units, chances, len(block)) @ kinds for block in blocks])
        else:
            yield next(others)
