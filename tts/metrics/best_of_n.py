"""Best-of-n and random choice over random k-subsets, exactly: order statistics, ties shared.

One of g candidates of equal score is best with chance [C(w + g, k) - C(w, k)] / C(n, k), where w candidates score worse
or abstain; each of the g has an equal part of it, so that a scorer that knows nothing is a random choice. Stiennon et
al. 2020, «Learning to Summarize from Human Feedback», appendix, state the estimator for distinct scores.
"""

from __future__ import annotations

import numpy as np

from tts.metrics.pool import Pool
from tts.metrics.selection import SelectionOdds, exact_odds
from tts.metrics.subsets import log_choose, odds_within


def best_of_n_odds(pool: Pool, k: int, scorer: str) -> SelectionOdds:
    """Return the chance that each candidate is what best-of-n hands in from a random k-subset.

    A candidate without a score abstains. Equal scores share.
    """
    contends = (pool.classes >= 0) & ~np.isnan(pool.scores[scorer])
    scores = np.where(contends, pool.scores[scorer], -np.inf)
    worse, upto = np.zeros(scores.shape, dtype=np.int64), np.ones(scores.shape, dtype=np.int64)
    for problem, size in enumerate(pool.sizes):
        ordered = np.sort(scores[problem, :size])
        worse[problem, :size] = np.searchsorted(ordered, scores[problem, :size], side="left")
        upto[problem, :size] = np.searchsorted(ordered, scores[problem, :size], side="right")
    sizes = pool.sizes[:, None]
    best = odds_within(upto, sizes, k) - odds_within(worse, sizes, k)
    odds = np.where(contends, best / (upto - worse), 0.0)
    alone = np.where(contends, np.exp(log_choose(worse, k - 1) - log_choose(sizes, k)), 0.0).astype(np.float64)
    return exact_odds(pool, k, odds, contends, np.clip((odds - alone).sum(axis=1), 0.0, 1.0))


def random_choice_odds(pool: Pool, k: int) -> SelectionOdds:
    """Return the chance of each candidate where one that finished with an answer is chosen blindly from a k-subset.

    It is what the selector `first` hands in, since the candidates of a random subset come in random order.
    """
    contends = pool.classes >= 0
    num_contenders = contends.sum(axis=1)
    any_contends = 1 - odds_within(pool.sizes - num_contenders, pool.sizes, k)
    odds = contends * (any_contends / np.maximum(num_contenders, 1))[:, None]
    return exact_odds(pool, k, odds, contends)
