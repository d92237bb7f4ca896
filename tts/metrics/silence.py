"""Selection by a scorer that asks, over random k-subsets: where it told too little of a subset, the plain vote chooses.

It is the rule by which a run hands in: of more than half of the candidates with an answer the scorer could tell
nothing, or it gave one score to all of them, whose answers differ (see `tts.pipeline.judge`). So each subset is looked
at for itself: in one the scorer chooses, in another the vote. What all candidates together would say counts in none of
them.

Where the scorer told of all, and gave no two answers one score, or told of nobody, every subset is alike, and the odds
are what they are; else subsets are drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from tts.metrics.majority import majority_odds
from tts.metrics.parties import shared_by_vote
from tts.metrics.pool import Pool, picked
from tts.metrics.resampling import Choose, sampled_odds
from tts.metrics.selection import SelectionOdds
from tts.metrics.subsets import Bools, Floats, Ints

Odds: TypeAlias = Callable[[Pool, int], SelectionOdds]


@dataclass(frozen=True, slots=True)
class Asked:
    """A scorer that asked a model. On the problems `failed` it ended with an error, and nothing was handed in."""

    scorer: str
    failed: set[str] = field(default_factory=set)

    def odds(self, odds: Odds, choose: Callable[[Pool], Choose], *, seed: int = 0) -> Odds:
        """Return the odds of a selector by this scorer, given what they are where it told of all (`odds`).

        `choose` is the selector on subsets (see `sampled_odds`), among those of whom it told.
        """

        def heard(pool: Pool, k: int) -> SelectionOdds:
            answered = pool.classes >= 0
            untold = answered & np.isnan(pool.scores[self.scorer])
            gone = np.array([one in self.failed for one in pool.problem_ids], dtype=bool)
            by_scorer = gone | ~(untold.any(axis=1) | _levels(pool, self.scorer))
            by_vote = ~by_scorer & (untold == answered).all(axis=1)
            found = sampled_odds(
                pool,
                k,
                _either(pool, self.scorer, choose(pool)),
                answered & ~(untold & gone[:, None]),
                seed=seed,
                of=~by_scorer & ~by_vote,
            )
            for rows, alone in ((by_scorer, odds), (by_vote, majority_odds)):
                where = np.flatnonzero(rows)
                part = alone(picked(pool, where.tolist()), k)
                found.odds[where], found.tied[where] = part.odds, part.tied
                found.num_draws[where] = part.num_draws
            return found

        return heard


def best_choice(pool: Pool, scorer: str) -> Choose:
    """Return best-of-n on subsets: the highest score of those that have an answer and a score, ties shared."""
    scores = np.where((pool.classes >= 0) & ~np.isnan(pool.scores[scorer]), pool.scores[scorer], -np.inf)

    def choose(problems: Ints, positions: Ints) -> tuple[Floats, Bools]:
        drawn = scores[problems[:, None], positions]
        best = (drawn == drawn.max(axis=1, keepdims=True)) & np.isfinite(drawn)
        number = best.sum(axis=1)
        return best / np.maximum(number, 1)[:, None], number > 1

    return choose


def _levels(pool: Pool, scorer: str) -> Bools:
    """Tell in which problems the scorer gave one score to different answers."""
    found = np.zeros(pool.num_problems, dtype=bool)
    for problem, (classes, scores) in enumerate(zip(pool.classes, pool.scores[scorer], strict=True)):
        told = (classes >= 0) & ~np.isnan(scores)
        answers = np.unique(np.stack([scores[told], classes[told]], axis=1), axis=0)
        found[problem] = len(np.unique(answers[:, 0])) < len(answers)
    return found


def _either(pool: Pool, scorer: str, by_scorer: Choose) -> Choose:
    """Return what lets the vote choose where most of those with an answer are untold, or all told have one score."""
    answered = pool.classes >= 0
    untold = answered & np.isnan(pool.scores[scorer])
    scores = np.where(answered, pool.scores[scorer], np.nan)
    by_vote = shared_by_vote(pool, np.where(answered, 1.0, np.nan))

    def choose(problems: Ints, positions: Ints) -> tuple[Floats, Bools]:
        at = problems[:, None], positions
        silent = 2 * untold[at].sum(axis=1) > answered[at].sum(axis=1)
        silent |= _all_one(scores[at]) & ~_all_one(np.where(np.isnan(scores[at]), np.nan, pool.classes[at]))
        shares, tied = np.zeros(positions.shape), np.zeros(len(problems), dtype=bool)
        for rows, chosen in ((~silent, by_scorer), (silent, by_vote)):
            if rows.any():
                shares[rows], tied[rows] = chosen(problems[rows], positions[rows])
        return shares, tied

    return choose


def _all_one(values: Floats) -> Bools:
    """Tell in which rows the values that are known are all the same; there must be one."""
    highest = np.where(np.isnan(values), -np.inf, values).max(axis=1)
    return np.asarray(highest == np.where(np.isnan(values), np.inf, values).min(axis=1))
