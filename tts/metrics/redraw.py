"""Run-to-run error: how far a figure of these very problems would move, were all their candidates drawn anew.

The jackknife over candidates: leave one out, and see what the figure of its problem becomes (Efron & Stein 1981, «The
Jackknife Estimate of Variance»). It is told for k ≤ n / 4 alone: above, it knows too little of what was not drawn (with
16 candidates its ± at k = 15 covers 39-86 %), and where a figure is near 1 it is too narrow, too. The interval over
problems contains it: the two are never added.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tts.metrics.pass_at_k import pass_at_k, pass_hat_k
from tts.metrics.pool import Pool

FEWEST_EACH = 4  # candidates for each of k
FIGURES = ("random", "pass@k", "pass^k")


def redraw_errors(name: str, pool: Pool, ks: Sequence[int]) -> list[float | None]:
    """Return the standard error of one of `FIGURES` at each k, in [0, 1]; None beyond n / 4, and for other figures.

    n is the fewest candidates of a problem. Undecided verdicts count as wrong. A problem with c right of n has two
    values left: its squared error is (n - 1) / n · c (n - c) / n · (f(n - 1, c) - f(n - 1, c - 1))².
    """
    figure = pass_hat_k if name == "pass^k" else pass_at_k
    right = pool.passed.sum(axis=1)
    mixed = (right > 0) & (right < pool.sizes)
    n, c = pool.sizes[mixed], right[mixed]

    def error(k: int) -> float:
        step = figure(n - 1, c, k) - figure(n - 1, c - 1, k)
        return float(np.sqrt(((n - 1) / n * c * (n - c) / n * step**2).sum()) / pool.num_problems)

    most = int(pool.sizes.min(initial=1 << 30)) // FEWEST_EACH if name in FIGURES and pool.num_problems else 0
    return [error(1 if name == "random" else k) if k <= most else None for k in ks]
