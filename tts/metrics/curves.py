"""Curves over k: each problem's value at each k, as a range where verdicts are undecided.

Of a pool whose candidates know nothing of each other every k is an expectation over its subsets. Where they influence
each other a part of them is no smaller draw: then a run was made for each k, a point is what is made of all its
candidates, however many each problem has (`whole_curves`), and the points of several runs are `joined`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from tts.metrics.best_of_n import best_of_n_odds, random_choice_odds
from tts.metrics.cut import had_voted
from tts.metrics.majority import majority_odds
from tts.metrics.pass_at_k import pass_at_k, pass_hat_k
from tts.metrics.pool import Pool, picked
from tts.metrics.silence import Asked, Odds, best_choice
from tts.metrics.subsets import Bools, Floats, Ints, require_ks, short
from tts.metrics.weighted_vote import weighted_choice, weighted_vote_odds

DIGITS = 12  # decimals of a problem's value


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

    @property
    def places(self) -> tuple[int, ...]:
        """Where its values are."""
        return self.ks

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


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a curve is read off. A row of it is named by one of `ks`, and is `num` candidates of the problems `where`.

    `rows` has several such parts a row where problems differ in how many there are; a problem in none is unknown.
    """

    pool: Pool
    ks: tuple[int, ...]
    rows: tuple[tuple[tuple[int, Bools], ...], ...]
    num_candidates: int  # the fewest of any problem that is not short


def subsets(pool: Pool, ks: Sequence[int]) -> Drawn:
    """Return k of the candidates of each problem, for each k. Raises UsageError as `require_ks` does."""
    require_ks(ks, pool.sizes, pool.problem_ids)
    fewest = min(pool.sizes[~short(pool.sizes)].tolist(), default=0)
    return Drawn(pool, tuple(ks), tuple(((k, pool.sizes >= k),) for k in ks), fewest)


def whole(pool: Pool, k: int, complete: Bools) -> Drawn:
    """Return all the candidates of each problem that is `complete`, [num_problems], as the draw of k that they are."""
    sizes = np.unique(pool.sizes[complete & (pool.sizes > 0)]).tolist()
    return Drawn(pool, (k,), (tuple((size, complete & (pool.sizes == size)) for size in sizes),), k)


def pass_curve(pool: Pool, ks: Sequence[int]) -> Curve:
    """Return pass@k: coverage, which is also the oracle's line."""
    return _counted("pass@k", pass_at_k, subsets(pool, ks))


def pass_hat_curve(pool: Pool, ks: Sequence[int]) -> Curve:
    """Return pass^k: all k are right."""
    return _counted("pass^k", pass_hat_k, subsets(pool, ks))


def random_curve(pool: Pool, ks: Sequence[int]) -> Curve:
    """Return the line of a blind choice among the k candidates: pass@1 at every k."""
    require_ks(ks, pool.sizes, pool.problem_ids)
    return replace(_counted("random", pass_at_k, subsets(pool, [1])).at([1] * len(ks)), ks=tuple(ks))


def selected_curve(name: str, odds: Odds, drawn: Drawn, *, votes: bool = False) -> Curve:
    """Return a selector's accuracy@k, given its `odds`: the expectation over random k-subsets.

    `votes`: it is a plain vote, so that it can be said what cut candidates could have made of it.
    """
    pool, ks = drawn.pool, drawn.ks
    tables = {side: _unknown(pool, ks) for side in ("lower", "upper", "cut_lower", "cut_upper", "tie_shares")}
    errors = []

    # Where some were cut: they vote for the strongest wrong answer, and for the right one.
    swayed = pool.cut.any(axis=1) & votes
    others = [had_voted(pool, right=right) for right in (False, True)] if swayed.any() else []

    for row, parts in enumerate(drawn.rows):
        tables["tie_shares"][row] = np.nan
        variances = 0.0
        for num, where in parts:
            part = picked(pool, np.flatnonzero(where).tolist())
            found = odds(part, num)
            lower, upper = found.accuracy(part)
            tables["lower"][row, where], tables["upper"][row, where] = lower, upper
            tables["tie_shares"][row, where] = found.tied
            share = float(where.mean() if where.size else 0)
            variances += (share * max(map(found.sampling_error, (lower, upper)))) ** 2
            tables["cut_lower"][row, where], tables["cut_upper"][row, where] = lower, upper
            for side, other in enumerate(others):
                there = picked(other, np.flatnonzero(where & swayed).tolist())
                tables[("cut_lower", "cut_upper")[side]][row, where & swayed] = odds(there, num).accuracy(there)[side]
        errors.append(math.sqrt(variances))
    if not votes:
        del tables["cut_lower"], tables["cut_upper"]
    return _curve(name, drawn, tables, errors)


