"""95 % intervals for a mean of paired differences that agree with the sign-flip test.

The means of random subsets of the problems are typical values of the true mean: between any two of them it lies as
often as in any other gap, if differences are as likely above it as below (Hartigan 1969, «Using Subsample Values as
Typical Values»). So their 2.5 % and 97.5 % quantiles bound just those differences that flipping signs would not
reject. They know nothing of what was not seen: where the differences rest on fewer than 6 problems, the Wilson
intervals of gains and losses are added as squares instead, «MOVER» (Zou & Donner 2008, «Construction of Confidence
Limits about Effect Measures»), which is wider.
"""

from __future__ import annotations

import math

import numpy as np

from tts.metrics.bootstrap import FEWEST, participation
from tts.metrics.intervals import wilson
from tts.metrics.subsets import Floats

NUM_SUBSETS = 9_999
BLOCK = 1 << 22  # drawn problems in memory at once


def difference_intervals(differences: Floats, *, seed: int = 0) -> list[tuple[float, float]]:
    """Return the 95 % interval of the mean of each row of `differences`, [rows, problems], all in [-1, 1]."""
    intervals = [_gains_and_losses(row) for row in differences]
    rows = [index for index, row in enumerate(differences) if participation(np.abs(row)) >= FEWEST]
    if rows:
        bounds = np.quantile(_subset_means(differences[rows], seed), [0.025, 0.975], axis=0)
        for index, (low, high) in zip(rows, bounds.T, strict=True):
            intervals[index] = float(low), float(high)
    return intervals


def _subset_means(differences: Floats, seed: int) -> Floats:
    """Return the means over random subsets of the problems, each in it with chance 1/2, [subsets, rows]."""
    num_problems = differences.shape[1]
    rng = np.random.default_rng([seed, num_problems])
    means = []
    for block in np.array_split(np.arange(NUM_SUBSETS), 1 + NUM_SUBSETS * num_problems // BLOCK):
        drawn = rng.integers(0, 2, (len(block), num_problems), dtype=np.int8).astype(np.float64)
        sizes = drawn.sum(axis=1, keepdims=True)
        means.append((drawn @ differences.T / np.maximum(sizes, 1))[sizes[:, 0] > 0])
    return np.concatenate(means)


def _gains_and_losses(differences: Floats) -> tuple[float, float]:
    """Return the bounds of gain minus loss, each of which is a mean of values in [0, 1]."""
    num_problems = len(differences)
    if num_problems == 0:
        return -1.0, 1.0
    gain, loss = float(np.maximum(differences, 0).mean()), float(np.maximum(-differences, 0).mean())
    (gain_low, gain_high), (loss_low, loss_high) = wilson(gain, num_problems), wilson(loss, num_problems)
    low = gain - loss - math.hypot(gain - gain_low, loss_high - loss)
    high = gain - loss + math.hypot(gain_high - gain, loss - loss_low)
    return max(-1.0, low), min(1.0, high)
