"""Run-to-run error: how far a figure of these very problems would move, were all their candidates drawn anew.

The jackknife over candidates: leave one out, and see what the figure of its problem becomes (Efron & Stein 1981, «The
Jackknife Estimate of Variance»). It is told for k ≤ n / 4 alone: above, it knows too little of what was not drawn (with
16 candidates its ± at k = 15 covers 39-86 %), and where a figure is near 1 it is too narrow, too. The interval over
problems contains it: the two are never added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tts.metrics.majority import majority_odds
from tts.metrics.pass_at_k import pass_at_k, pass_hat_k
from tts.metrics.pool import ABSTAINS, Pool, class_sizes
from tts.metrics.subsets import Ints

FEWEST_EACH = 4  # candidates for each of k
FIGURES = ("random", "pass@k", "pass^k", "maj@k")
MOST_KINDS = 4000
"""Votes are counted anew without each kind of candidate; beyond this that takes minutes."""


def redraw_errors(name: str, pool: Pool, ks: Sequence[int]) -> list[float | None]:
    """Return the standard error of one of `FIGURES` at each k, in [0, 1]; None beyond n / 4, and for other figures.

    n is the fewest candidates of a problem. Undecided verdicts count as wrong. Of a vote it is None, too, where its
    problems have more than MOST_KINDS kinds of candidates together.
    """
    most = int(pool.sizes.min(initial=1 << 30)) // FEWEST_EACH if name in FIGURES and pool.num_problems else 0
    told = [k for k in ks if k <= most]
    if name == "maj@k":
        errors = dict(zip(told, _of_votes(pool, told), strict=False))
    else:
        errors = {k: _of_counts(name, pool, 1 if name == "random" else k) for k in told}
    return [errors.get(k) for k in ks]


def _of_counts(name: str, pool: Pool, k: int) -> float:
    """Return the error of a figure of c right of n: two values are left, (n-1)/n · c(n-c)/n · (f(c) - f(c-1))²."""
    figure = pass_hat_k if name == "pass^k" else pass_at_k
    right = pool.passed.sum(axis=1)
    mixed = (right > 0) & (right < pool.sizes)
    n, c = pool.sizes[mixed], right[mixed]
    step = figure(n - 1, c, k) - figure(n - 1, c - 1, k)
    return float(np.sqrt(((n - 1) / n * c * (n - c) / n * step**2).sum()) / pool.num_problems)


def _of_votes(pool: Pool, ks: Sequence[int]) -> list[float]:
    """Return the error of the vote at each k; nothing where there are more than MOST_KINDS kinds of candidates.

    Those alike, without whom the vote falls alike, leave the same value.
    """
    problems, places, times = _kinds(pool)
    if len(problems) > MOST_KINDS:
        return []
    left, errors = _without(pool, problems, places), []
    for k in ks:
        values = majority_odds(left, k).accuracy(left)[0]
        means = np.bincount(problems, values * times, pool.num_problems) / pool.sizes
        spread = np.bincount(problems, times * (values - means[problems]) ** 2, pool.num_problems)
        errors.append(float(np.sqrt(((pool.sizes - 1) / pool.sizes * spread).sum())) / pool.num_problems)
    return errors


def _kinds(pool: Pool) -> tuple[Ints, Ints, Ints]:
    """Return (problem, place of one candidate, how many there are) of each kind of candidate.

    Alike are those of classes of one size with equally many right ones, that pass alike; where answers are linked,
    those of one class.
    """
    width = pool.classes.shape[1]
    sizes, same = (
        class_sizes(pool.classes),
        class_sizes(np.where(pool.classes < 0, ABSTAINS, 2 * pool.classes + pool.passed)),
    )
    right = np.where(pool.passed, same, sizes - same)
    linked = np.array([bool(links) for links in pool.links])[:, None]
    key = np.where(linked, pool.classes + 1, sizes * (width + 1) + right) * 2 + pool.passed
    key[np.arange(width) >= pool.sizes[:, None]] = -1  # padding is nobody
    order = np.argsort(key, axis=1, kind="stable")
    ranked = np.take_along_axis(key, order, axis=1)
    first = (np.diff(ranked, axis=1, prepend=-2) != 0) & (ranked >= 0)
    problems, columns = np.nonzero(first)
    ends = np.append(np.flatnonzero(first.ravel())[1:], first.size)
    row_ends = (problems + 1) * width
    times = np.minimum(ends, row_ends) - (problems * width + columns)
    return problems, order[problems, columns], times


def _without(pool: Pool, problems: Ints, places: Ints) -> Pool:
    """Return a pool of these problems, one row each, without the candidate at its place."""
    width = pool.classes.shape[1] - 1
    kept = np.arange(width) + (np.arange(width) >= places[:, None])

    def of(values: NDArray[Any]) -> NDArray[Any]:
        return np.take_along_axis(values[problems], kept, axis=1)

    return replace(
        pool,
        problem_ids=tuple(f"{number}" for number in range(len(problems))),
        sizes=pool.sizes[problems] - 1,
        passed=of(pool.passed),
        open=of(pool.open),
        cut=of(pool.cut),
        classes=of(pool.classes),
        num_tokens=of(pool.num_tokens),
        num_prompt_tokens=of(pool.num_prompt_tokens),
        scores={},
        links=tuple(pool.links[one] for one in problems),
    )
