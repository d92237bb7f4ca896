"""Curves over k: each problem's value at each k, as a range where verdicts are undecided."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import numpy as np

from tts.metrics.best_of_n import best_of_n_odds, random_choice_odds
from tts.metrics.cut import had_voted
from tts.metrics.majority import majority_odds
from tts.metrics.pass_at_k import pass_at_k, pass_hat_k
from tts.metrics.pool import Pool, picked
from tts.metrics.selection import SelectionOdds
from tts.metrics.subsets import Floats, Ints, require_ks, short
from tts.metrics.weighted_vote import weighted_vote_odds

DIGITS = 12  # decimals of a problem's value

Odds: TypeAlias = Callable[[Pool, int], SelectionOdds]


@dataclass(frozen=True, slots=True)
class Curve:
    """A figure at each k. `lower` (all undecided wrong) and `upper` (all right) are [num_ks, num_problems].

    Candidates that were cut by their limit are wrong in both: this is what is reached within the budget. `cut_lower`
    and `cut_upper` are what it could have been without that limit (see `tts.metrics.cut`), where the figure has such
    bounds. Nothing is known of a problem at a k beyond its number of candidates: 0 and 1.

    `tie_shares` is the share of subsets in which first place is shared, [num_ks, num_problems], where the figure knows
    ties (NaN beyond a problem's candidates). `sampling_errors` are the standard errors of each k's mean that come from
    drawing subsets; 0 where it is exact.
    """

    name: str
    ks: tuple[int, ...]
    problem_ids: tuple[str, ...]
    num_candidates: int  # the fewest of any problem that is not short
    lower: Floats
    upper: Floats
    sampling_errors: tuple[float, ...]
    cut_lower: Floats | None = None
    cut_upper: Floats | None = None
    tie_shares: Floats | None = None

    def at(self, ks: Sequence[int]) -> Curve:
        """Return the curve at some of its ks, in the order given."""
        rows = [self.ks.index(k) for k in ks]
        return replace(
            self,
            ks=tuple(ks),
            lower=self.lower[rows],
            upper=self.upper[rows],
            sampling_errors=tuple(self.sampling_errors[row] for row in rows),
            cut_lower=None if self.cut_lower is None else self.cut_lower[rows],
            cut_upper=None if self.cut_upper is None else self.cut_upper[rows],
            tie_shares=None if self.tie_shares is None else self.tie_shares[rows],
        )


def pass_curve(pool: Pool, ks: Sequence[int]) -> Curve:
    """Return pass@k: coverage, which is also the oracle's line."""
    return _counted("pass@k", pass_at_k, pool, ks)


def pass_hat_curve(pool: Pool, ks: Sequence[int]) -> Curve:
    """Return pass^k: all k are right."""
    return _counted("pass^k", pass_hat_k, pool, ks)


def random_curve(pool: Pool, ks: Sequence[int]) -> Curve:
    """Return the line of a blind choice among the k candidates: pass@1 at every k."""
    require_ks(ks, pool.sizes, pool.problem_ids)
    return replace(_counted("random", pass_at_k, pool, [1]).at([1] * len(ks)), ks=tuple(ks))


def selected_curve(name: str, odds: Odds, pool: Pool, ks: Sequence[int], *, votes: bool = False) -> Curve:
    """Return a selector's accuracy@k, given its `odds`: the expectation over random k-subsets.

    `votes`: it is a plain vote, so that it can be said what cut candidates could have made of it.
    """
    require_ks(ks, pool.sizes, pool.problem_ids)
    tables = {side: _unknown(pool, ks) for side in ("lower", "upper", "cut_lower", "cut_upper", "tie_shares")}
    errors = []

    # Where some were cut: they vote for the strongest wrong answer, and for the right one.
    swayed = pool.cut.any(axis=1) & votes
    others = [had_voted(pool, right=right) for right in (False, True)] if swayed.any() else []

    for row, k in enumerate(ks):
        known = pool.sizes >= k
        part = picked(pool, np.flatnonzero(known).tolist())
        found = odds(part, k)
        lower, upper = found.accuracy(part)
        tables["lower"][row, known], tables["upper"][row, known] = lower, upper
        tables["tie_shares"][row] = np.nan
        tables["tie_shares"][row, known] = found.tied
        errors.append(float(known.mean() if known.size else 0) * max(map(found.sampling_error, (lower, upper))))
        tables["cut_lower"][row, known], tables["cut_upper"][row, known] = lower, upper
        for side, other in enumerate(others):
            there = picked(other, np.flatnonzero(known & swayed).tolist())
            tables[("cut_lower", "cut_upper")[side]][row, known & swayed] = odds(there, k).accuracy(there)[side]
    if not votes:
        del tables["cut_lower"], tables["cut_upper"]
    return _curve(name, pool, ks, tables, errors)


def curves(pool: Pool, ks: Sequence[int], *, seed: int = 0) -> list[Curve]:
    """Return all curves of a pool: random, pass@k, pass^k, maj@k, `first`, and two for each scorer.

    A scorer with negative scores cannot weigh votes, and gets best-of-n alone.
    Raises UsageError where a problem that is not `short` has fewer than k candidates.
    """
    selectors: dict[str, Odds] = {"maj@k": majority_odds, "first": random_choice_odds}
    for scorer, scores in pool.scores.items():
        selectors[f"best_of_n({scorer})"] = partial(best_of_n_odds, scorer=scorer)
        if not np.any(scores < 0):
            selectors[f"self_consistency({scorer})"] = partial(weighted_vote_odds, scorer=scorer, seed=seed)
    lines = [random_curve(pool, ks), pass_curve(pool, ks), pass_hat_curve(pool, ks)]
    return lines + [selected_curve(name, odds, pool, ks, votes=name == "maj@k") for name, odds in selectors.items()]


def _counted(name: str, figure: Callable[[Ints, Ints, int], Floats], pool: Pool, ks: Sequence[int]) -> Curve:
    """Return a figure that depends on nothing but how many candidates are right."""
    require_ks(ks, pool.sizes, pool.problem_ids)
    passed = pool.passed.sum(axis=1)
    either = passed + pool.open.sum(axis=1)
    sides = {"lower": passed, "upper": either, "cut_lower": passed, "cut_upper": either + pool.cut.sum(axis=1)}
    tables = {side: _unknown(pool, ks) for side in sides}
    for row, k in enumerate(ks):
        known = pool.sizes >= k
        for side, right in sides.items():
            tables[side][row, known] = figure(pool.sizes[known], right[known], k)
    return _curve(name, pool, ks, tables, [0.0] * len(ks))


def _unknown(pool: Pool, ks: Sequence[int]) -> Floats:
    return np.full((len(ks), pool.num_problems), np.nan)


def _curve(
    name: str, pool: Pool, ks: Sequence[int], tables: Mapping[str, Floats], sampling_errors: Sequence[float]
) -> Curve:
    num_candidates = min(pool.sizes[~short(pool.sizes)].tolist(), default=0)
    cleared = {}
    for side, table in tables.items():
        unknown = np.nan if side == "tie_shares" else float(side.endswith("upper"))
        # Clear of what logarithms and sums leave: 0.4999999999999996 is 1/2, 1e-18 is 0.
        cleared[side] = np.where(np.isnan(table), unknown, np.clip(np.round(table, DIGITS), 0.0, 1.0) + 0.0)
    return Curve(name, tuple(ks), pool.problem_ids, num_candidates, sampling_errors=tuple(sampling_errors), **cleared)
