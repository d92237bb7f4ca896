"""G-Pass@k and mG-Pass@k: the chance that a good share of k candidates is right.

Liu et al. 2024, «Are Your LLMs Capable of Stable Reasoning?» (arXiv 2412.13147), equations 3 to 5.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike

from tts.errors import UsageError
from tts.metrics.pass_at_k import require_k
from tts.metrics.subsets import Floats, log_choose


def g_pass_at_k(num_candidates: ArrayLike, num_right: ArrayLike, k: int, share: float | Fraction) -> Floats:
    """Return, for each problem, the chance that at least ⌈share · k⌉ of a random k-subset of its n candidates is right.

    At a share of 1 it is pass^k; with 1/k or less, pass@k. A decimal share is taken as it is written: 0.07 of 100 are
    7. Raises UsageError unless 1 ≤ k ≤ every n and 0 < share ≤ 1.
    """
    if not 0 < share <= 1:
        raise UsageError(f"`share` must be above 0, and at most 1, got {share}")
    written = share if isinstance(share, Fraction) else Fraction(repr(float(share)))
    return _at_least(num_candidates, num_right, k, math.ceil(written * k))


def mean_g_pass_at_k(num_candidates: ArrayLike, num_right: ArrayLike, k: int) -> Floats:
    """Return, for each problem, the mean of G-Pass@k over the shares from ½ to 1 (mG-Pass@k).

    That is 2/k times the sum of the chances that at least i are right, for i from ⌈k/2⌉ + 1 to k; 0 at k = 1, for which
    the sum is empty. Raises UsageError unless 1 ≤ k ≤ every n.
    """
    require_k(k, num_candidates)
    found = np.zeros(np.broadcast(num_candidates, num_right).shape)
    for least in range(math.ceil(k / 2) + 1, k + 1):
        found += _at_least(num_candidates, num_right, k, least)
    return found * 2 / k


def _at_least(num_candidates: ArrayLike, num_right: ArrayLike, k: int, least: int) -> Floats:
    """Return the upper tail of the hypergeometric distribution, from `least` on."""
    require_k(k, num_candidates)
    right = np.asarray(num_right)[..., None]
    wrong = np.asarray(num_candidates)[..., None] - right
    counts = np.arange(least, k + 1)
    logs = log_choose(right, counts) + log_choose(wrong, k - counts) - log_choose(np.add(wrong, right), k)
    return np.asarray(np.minimum(1.0, np.exp(logs).sum(axis=-1, dtype=np.float64)))
