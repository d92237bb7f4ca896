"""Weighted voting over random k-subsets: what the selector `self_consistency` hands in, ties shared.

Sums of real scores have no closed form, so subsets are drawn; where all weights of a problem are one number its vote is
a majority vote, which is exact.
"""

from __future__ import annotations

import numpy as np

from tts.errors import ScorerError
from tts.metrics.majority import voted_odds
from tts.metrics.parties import shared_by_vote
from tts.metrics.pool import Pool
from tts.metrics.resampling import NUM_DRAWS, Choose
from tts.metrics.selection import SelectionOdds
from tts.metrics.subsets import Floats


def weighted_vote_odds(pool: Pool, k: int, scorer: str, *, num_draws: int = NUM_DRAWS, seed: int = 0) -> SelectionOdds:
    """Return how often the vote weighted by `scorer` over a random k-subset hands in each candidate.

    A candidate without a score abstains. Sums that are all zero tie. Raises ScorerError for a negative score.
    """
    weights = _weights(pool, scorer)
    if np.any(weights < 0):
        raise ScorerError(
            f"scores must be 0 or above to weigh votes, got {np.nanmin(weights)} from {scorer}. "
            "Use another scorer, or best-of-n, which takes any score"
        )
    return voted_odds(pool, weights, k, num_draws=num_draws, seed=seed)


def weighted_choice(pool: Pool, scorer: str) -> Choose:
    """Return the same vote on given subsets."""
    return shared_by_vote(pool, _weights(pool, scorer))


def _weights(pool: Pool, scorer: str) -> Floats:
    return np.where(pool.classes >= 0, pool.scores[scorer], np.nan)