def curves(pool: Pool, ks: Sequence[int], *, seed: int = 0, asked: Asked | None = None) -> list[Curve]:
    """Return all curves of a pool: random, pass@k, pass^k, maj@k, `first`, and two for each scorer.

    A scorer with negative scores cannot weigh votes, and gets best-of-n alone. Where one that was `asked` tells too
    little of a subset, the plain vote chooses there, as it does in a run.
    Raises UsageError where a problem that is not `short` has fewer than k candidates.
    """
    return [random_curve(pool, ks), *_all_but_random(subsets(pool, ks), seed, asked)]


def whole_curves(pool: Pool, k: int, complete: Bools, *, seed: int = 0, asked: Asked | None = None) -> list[Curve]:
    """Return the same curves of candidates that influence each other: a point at `k`, the number that was asked for.

    It is what is made of all candidates of a problem, as many as there are: any of them right, a blind choice, the
    vote. Nothing is known of a problem that is not `complete`, [num_problems], or has no candidates.
    """
    drawn = whole(pool, k, complete)
    blind = _counted("random", lambda sizes, right, _: pass_at_k(sizes, right, 1), drawn)
    return [blind, *_all_but_random(drawn, seed, asked)]


def joined(curves: Sequence[Curve]) -> Curve:
    """Return one curve of the points of several, whose ks differ; nothing is known of a problem that one lacks."""
    curves = sorted(curves, key=lambda one: one.ks)
    ids = tuple(dict.fromkeys(name for one in curves for name in one.problem_ids))
    ks = tuple(k for one in curves for k in one.ks)
    place = {name: number for number, name in enumerate(ids)}

    def table(side: str) -> Floats | None:
        parts = [getattr(one, side) for one in curves]
        if any(part is None for part in parts):
            return None
        found = np.full((len(ks), len(ids)), np.nan if side == "tie_shares" else float(side.endswith("upper")))
        row = 0
        for one, part in zip(curves, parts, strict=True):
            found[row : row + len(part), [place[name] for name in one.problem_ids]] = part
            row += len(part)
        return found

    lower, upper = table("lower"), table("upper")
    assert lower is not None
    assert upper is not None
    return Curve(
        curves[0].name,
        ks,
        ids,
        max(one.num_candidates for one in curves),
        lower,
        upper,
        tuple(error for one in curves for error in one.sampling_errors),
        table("cut_lower"),
        table("cut_upper"),
        table("tie_shares"),
    )


def _all_but_random(drawn: Drawn, seed: int, asked: Asked | None) -> list[Curve]:
    selectors: dict[str, Odds] = {"maj@k": majority_odds, "first": random_choice_odds}
    for scorer, scores in drawn.pool.scores.items():
        best: Odds = partial(best_of_n_odds, scorer=scorer)
        weighed: Odds = partial(weighted_vote_odds, scorer=scorer, seed=seed)
        if asked is not None and asked.scorer == scorer:
            best = asked.odds(best, partial(best_choice, scorer=scorer), seed=seed)
            weighed = asked.odds(weighed, partial(weighted_choice, scorer=scorer), seed=seed)
        selectors[f"best_of_n({scorer})"] = best
        if not np.any(scores < 0):
            selectors[f"self_consistency({scorer})"] = weighed
    lines = [_counted("pass@k", pass_at_k, drawn), _counted("pass^k", pass_hat_k, drawn)]
    return lines + [selected_curve(name, odds, drawn, votes=name == "maj@k") for name, odds in selectors.items()]


def _counted(name: str, figure: Callable[[Ints, Ints, int], Floats], drawn: Drawn) -> Curve:
    """Return a figure that depends on nothing but how many candidates are right."""
    pool = drawn.pool
    passed = pool.passed.sum(axis=1)
    either = passed + pool.open.sum(axis=1)
    sides = {"lower": passed, "upper": either, "cut_lower": passed, "cut_upper": either + pool.cut.sum(axis=1)}
    tables = {side: _unknown(pool, drawn.ks) for side in sides}
    for row, parts in enumerate(drawn.rows):
        for num, where in parts:
            for side, right in sides.items():
                tables[side][row, where] = figure(pool.sizes[where], right[where], num)
    return _curve(name, drawn, tables, [0.0] * len(drawn.ks))


def _unknown(pool: Pool, ks: Sequence[int]) -> Floats:
    return np.full((len(ks), pool.num_problems), np.nan)


def _curve(name: str, drawn: Drawn, tables: Mapping[str, Floats], sampling_errors: Sequence[float]) -> Curve:
    cleared = {}
    for side, table in tables.items():
        unknown = np.nan if side == "tie_shares" else float(side.endswith("upper"))
        # Clear of what logarithms and sums leave: 0.4999999999999996 is 1/2, 1e-18 is 0.
        cleared[side] = np.where(np.isnan(table), unknown, np.clip(np.round(table, DIGITS), 0.0, 1.0) + 0.0)
    ids, errors = drawn.pool.problem_ids, tuple(sampling_errors)
    return Curve(name, drawn.ks, ids, drawn.num_candidates, sampling_errors=errors, **cleared)
