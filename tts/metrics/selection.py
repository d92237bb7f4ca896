"""Selection odds: how likely each candidate is handed in from a random k-subset, and the accuracy that follows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tts.metrics.pool import Pool
from tts.metrics.subsets import Bools, Floats, Ints, odds_within


@dataclass(frozen=True, slots=True)
class SelectionOdds:
    """The chance of each candidate to be handed in from a random k-subset, [problems, candidates].

    `contends` says who can be handed in at all, and `tied` is the chance that several share first place, [problems].
    `num_draws` is how many subsets of each problem the odds rest on, [problems]; 0: all of them, so there is no
    sampling error.
    """

    k: int
    odds: Floats
    contends: Bools
    tied: Floats
    num_draws: Ints

    def accuracy(self, pool: Pool) -> tuple[Floats, Floats]:
        """Return each problem's chance that what is handed in is right: undecided counted as wrong, and as right.

        Handing in nothing is wrong, but undecided where the subset holds nothing but undecided candidates (not all of
        them cut), or an answer that may be right and was not looked at, since its scorer could not tell.
        """
        lower = (self.odds * pool.passed).sum(axis=1)
        unseen = (pool.classes >= 0) & ~self.contends & (pool.passed | pool.open)
        silent = pool.sizes - self.contends.sum(axis=1)
        num_cut = pool.cut.sum(axis=1)
        num_open = num_cut + (pool.open & ~self.contends & ~unseen).sum(axis=1)
        unknown = (
            odds_within(silent, pool.sizes, self.k)
            - odds_within(silent - unseen.sum(axis=1), pool.sizes, self.k)
            + odds_within(num_open, pool.sizes, self.k)
            - odds_within(num_cut, pool.sizes, self.k)
        )
        return lower, lower + (self.odds * pool.open).sum(axis=1) + unknown

    def sampling_error(self, values: Floats) -> float:
        """Return the standard error, from drawing subsets, of the mean over problems of `values` = the accuracy."""
        if not self.num_draws.any():
            return 0.0
        spread = np.where(self.num_draws > 0, values * (1 - values) / np.maximum(self.num_draws - 1, 1), 0.0)
        return float(np.sqrt(np.clip(spread, 0, None).sum()) / len(values))


def exact_odds(pool: Pool, k: int, odds: Floats, contends: Bools, tied: Floats | None = None) -> SelectionOdds:
    """Return odds that rest on every subset; without `tied` there are no ties."""
    ties = np.zeros(pool.num_problems) if tied is None else tied
    return SelectionOdds(k, odds, contends, ties, np.zeros(pool.num_problems, dtype=np.int64))
