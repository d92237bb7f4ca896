"""Paired permutation test over problems: would chance alone make two recipes differ as much?

Where the recipes are alike, each problem's difference is as likely to be d as -d. So the signs are flipped: in all
ways where few differences are not zero (exact), else in `NUM_FLIPS` random ways, with (1 + b) / (1 + B) as the p-value
(Phipson & Smyth 2010, «Permutation P-values Should Never Be Zero»). Either way no more than 5 % of comparisons of
alike recipes have p ≤ 0.05, however the differences are distributed. Source: Fisher 1935, «The Design of Experiments».
"""

from __future__ import annotations

import itertools

import numpy as np

from tts.metrics.subsets import Floats, Ints

NUM_FLIPS = 9_999
MOST_EXACT = 14  # differences that are not zero: 2^13 ways, up to the sign of all
ROUNDING = 1e-9  # sums that differ by less, relatively, are equal
BLOCK = 1 << 22  # signs in memory at once


def sign_flip_p_values(differences: Floats, *, seed: int = 0) -> list[float]:
    """Return the two-sided p-value of the mean of each row of `differences`, [rows, problems]; 1 where all are zero.

    All rows see the same flips, so that their p-values go together where the rows do.
    """
    p_values = [1.0] * len(differences)
    many = []
    for index, row in enumerate(differences):
        moved = row[row != 0]
        if 0 < len(moved) <= MOST_EXACT:
            # The first is kept positive: the sign of all does not matter.
            signs = np.array([(1.0, *rest) for rest in itertools.product((1.0, -1.0), repeat=len(moved) - 1)])
            p_values[index] = float(np.mean(np.abs(signs @ moved) >= _least(moved)))
        elif len(moved):
            many.append(index)
    for index, num_as_large in zip(many, _random_flips(differences[many], seed), strict=True):
        p_values[index] = (1 + int(num_as_large)) / (1 + NUM_FLIPS)
    return p_values


def _least(differences: Floats) -> float:
    """Return how large a sum must be to be at least as large as the one seen."""
    return float(abs(differences.sum()) - ROUNDING * np.abs(differences).sum())


def _random_flips(differences: Floats, seed: int) -> Ints:
    """Return in how many of `NUM_FLIPS` random flips each row's sum is at least as large as the one seen."""
    num_problems = differences.shape[1]
    num_as_large = np.zeros(len(differences), dtype=np.int64)
    if len(differences):
        least = np.array([_least(row) for row in differences])
        rng = np.random.default_rng([seed, num_problems])
        for block in np.array_split(np.arange(NUM_FLIPS), 1 + NUM_FLIPS * num_problems // BLOCK):
            bits = np.unpackbits(rng.integers(0, 256, (len(block), -(-num_problems // 8)), dtype=np.uint8), axis=1)
            sums = bits[:, :num_problems].astype(np.float64) @ (2 * differences.T) - differences.sum(axis=1)
            num_as_large += (np.abs(sums) >= least).sum(axis=0)
    return num_as_large


def holm(p_values: list[float]) -> list[float]:
    """Return the p-values corrected for their number, order kept: the chance that any of them is a false alarm.

    Source: Holm 1979, «A Simple Sequentially Rejective Multiple Test Procedure».
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = largest
    return adjusted
