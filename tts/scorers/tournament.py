"""Tournaments between answers, whatever compares them: who meets whom, and what place that gives.

knockout        the answers with most votes meet those with fewest, round by round; 1 comparison less than answers. Of
                an undecided one the answer with more votes goes on.
round_robin     everyone meets everyone; a win is 1 point, an undecided comparison half a point for both.
pivot           a ring first, in which everyone meets the next; the best of it are pivots, whom everyone meets; the
                points are the mean of the comparisons. (Pivot tournament of arXiv 2607.05391, with wins for its soft
                preferences.)

Answers are ranked by points, then by votes; so a judge that decides nothing leaves the plain vote, which is what is
handed in then. A table holds comparisons by the two candidates' indices, each once: what one draw of candidates had
compared, another that holds both finds there.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from tts.errors import NotAskedError
from tts.scorers.entrants import Entrant

Kind = Literal["knockout", "round_robin", "pivot"]

Pair = tuple[int, int]
"""Two candidates by their indices, the lower one first."""


@dataclass(frozen=True, slots=True)
class Match:
    """A comparison: the points of the one with the lower index, and what was counted on the way."""

    points: float
    figures: Mapping[str, float]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """A tournament that was held: the place of each answer, from 0 for the last to 1; None: nothing was decided."""

    places: tuple[float, ...] | None
    why: str = ""


class Table:
    """Comparisons, each made once. `make` makes those that are missing; without it NotAskedError is raised for them."""

    def __init__(
        self,
        made: Mapping[Pair, Match] | None = None,
        make: Callable[[Sequence[tuple[Entrant, Entrant]]], Awaitable[Mapping[Pair, Match]]] | None = None,
    ) -> None:
        self.matches = dict(made or {})
        self.used = set[Pair]()
        self._make = make

    async def meet(self, pairs: Sequence[tuple[Entrant, Entrant]]) -> list[float]:
        """Return the points of the first of each pair: 1 a win, 0 a loss, 0.5 undecided."""
        named = {pair_of(*pair): pair for pair in pairs}
        missing = [pair for name, pair in named.items() if name not in self.matches]
        if missing and self._make is None:
            raise NotAskedError(f"nobody compared the candidates {' and '.join(map(str, pair_of(*missing[0])))}")
        if missing and self._make is not None:
            self.matches |= await self._make(missing)
        self.used |= set(named)
        return [
            points if first.candidate.index < second.candidate.index else 1 - points
            for first, second in pairs
            for points in [self.matches[pair_of(first, second)].points]
        ]

    async def play(self, pairs: Sequence[tuple[Entrant, Entrant]]) -> None:
        """Let these meet, and give them their points."""
        for (first, second), points in zip(pairs, await self.meet(pairs), strict=True):
            first.points.append(points)
            second.points.append(1 - points)

    def figures(self, index: int | None = None) -> Mapping[str, float]:
        """Return what was counted in the comparisons in which this candidate has the lower index; None: in all."""
        total = Counter[str]()
        for (low, _), match in self.matches.items():
            if index in (low, None):
                total.update(match.figures)
        return dict(total)

    def against(self, index: int) -> tuple[tuple[int, float], ...]:
        """Return the points of a candidate in its comparisons with those of a higher index."""
        return tuple((high, match.points) for (low, high), match in sorted(self.matches.items()) if low == index)


def pair_of(first: Entrant, second: Entrant) -> Pair:
    """Return the name of a comparison."""
    low, high = sorted((first.candidate.index, second.candidate.index))
    return low, high


@dataclass(frozen=True, slots=True)
class Tournament:
    """Who meets whom. `num_pivots` is for pivots alone."""

    kind: Kind
    num_pivots: int

    def num_comparisons(self, number: int) -> int:
        """Return how many comparisons so many answers take at most."""
        everyone = number * (number - 1) // 2
        if self.kind == "knockout":
            return max(0, number - 1)
        if self.kind == "round_robin":
            return everyone
        pivots = min(self.num_pivots, number)
        ring = number + pivots * (number - pivots) + pivots * (pivots - 1) // 2
        return min(ring, everyone)

    async def hold(self, table: Table, entrants: Sequence[Entrant], number: int, rng: random.Random) -> Held:
        """Hold it among the first `number` answers, those with most votes first. Their points are noted."""
        playing = entrants[:number]
        if self.kind == "knockout":
            await _knockout(table, playing)
        elif self.kind == "round_robin":
            await table.play(list(combinations(playing, 2)))
        elif number > 1:
            await _pivot(table, playing, self.num_pivots, rng)
        matches = [table.matches[name] for name in sorted(table.used)]
        if number > 1 and not any(match.points in (0.0, 1.0) for match in matches):
            mostly = Counter(match.why for match in matches).most_common(1)[0][0]
            return Held(None, f"none of {len(matches)} comparisons was decided: {mostly}")
        # By points, then by votes.
        ranks = [(_mean(one.points, self.kind), one.votes) for one in entrants]
        order = sorted(set(ranks))
        return Held(tuple(order.index(rank) / (len(order) - 1) if len(order) > 1 else 1.0 for rank in ranks))


async def _knockout(table: Table, entrants: Sequence[Entrant]) -> None:
    """Let the strongest meet the weakest until one is left; who is out has one point a round that he survived."""
    left = list(entrants)
    while len(left) > 1:
        num_byes = len(left) % 2
        byes, playing = left[:num_byes], left[num_byes:]
        half = len(playing) // 2
        pairs = list(zip(playing[:half], reversed(playing[half:]), strict=True))
        winners = []
        for (first, second), points in zip(pairs, await table.meet(pairs), strict=True):
            winner, loser = (first, second) if points >= 0.5 else (second, first)
            winner.points.append(1.0)
            loser.points.append(0.0)
            winners.append(winner)
        for bye in byes:
            bye.points.append(1.0)
        left = byes + winners
        left.sort(key=entrants.index)


async def _pivot(table: Table, entrants: Sequence[Entrant], num_pivots: int, rng: random.Random) -> None:
    ring = list(entrants)
    rng.shuffle(ring)
    pairs = list(zip(ring, [*ring[1:], ring[0]], strict=True))
    await table.play(pairs if len(ring) > 2 else pairs[:1])
    pivots = sorted(entrants, key=lambda one: (-_mean(one.points, "pivot"), entrants.index(one)))[:num_pivots]
    met = [(pivot, other) for pivot in pivots for other in entrants if other is not pivot and other not in pivots]
    await table.play([pair for pair in [*met, *combinations(pivots, 2)] if pair_of(*pair) not in table.used])


def _mean(points: Sequence[float], kind: Kind) -> float:
    """Return what ranks: the rounds survived, or the mean of the comparisons; -1 for one that took no part."""
    if not points:
        return -1.0
    return sum(points) if kind == "knockout" else sum(points) / len(points)
