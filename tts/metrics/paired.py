"""Paired differences, many looks at once: p-values and intervals from one null distribution, which cannot disagree.

Where two arms are alike on every problem, its difference is as likely to be d as -d. So signs are flipped, and the sum
that was seen is held against the sums that flipping makes (Fisher 1935, «The Design of Experiments»; Phipson & Smyth
2010, «Permutation P-values Should Never Be Zero»):

1. A row's null distribution is that of |Σ ±d|: all signs where at most 16 differences are not 0, else 9,999 random
   flips, the same for all rows. Signs belong to problems by their sorted names, so that their order does not matter.
2. The p-value is the share of the null distribution that is as large as the sum seen.
3. The critical sum at a level lies between the largest null value that the level keeps and the smallest that it
   rejects, on the scale of normal quantiles. Sum ± critical sum is the interval.
4. Where the differences rest on fewer than 8 problems in effect, (Σ|d|)² / Σd², what was not seen counts: the interval
   is that of one more problem won outright, and one more lost. An end that would contradict the test is step 3's.
5. Many looks: what the smallest p-value of all rows would have been in each flip corrects them together, single-step
   min-P (Westfall & Young 1993, «Resampling-Based Multiple Testing»). It leaves each row one level, at which the joint
   intervals are made.

What is tested is that arms are alike on every problem; the interval is for the mean over the population of problems. A
population in which large gains are rare, small losses frequent, and the mean 0 is not alike: false alarms there are
7-8 % at 10 and 30 problems, 4-6 % from 100. `benchmarks/metrics.py` measures coverage, alarms and agreement.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from tts.metrics.bootstrap import participation
from tts.metrics.subsets import Bools, Floats
from tts.metrics.units import by_unit

SIGNIFICANCE = 0.05
FEWEST_MOVED = 6  # differing units, all one way, below which no p-value can reach 0.05: 2 / 2^6 = 0.03
NUM_FLIPS, MORE_FLIPS = 9_999, 39_999  # more where a verdict hangs on a level that is too near the least p-value
MOST_EXACT = 16  # differences that are not zero: 2^15 ways, up to the sign of all
FEWEST_EFFECTIVE = 8  # units that a mean must rest on for flips alone to bound it
ROUNDING = 1e-9  # differences below it are ties; sums that differ by less, relatively, are equal
BLOCK = 1 << 21  # signs in memory at once


@dataclass(frozen=True, slots=True)
class Look:
    """One row: the mean difference over its problems, in [-1, 1]; NaN, and p 1, where it has no problem.

    `p_value` is two-sided and exact for arms that are alike: all signs up to 16 differing problems, then 9,999 flips;
    its least value is 2^(1 - m) for m differing problems, so none is ≤ 0.05 below 6. `interval` (95 %) leaves 0 out
    just where p_value ≤ 0.05. It is conservative (97-100 %) where few problems differ, 92-97 % otherwise, and of about
    ±29 points with 10 problems; never of width 0. `adjusted_p_value` and `together` are corrected for all rows, and
    agree likewise. With one row they are the same.

    Where what is undecided makes the mean a range from `lower` to `upper`, intervals hold both ends', p-values are the
    larger of them, and 1 where the ends lie on both sides of 0: what is undecided could decide.
    """

    lower: float
    upper: float
    num_problems: int
    p_value: float
    interval: tuple[float, float]
    adjusted_p_value: float
    together: tuple[float, float]

    def of_clusters(self, num_clusters: int) -> Look:
        """Return the look at problems in so many clusters: below 6 there is no test, so that p-values are NaN."""
        has_test = num_clusters >= FEWEST_MOVED
        return self if has_test else replace(self, p_value=math.nan, adjusted_p_value=math.nan)


@dataclass(frozen=True, slots=True)
class Family:
    """Rows that were looked at together. `level`: a row is told apart where its `p_value` is at most this."""

    looks: tuple[Look, ...]
    level: float


def family(
    lower: Floats,
    units: Sequence[str],
    *,
    upper: Floats | None = None,
    seed: int = 0,
    num_flips: Sequence[int] = (NUM_FLIPS, MORE_FLIPS),
) -> Family:
    """Return the looks at the rows of `lower`, [rows, problems], in [-1, 1]; `upper` holds their other ends, if any.

    NaN: that problem is not in this row. `units` names for each problem what it is drawn with: its cluster, else
    itself. Units are flipped whole, and count as one; the mean is over problems all the same.
    """
    # Both ends of a look are rows; where nothing is undecided they are the same, and one does.
    lower, upper = rounded(lower), rounded(lower if upper is None else upper)
    is_range = np.any(np.nan_to_num(lower) != np.nan_to_num(upper), axis=1)
    sums, sizes = by_unit(np.concatenate([lower, upper[is_range]]), units)
    sums, num_looks = rounded(sums), len(lower)
    del lower, upper  # as large as `sums`

    # Every row under the same flips: all there are, or random ones, more of them where the level asks for it.
    moved = sums.any(axis=0)
    for number in (0,) if moved.sum() <= MOST_EXACT else num_flips:
        flipped, extra = (_flipped(sums, number, seed), 1) if number else (_all_signs(sums[:, moved]), 0)
        rows, least = [], np.ones(flipped.shape[1])
        for row, of_units, null in zip(sums, sizes, flipped, strict=True):
            order = np.argsort(null)  # sorted values are found many times faster
            ranked = null[order]
            rows.append(_Row(row, of_units, ranked))
            least[order] = np.minimum(least[order], rows[-1].p_of(ranked))
        least.sort()
        most = math.floor(SIGNIFICANCE * (extra + len(least)) + ROUNDING) - extra  # flips that may do as well
        level = min(float(least[most]) * (1 - ROUNDING), SIGNIFICANCE)
        coarse = number > 0 and level < 10 / (1 + number)
        if not coarse or not any(level / 2 <= row.p_value <= 2 * level for row in rows):
            break

    ends = []
    for row in rows:
        num_as_small = extra + int(np.searchsorted(least, row.p_value + 1e-12, side="right"))
        adjusted = max(row.p_value, num_as_small / (extra + len(least)))
        alone = row.interval(SIGNIFICANCE, rejected=row.p_value <= SIGNIFICANCE)
        together = row.interval(level, rejected=adjusted <= SIGNIFICANCE)
        ends.append(Look(row.mean, row.mean, row.num_problems, row.p_value, alone, adjusted, together))
    others = iter(ends[num_looks:])
    looks = [_hull(one, next(others)) if ranges else one for one, ranges in zip(ends, is_range, strict=False)]
    return Family(tuple(looks), level)


def _hull(lower: Look, upper: Look) -> Look:
    """Return the look whose two ends these are."""
    decides = lower.lower < 0 < upper.lower or upper.lower < 0 < lower.lower
    return Look(
        min(lower.lower, upper.lower),
        max(lower.lower, upper.lower),
        lower.num_problems,
        1.0 if decides else max(lower.p_value, upper.p_value),
        (min(lower.interval[0], upper.interval[0]), max(lower.interval[1], upper.interval[1])),
        1.0 if decides else max(lower.adjusted_p_value, upper.adjusted_p_value),
        (min(lower.together[0], upper.together[0]), max(lower.together[1], upper.together[1])),
    )


def rounded(differences: Floats) -> Floats:
    """Return the differences without those that are nothing but rounding."""
    return np.where(np.abs(differences) < ROUNDING, 0.0, differences)


def _all_signs(sums: Floats) -> Floats:
    """Return |Σ ±d| of each row under every choice of signs but the sign of all, [rows, 2^(units - 1)]."""
    found = sums[:, :1] if sums.shape[1] else np.zeros((len(sums), 1))
    for column in sums.T[1:, :, None]:
        found = np.concatenate([found - column, found + column], axis=1)
    return np.abs(found)


def _flipped(sums: Floats, num_flips: int, seed: int) -> Floats:
    """Return |Σ ±d| of each row under random flips that all rows share, [rows, num_flips]."""
    num_units = sums.shape[1]
    rng = np.random.default_rng([seed, num_units])
    found, totals = np.empty((len(sums), num_flips)), sums.sum(axis=1, keepdims=True)
    for block in np.array_split(np.arange(num_flips), 1 + num_flips * num_units // BLOCK):
        bits = np.unpackbits(rng.integers(0, 256, (len(block), -(-num_units // 8)), dtype=np.uint8), axis=1)
        found[:, block[0] : block[-1] + 1] = 2 * sums @ bits[:, :num_units].T.astype(np.float64) - totals
    return np.abs(found, out=found)


class _Row:
    """One row's units, and its null distribution, sorted: of all signs where they are few, else `flipped`."""

    def __init__(self, differences: Floats, sizes: Floats, flipped: Floats) -> None:
        moved = differences[differences != 0]
        magnitude = float(np.abs(moved).sum())
        self.num_problems = int(sizes.sum())
        self.size = self.num_problems / max(1, int(np.count_nonzero(sizes))) or 1.0  # problems in a unit
        self.tolerance = ROUNDING * magnitude
        total = math.fsum(moved)
        self.sum = total if abs(total) > self.tolerance else 0.0
        self.mean = self.sum / self.num_problems if self.num_problems else math.nan
        self.squares = float((moved**2).sum())
        self.rests_on = participation(np.abs(moved))
        exact = len(moved) <= MOST_EXACT
        self.null = np.sort(_all_signs(moved[None])[0]) if exact else flipped
        self.extra = 0 if exact else 1
        self.p_value = float(self.p_of(np.array([abs(self.sum)]))[0])

    def p_of(self, sums: Floats) -> Floats:
        """Return the p-value that each of these sums has, or would have had."""
        num = self.extra + len(self.null)
        found: Floats = (num - np.searchsorted(self.null, sums - self.tolerance)) / num
        return found

    def interval(self, level: float, *, rejected: bool) -> tuple[float, float]:
        """Return the interval of the mean at this level; `rejected`: the test tells the row apart at it."""
        total, num, size, z = self.sum, self.num_problems, self.size, _quantile(level)
        critical = self._critical(level, rejected=rejected)
        if self.rests_on >= FEWEST_EFFECTIVE - ROUNDING:
            low, high = (total - critical) / num, (total + critical) / num
        else:
            unseen = size + z * math.sqrt(self.squares + size**2)
            low, high = (total - unseen) / (num + size), (total + unseen) / (num + size)
        if total > 0 and rejected != (low > 0):
            low = (total - critical) / num
        if total < 0 and rejected != (high < 0):
            high = (total + critical) / num
        return max(float(low), -1.0), min(float(high), 1.0)

    def _critical(self, level: float, *, rejected: bool) -> float:
        """Return a sum between what is not rejected at the level and what is, on the same side of the one seen."""
        apart: Bools = np.append(True, np.diff(self.null) > self.tolerance)
        values = self.null[apart]
        p_values = self.p_of(values)
        kept = int(np.flatnonzero(p_values > level)[-1])
        z, z_kept, largest = _quantile(level), _quantile(p_values[kept]), float(values[kept])
        if kept + 1 < len(values):
            share = (z - z_kept) / (_quantile(p_values[kept + 1]) - z_kept)
            critical = largest + (float(values[kept + 1]) - largest) * min(max(share, 0.001), 0.999)
        else:  # nothing can be rejected: beyond the largest, in proportion to the quantiles
            critical = largest * (z / z_kept if z_kept > 0 else 5.5)
        seen = abs(self.sum)
        return min(critical, seen * (1 - 1e-6)) if rejected else max(critical, seen * (1 + 1e-6))


def _quantile(p_value: float) -> float:
    """Return the standard normal deviate whose two-sided p-value this is."""
    return -NormalDist().inv_cdf(p_value / 2)
