"""Any selector over random k-subsets, by drawing some of them: for what has no closed form.

Where a problem has no more k-subsets than would be drawn, each is counted once instead, and its chances are exact.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np

from tts.metrics.pool import Pool
from tts.metrics.selection import SelectionOdds
from tts.metrics.subsets import Bools, Floats, Ints
from tts.types import Ballot, Selection

NUM_DRAWS = 65_536
"""Subsets drawn in all: the standard error from sampling is at most 0.5 / √65,536, about 0.002, of a mean."""

FEWEST_DRAWS = 16  # of each problem, however many problems there are
BLOCK = 1 << 20  # drawn candidates in memory at once

Choose: TypeAlias = Callable[[Ints, Ints], tuple[Floats, Bools]]
"""(problems [rows], positions [rows, k]) → each one's share of the outcome [rows, k], and where there is a tie."""


def sampled_odds(
    pool: Pool,
    k: int,
    choose: Choose,
    contends: Bools,
    *,
    num_draws: int = NUM_DRAWS,
    seed: int = 0,
    of: Bools | None = None,
) -> SelectionOdds:
    """Return how often `choose` hands in each candidate, from `num_draws` random k-subsets shared out over problems.

    The same seed and k give the same subsets. k must be at most every problem's n (`require_ks`). Of the problems that
    `of` leaves out, if given, no subset is drawn, and their odds are 0.
    """
    each = max(FEWEST_DRAWS, -(-num_draws // max(1, pool.num_problems)))
    num_subsets = [math.comb(int(size), k) for size in pool.sizes]
    draws = np.array([0 if num <= each else each for num in num_subsets], dtype=np.int64)
    wins, ties = np.zeros(pool.classes.shape), np.zeros(pool.num_problems)
    asked = np.arange(pool.num_problems) if of is None else np.flatnonzero(of)
    draws[np.setdiff1d(np.arange(pool.num_problems), asked)] = 0
    for problems, positions in _subsets(pool, k, asked, draws, np.random.default_rng([seed, k])):
        shares, tied = choose(problems, positions)
        np.add.at(wins, (problems[:, None], positions), shares)
        np.add.at(ties, problems, tied)
    totals = np.array([min(num, each) for num in num_subsets], dtype=np.float64)
    return SelectionOdds(k, wins / totals[:, None], contends, ties / totals, draws)


def chosen_by(select: Callable[[Ballot], Selection], ballots: Sequence[Ballot]) -> Choose:
    """Return what runs a selector itself on each subset: for selectors that have no curve of their own. Slow.

    `ballots` holds all candidates of each problem, in the pool's order. Ties are the selector's to break.
    """

    def chosen(ballot: Ballot, drawn: Ints) -> tuple[list[bool], bool]:
        subset = Ballot(
            tuple(ballot.candidates[one] for one in drawn),
            tuple(ballot.answers[one] for one in drawn),
            tuple(ballot.nodes[one] for one in drawn),
            tuple(ballot.scores[one] for one in drawn) if ballot.scores else (),
            ballot.links,
        )
        selection = select(subset)
        return [candidate.index == selection.index for candidate in subset.candidates], selection.num_tied > 1

    def choose(problems: Ints, positions: Ints) -> tuple[Floats, Bools]:
        order = np.argsort(positions, axis=1)
        rows = zip(problems, np.take_along_axis(positions, order, axis=1), strict=True)
        found = [chosen(ballots[problem], drawn) for problem, drawn in rows]
        shares = np.zeros(positions.shape)
        np.put_along_axis(shares, order, np.array([row for row, _ in found], dtype=np.float64), axis=1)
        return shares, np.array([tied for _, tied in found], dtype=bool)

    return choose


def _subsets(pool: Pool, k: int, asked: Ints, draws: Ints, rng: np.random.Generator) -> Iterator[tuple[Ints, Ints]]:
    """Yield (problems, positions): all subsets of the `asked` without draws, `draws` random ones of the others."""
    exact = asked[draws[asked] == 0]
    for size in np.unique(pool.sizes[exact]):
        every = np.array(list(itertools.combinations(range(size), k)))
        alike = exact[pool.sizes[exact] == size]
        num_drawn = len(alike) * len(every) * pool.classes.shape[1]
        for problems in np.array_split(alike, 1 + num_drawn // BLOCK):
            yield np.repeat(problems, len(every)), np.tile(every, (len(problems), 1))
    rows = np.repeat(np.arange(pool.num_problems), draws)
    if len(rows):
        for block in np.array_split(rows, 1 + len(rows) * pool.classes.shape[1] // BLOCK):
            yield block, _random_subsets(pool.sizes[block], k, rng)


def _random_subsets(sizes: Ints, k: int, rng: np.random.Generator) -> Ints:
    """Return a random k-subset of range(size) for each of `sizes`, [rows, k]."""
    keys = rng.random((len(sizes), int(sizes.max(initial=k))), dtype=np.float32)
    keys[np.arange(keys.shape[1]) >= sizes[:, None]] = 2.0
    return np.asarray(np.argpartition(keys, k - 1, axis=1)[:, :k])
