"""How many different answers k candidates give: expectations over random k-subsets, exact."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tts.metrics.pool import Pool, class_sizes
from tts.metrics.subsets import Floats, odds_within, require_ks


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
