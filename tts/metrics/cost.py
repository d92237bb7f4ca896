"""What k candidates cost and how many different answers they give: expectations over random k-subsets, exact."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tts.metrics.pool import Pool, class_sizes
from tts.metrics.subsets import Floats, Ints, odds_within, require_ks


def expected_tokens(pool: Pool, ks: Sequence[int]) -> Floats:
    """Return the completion tokens that k candidates of one problem take, [num_ks, num_problems]: k times their mean.

    The horizontal axis of accuracy against tokens: the mean over problems belongs to the curve's value at that k. NaN
    for a problem without candidates.
    """
    return _spent(pool, ks, pool.num_tokens)


def expected_prompt_tokens(pool: Pool, ks: Sequence[int]) -> Floats:
    """Return the prompt tokens of k candidates, [num_ks, num_problems], each candidate's prompt counted in full."""
    return _spent(pool, ks, pool.num_prompt_tokens)


def expected_distinct_answers(pool: Pool, ks: Sequence[int]) -> Floats:
    """Return how many answers that differ are among k candidates, [num_ks, num_problems]; no answer counts as none.

    NaN for a problem with fewer than k.

    Σ over answers of 1 - C(n - c, k) / C(n, k): rarefaction (Hurlbert 1971, «The Nonconcept of Species Diversity»).
    """
    require_ks(ks, pool.sizes, pool.problem_ids)
    alike, distinct = class_sizes(pool.classes), np.full((len(ks), pool.num_problems), np.nan)
    for row, k in enumerate(ks):
        known = pool.sizes >= k
        counts, sizes = alike[known], pool.sizes[known, None]
        drawn = (1 - odds_within(sizes - counts, sizes, k)) / np.maximum(counts, 1)  # of each of c that are alike
        distinct[row, known] = drawn.sum(axis=1)
    return distinct


def _spent(pool: Pool, ks: Sequence[int], tokens: Ints) -> Floats:
    require_ks(ks, pool.sizes, pool.problem_ids)
    means: Floats = np.where(pool.sizes > 0, tokens.sum(axis=1) / np.maximum(pool.sizes, 1), np.nan)
    return np.array(ks, dtype=np.float64)[:, None] * means
