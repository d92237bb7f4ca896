"""Whether a scorer tells right candidates from wrong ones, and whether its numbers are the shares that they look like.

What counts are candidates that finished with an answer, have a score, and a verdict that is decided.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tts.metrics.bootstrap import estimates
from tts.metrics.intervals import Estimate, wilson
from tts.metrics.pool import Pool
from tts.metrics.subsets import Bools, Floats
from tts.metrics.units import units_of


@dataclass(frozen=True, slots=True)
class Separation:
    """The chance that a right candidate scores higher than a wrong one, ties half: 0.5 is blind, 1 perfect.

    `within` is of two candidates of one problem, the mean over the `num_problems` that have both: that is what a choice
    between candidates needs. `pooled` is of any two: it also rewards telling easy problems from hard ones. NaN where
    there are no pairs.
    """

    within: Estimate
    pooled: float
    num_problems: int


def auroc(scores: Floats, right: Bools) -> float:
    """Return the area under the ROC curve: the share of pairs (right, wrong) in the right order, ties half.

    The Mann-Whitney statistic. NaN without a pair.
    """
    num_right, num_wrong = int(right.sum()), int((~right).sum())
    if not num_right or not num_wrong:
        return math.nan
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]  # the mean rank of those that tie
    return float((ranks[right].sum() - num_right * (num_right + 1) / 2) / (num_right * num_wrong))


def separation(pool: Pool, scorer: str, *, clusters: Mapping[str, str] | None = None, seed: int = 0) -> Separation:
    """Return how well a scorer separates. `clusters` are what problems share, by their ids."""
    scores, counts = pool.scores[scorer], _counts(pool, scorer)
    each = np.array([auroc(scores[row, there], pool.passed[row, there]) for row, there in enumerate(counts)])
    known = np.flatnonzero(~np.isnan(each))
    units = units_of([pool.problem_ids[row] for row in known], clusters or {})
    (within,) = estimates(each[None, known], each[None, known], units=units, seed=seed)
    return Separation(within, auroc(scores[counts], pool.passed[counts]), len(known))


@dataclass(frozen=True, slots=True)
class Bin:
    """The candidates with scores in one tenth of [0, 1]: how many, their mean score, the share of right ones.

    `low` and `high` are the 95 % interval of that share, with problems as the unit.
    """

    number: int
    mean_score: float
    share_right: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """The bins that are not empty, and `error`: how far a score is from the share of right ones, in the mean."""

    bins: tuple[Bin, ...]
    error: float


def reliability(pool: Pool, scorer: str, *, num_bins: int = 10) -> Reliability | None:
    """Return the reliability diagram of a scorer and its expected calibration error (Naeini et al. 2015, AAAI).

    None where there are no scores, or one is not in [0, 1].
    """
    counts = _counts(pool, scorer)
    scores, right = pool.scores[scorer][counts], pool.passed[counts]
    if not len(scores) or scores.min() < 0 or scores.max() > 1:
        return None
    problems = np.nonzero(counts)[0]
    place = np.minimum((scores * num_bins).astype(int), num_bins - 1)
    bins = []
    for one in range(num_bins):
        there = place == one
        if there.any():
            share = float(right[there].mean())
            low, high = wilson(share, len(np.unique(problems[there])))
            bins.append(Bin(int(there.sum()), float(scores[there].mean()), share, low, high))
    error = math.fsum(one.number * abs(one.mean_score - one.share_right) for one in bins) / len(scores)
    return Reliability(tuple(bins), error)


def _counts(pool: Pool, scorer: str) -> Bools:
    """Return which candidates count, [problems, candidates]."""
    found: Bools = (pool.classes >= 0) & ~np.isnan(pool.scores[scorer]) & ~pool.open & ~pool.cut
    return found
