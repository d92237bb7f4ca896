"""maj@k, exactly: how often each candidate is what a majority vote over a random k-subset hands in.

Wang et al. 2022, «Self-Consistency Improves Chain of Thought Reasoning», estimate it by sampling subsets. Here every
subset is counted, ties included, which `tts.selectors.contenders` breaks by rank: between classes of equal size, the
one whose best-ranked member in the subset ranks first; that member is handed in.

How: let G(v, r) be the number of subsets in which no class has more than v votes, and a class with exactly v has none
from a contender that ranks before r. Then G(v, r) - G(v, r + 1) subsets hand in contender r with v votes. G is the
coefficient of z^k in a product of one polynomial a class. The coefficients are kept as chances, not counts: let every
candidate be in the subset with chance p, and divide by the chance that k are. So nothing overflows, and a discrete
Fourier transform on the unit circle reads the coefficient to about 11 digits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tts.metrics.pool import Pool
from tts.metrics.resampling import sampled_odds
from tts.metrics.selection import SelectionOdds
from tts.metrics.subsets import Floats, Ints, log_choose
from tts.metrics.weighted_vote import chosen_by_vote

Complexes: TypeAlias = NDArray[np.complex128]

NEGLIGIBLE = 1e-12  # chances below it are left out


@dataclass(frozen=True, slots=True)
class Contest:
    """One problem's contenders, best rank first, and the size of the subsets."""

    size: int  # n, the abstaining included
    k: int
    classes: Ints  # [num_contenders], 0 … num_classes - 1
    counts: Ints  # [num_classes]

    @property
    def crowd(self) -> int:
        """The most votes that two classes can both have."""
        second = int(np.sort(self.counts)[-2]) if len(self.counts) > 1 else 0
        return min(self.k // 2, second)


def majority_odds(pool: Pool, k: int) -> SelectionOdds:
    """Return the chance that each candidate is what the vote over a random k-subset hands in.

    Exact, but for problems with linked answers, whose subsets are drawn where they are many.
    """
    contends = pool.classes >= 0
    linked = np.array([bool(links) for links in pool.links], dtype=bool)
    choose = chosen_by_vote(pool, np.where(contends, 1.0, np.nan))
    found = sampled_odds(pool, k, choose, contends, of=linked)
    for problem in np.flatnonzero(~linked):
        size = pool.sizes[problem]
        found.odds[problem, :size] = vote_odds(pool.classes[problem, :size], pool.ranks[problem, :size], k)
    return found


def vote_odds(classes: NDArray[np.integer], ranks: NDArray[np.integer], k: int) -> Floats:
    """Return, for each of one problem's n candidates, the chance that the vote over a random k-subset hands it in.

    `classes` < 0 abstains; `ranks` breaks ties, the smallest wins. The chances sum to 1 minus that of an empty vote.
    """
    order = np.flatnonzero(classes >= 0)
    order = order[np.argsort(ranks[order])]
    odds = np.zeros(len(classes))
    if len(order):
        _, numbers, counts = np.unique(classes[order], return_inverse=True, return_counts=True)
        contest = Contest(len(classes), k, numbers, counts)
        odds[order] = _uncrowded(contest) + _crowded(contest)
    return odds


def _uncrowded(contest: Contest) -> Floats:
    """Return the chance of each contender to win with more votes than any other class can have: hypergeometric."""
    odds = np.zeros(len(contest.classes))
    counts = contest.counts[contest.classes]
    rows = np.flatnonzero(counts > contest.crowd)
    votes = np.arange(contest.crowd + 1, min(contest.k, int(contest.counts.max())) + 1)[:, None]
    others = log_choose(contest.size - counts[rows], contest.k - votes) - log_choose(contest.size, contest.k)
    odds[rows] = np.exp(log_choose(_num_worse(contest)[rows], votes - 1) + others).sum(axis=0)
    return odds


def _num_worse(contest: Contest) -> Ints:
    """Return how many of each contender's own class rank below it."""
    by_class = np.argsort(contest.classes, kind="stable")
    behind = np.empty_like(by_class)
    behind[by_class] = np.repeat(np.cumsum(contest.counts), contest.counts) - 1 - np.arange(len(by_class))
    return behind


def _crowded(contest: Contest) -> Floats:
    """Return the chance of each contender to win with so few votes that another class may have as many."""
    odds = np.zeros(len(contest.classes))
    draw, worse = _Draw(contest), _num_worse(contest)
    for votes in draw.likely_votes():
        rows = np.flatnonzero(worse >= votes - 1)
        odds[rows] += draw.wins(rows, votes)
    return odds


class _Draw:
    """Every candidate is drawn with chance p, given that k are. Generating functions are [..., num_points]."""

    def __init__(self, contest: Contest) -> None:
        self.contest = contest
        self.p = (contest.k + 0.5) / (contest.size + 1)  # any p in (0, 1) is right; near k/n no digits are lost
        self.points, self.weights = self._transform()
        self.one = 1 - self.p + self.p * self.points  # of one candidate that matters to nobody
        # For v = 0 … crowd + 1, the function of each class with fewer than v votes, [classes, v, points].
        votes, counts = np.arange(contest.crowd + 1), contest.counts[:, None]
        terms = self._chance(counts, counts, votes)[:, :, None] * self.points ** votes[:, None]
        self.below = np.concatenate([np.zeros_like(terms[:, :1]), np.cumsum(terms, axis=1)], axis=1)

    def _transform(self) -> tuple[Complexes, Complexes]:
        """Return the points, on the upper unit circle, and the weights that sum values there to the chance of k."""
        totals = np.arange(self.contest.size + 1)
        chances = self._chance(self.contest.size, self.contest.size, totals)
        at_k = chances[self.contest.k]
        period = 1 + int(np.abs(totals - self.contest.k)[chances >= NEGLIGIBLE * at_k].max())
        index = np.arange(period // 2 + 1)
        points = np.exp(2j * np.pi * index / period)
        twice = np.where((index == 0) | (2 * index == period), 1, 2)  # the lower half circle has the conjugates
        return points, twice * points ** -float(self.contest.k) / (period * at_k)

    def _chance(self, marked: ArrayLike, size: ArrayLike, votes: ArrayLike) -> Floats:
        """Return the chance that of a class of `size` exactly `votes` are drawn, all of them from the `marked`."""
        unmarked = np.subtract(size, votes) * math.log1p(-self.p)
        return np.asarray(np.exp(log_choose(marked, votes) + np.multiply(votes, math.log(self.p)) + unmarked))

    def likely_votes(self) -> Ints:
        """Return the numbers of votes, from 1 to `crowd`, with which a win is not negligible."""
        abstaining = self.one ** (self.contest.size - len(self.contest.classes))
        at_most = _read(self.below.prod(axis=0), abstaining * self.weights)  # of v - 1 votes, for each v
        return 1 + np.flatnonzero(np.diff(at_most)[1:] > NEGLIGIBLE)

    def wins(self, rows: Ints, votes: int) -> Floats:
        """Return the chance to win with `votes` votes of each contender in `rows`: all with votes - 1 worse ones."""
        able = np.flatnonzero(self.contest.counts >= votes)
        counts = self.contest.counts[able]
        # How many members of each able class are at each place or behind, with the worst of it, who have no row.
        left = np.full((len(able), len(rows) + 1), votes - 1)
        left[:, -2::-1] += np.cumsum((able[:, None] == self.contest.classes[rows])[:, ::-1], axis=1)
        tied = self._chance(left, counts[:, None], votes)[..., None] * self.points**votes
        others = self.one ** (self.contest.size - counts.sum()) * self.weights
        within = _read((self.below[able, None, votes] + tied).prod(axis=0), others)  # G(votes, r) for each row r
        return np.asarray(within[:-1] - within[1:])


def _read(values: Complexes, weights: Complexes) -> Floats:
    """Return values @ weights, which are real; without BLAS, whose threads would take longer to wake than this."""
    return np.asarray((values * weights).sum(axis=-1).real)
