"""Best-of-n and random choice over random k-subsets, exactly: order statistics.

The winner of a subset is its best-ranked contender, so a contender wins with chance C(w, k - 1) / C(n, k), where w
candidates rank worse or abstain. Stiennon et al. 2020, «Learning to Summarize from Human Feedback», appendix, state
the estimator for distinct scores; ties are broken by rank here, as `tts.selectors.contenders` does.
"""

from __future__ import annotations

import numpy as np

from tts.metrics.pool import Pool
from tts.metrics.selection import SelectionOdds, exact_odds
from tts.metrics.subsets import log_choose, odds_within


def best_of_n_odds(pool: Pool, k: int, scorer: str) -> SelectionOdds:
    """Return the chance that each candidate is what best-of-n hands in from a random k-subset.

    A candidate without a score abstains. Between equal scores, the better rank wins.
    """
    scores = pool.scores[scorer]
    contends = (pool.classes >= 0) & ~np.isnan(scores)
    order = np.lexsort((pool.ranks, np.where(contends, -scores, np.inf)), axis=1)
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.broadcast_to(np.arange(order.shape[1]), order.shape), axis=1)
    worse = np.where(contends, pool.sizes[:, None] - 1 - place, 0)
    odds = np.where(contends, np.exp(log_choose(worse, k - 1) - log_choose(pool.sizes, k)[:, None]), 0.0)
    return exact_odds(pool, k, odds, contends)


def random_choice_odds(pool: Pool, k: int) -> SelectionOdds:
    """Return the chance of each candidate where one that finished with an answer is chosen blindly from a k-subset.

    It is what the selector `first` hands in, since the candidates of a random subset come in random order.
    """
    contends = pool.classes >= 0
    num_contenders = contends.sum(axis=1)
    any_contends = 1 - odds_within(pool.sizes - num_contenders, pool.sizes, k)
    odds = contends * (any_contends / np.maximum(num_contenders, 1))[:, None]
    return exact_odds(pool, k, odds, contends)
