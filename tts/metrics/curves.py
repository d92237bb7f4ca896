"""Curves over k: each problem's value at each k, as a range where verdicts are undecided."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np

from tts.metrics.best_of_n import best_of_n_odds, random_choice_odds
from tts.metrics.majority import majority_odds
from tts.metrics.pass_at_k import pass_at_k, pass_hat_k
from tts.metrics.pool import Pool
from tts.metrics.selection import SelectionOdds
from tts.metrics.subsets import Floats, Ints, require_ks
from tts.metrics.weighted_vote import weighted_vote_odds

DIGITS = 12  # decimals of a problem's value

Odds: TypeAlias = Callable[[Pool, int], SelectionOdds]


@dataclass(frozen=True, slots=True)
class Curve:
    """A figure at each k. `lower` (all undecided wrong) and `upper` (all right) are [num_ks, num_problems].

    `sampling_errors` are the standard errors of each k's mean that come from drawing subsets; 0 where it is exact.
    """

    name: str
    ks: tuple[int, ...]
    problem_ids: tuple[str, ...]
    num_candidates: int  # the fewest of any problem
    lower: Floats
    upper: Floats
    sampling_errors: tuple[float, ...]


def pass_curve(pool: Pool, ks: Sequence[int]) -> Curve:
    """Return pass@k: coverage, which is also the oracle's line."""
    return _counted("pass@k", pass_at_k, pool, ks)


def pass_hat_curve(pool: Pool, ks: Sequence[int]) -> Curve:
    """Return pass^k: all k are right."""
    return _counted("pass^k", pass_hat_k, pool, ks)


def random_curve(pool: Pool, ks: Sequence[int]) -> Curve:
    """Return the line of a blind choice among the k candidates: pass@1 at every k."""
    return _counted("random", lambda size, right, _: pass_at_k(size, right, 1), pool, ks)


def selected_curve(name: str, odds: Odds, pool: Pool, ks: Sequence[int]) -> Curve:
    """Return a selector's accuracy@k, given its `odds`: the expectation over random k-subsets."""
    require_ks(ks, pool.sizes, pool.problem_ids)
    at_ks = [odds(pool, k) for k in ks]
    ranges = [each.accuracy(pool) for each in at_ks]
    lower, upper = (_table([pair[side] for pair in ranges], pool) for side in (0, 1))
    errors = [
        max(each.sampling_error(low), each.sampling_error(high))
        for each, low, high in zip(at_ks, lower, upper, strict=True)
    ]
    return _curve(name, pool, ks, (lower, upper), errors)


def curves(pool: Pool, ks: Sequence[int], *, seed: int = 0) -> list[Curve]:
    """Return all curves of a pool: random, pass@k, pass^k, maj@k, `first`, and two for each scorer.

    A scorer with negative scores cannot weigh votes, and gets best-of-n alone.
    Raises UsageError where a problem has fewer than k candidates.
    """
    selectors: dict[str, Odds] = {"maj@k": majority_odds, "first": random_choice_odds}
    for scorer, scores in pool.scores.items():
        selectors[f"best_of_n({scorer})"] = partial(best_of_n_odds, scorer=scorer)
        if not np.any(scores < 0):
            selectors[f"self_consistency({scorer})"] = partial(weighted_vote_odds, scorer=scorer, seed=seed)
    lines = [random_curve(pool, ks), pass_curve(pool, ks), pass_hat_curve(pool, ks)]
    return lines + [selected_curve(name, odds, pool, ks) for name, odds in selectors.items()]


def _counted(name: str, figure: Callable[[Ints, Ints, int], Floats], pool: Pool, ks: Sequence[int]) -> Curve:
    """Return a figure that depends on nothing but how many candidates are right."""
    require_ks(ks, pool.sizes, pool.problem_ids)
    passed = pool.passed.sum(axis=1)
    either = passed + pool.open.sum(axis=1)
    lower, upper = (_table([figure(pool.sizes, right, k) for k in ks], pool) for right in (passed, either))
    return _curve(name, pool, ks, (lower, upper), [0.0] * len(ks))


def _curve(
    name: str, pool: Pool, ks: Sequence[int], ranges: tuple[Floats, Floats], sampling_errors: Sequence[float]
) -> Curve:
    num_candidates = min(pool.sizes.tolist(), default=0)
    return Curve(name, tuple(ks), pool.problem_ids, num_candidates, *ranges, tuple(sampling_errors))


def _table(rows: Sequence[Floats], pool: Pool) -> Floats:
    """Return [num_ks, num_problems], clear of what logarithms and sums leave: 0.4999999999999996 is 1/2, 1e-18 is 0."""
    values: Floats = np.reshape(rows, (len(rows), pool.num_problems))
    return np.clip(np.round(values, DIGITS), 0.0, 1.0) + 0.0  # no minus zero
