"""pass@k and pass^k: the chance that of k candidates one is right, and that all are.

Chen et al. 2021, «Evaluating Large Language Models Trained on Code», equation 1: 1 - C(n - c, k) / C(n, k), unbiased
for every k ≤ n. Yao et al. 2024, «τ-bench»: pass^k = C(c, k) / C(n, k).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tts.errors import UsageError
from tts.metrics.subsets import Floats, odds_within


def pass_at_k(num_candidates: ArrayLike, num_right: ArrayLike, k: int) -> Floats:
    """Return, for each problem, the chance that a random k-subset of its n candidates has at least one right.

    Also the oracle's accuracy: what a perfect selector would reach. Raises UsageError unless 1 ≤ k ≤ every n.
    """
    require_k(k, num_candidates)
    return 1.0 - odds_within(np.subtract(num_candidates, num_right), num_candidates, k)


def pass_hat_k(num_candidates: ArrayLike, num_right: ArrayLike, k: int) -> Floats:
    """Return, for each problem, the chance that all candidates of a random k-subset are right (pass^k).

    Raises UsageError unless 1 ≤ k ≤ every n.
    """
    require_k(k, num_candidates)
    return odds_within(num_right, num_candidates, k)


def require_k(k: int, num_candidates: ArrayLike) -> None:
    """Raise UsageError unless 1 ≤ k ≤ every n."""
    fewest = np.min(num_candidates, initial=np.iinfo(np.int64).max)
    if not 1 <= k <= fewest:
        raise UsageError(f"`k` must be from 1 to {fewest}, the fewest candidates of a problem, got {k}")
