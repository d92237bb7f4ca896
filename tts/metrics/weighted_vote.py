"""Weighted voting over random k-subsets: what the selector `self_consistency` hands in, by sampling.

Sums of real scores have no closed form, so subsets are drawn (see `tts.metrics.resampling`).
"""

from __future__ import annotations

import numpy as np

from tts.errors import ScorerError
from tts.metrics.pool import Pool
from tts.metrics.resampling import NOBODY, NUM_DRAWS, Choose, sampled_odds
from tts.metrics.selection import SelectionOdds
from tts.metrics.subsets import Floats, Ints

ROUNDING = 1e-12  # sums that differ by less, relatively, tie: the order of the summands must not decide


def weighted_vote_odds(pool: Pool, k: int, scorer: str, *, num_draws: int = NUM_DRAWS, seed: int = 0) -> SelectionOdds:
    """Return how often the vote weighted by `scorer` over a random k-subset hands in each candidate.

    A candidate without a score abstains. Ties, and sums that are all zero: the best rank of those answers wins.
    Raises ScorerError for a negative score.
    """
    weights = np.where(pool.classes >= 0, pool.scores[scorer], np.nan)
    if np.any(weights < 0):
        raise ScorerError(
            f"scores must be 0 or above to weigh votes, got {np.nanmin(weights)} from {scorer}. "
            "Use another scorer, or best-of-n, which takes any score"
        )
    choose = chosen_by_vote(pool, weights)
    return sampled_odds(pool, k, choose, ~np.isnan(weights), num_draws=num_draws, seed=seed)


def chosen_by_vote(pool: Pool, weights: Floats) -> Choose:
    """Return what holds the vote of `tts.selectors.contenders` on each subset; NaN weights abstain."""
    num_classes = 1 + max(int(pool.classes.max(initial=0)), *(right for links in pool.links for _, right in links), 0)

    def choose(problems: Ints, positions: Ints) -> Ints:
        at = problems[:, None], positions
        votes = ~np.isnan(weights[at])
        drawn = np.where(votes, weights[at], 0.0)
        group = np.arange(len(problems))[:, None] * num_classes + np.maximum(pool.classes[at], 0)
        sums = np.bincount(group.ravel(), drawn.ravel(), len(problems) * num_classes).reshape(-1, num_classes)
        supports = sums.copy()
        for problem in np.unique(problems):
            rows = problems == problem
            for left, right in sorted(pool.links[problem]):
                supports[rows, left] += sums[rows, right]
                supports[rows, right] += sums[rows, left]
        support = supports.ravel()[group]
        heaviest = np.where(votes, support, 0.0).max(axis=1, keepdims=True)
        leads = votes & (support >= heaviest * (1 - ROUNDING))
        first = np.where(leads, pool.ranks[at], pool.ranks.shape[1]).argmin(axis=1)
        row = np.arange(len(problems))
        return np.where(leads[row, first], positions[row, first], NOBODY)

    return choose
