"""What can be drawn of linked answers, a web: how many votes lead in it, how many parties share them, whose they are.

Every candidate is drawn with chance p; generating functions are [..., points], in powers of z, for the number drawn
(see `tts.metrics.vote_draw`). Most webs are stars: a hub (`50%`) linked to leaves (`0.5`, `50`) that are not linked.
Where the hub is drawn all that is drawn supports it, and where it is not the leaves are plain classes. Of any other web
all counts that can be drawn are gone through.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from tts.metrics.parties import outcome
from tts.metrics.subsets import Complexes, Floats, Ints, log_choose

Links: TypeAlias = Sequence[tuple[int, int]]

MOST_WAYS = 50_000
"""Counts that are gone through of one web; where there are more, subsets are drawn instead."""


@dataclass(frozen=True, slots=True)
class Lottery:
    """Every candidate is drawn with chance `p`; `powers` are z^0 … z^k at the points, [k + 1, points]."""

    p: float
    powers: Complexes

    def chance(self, size: Ints, votes: Ints) -> Floats:
        """Return the chance that of a class of `size` exactly `votes` are drawn."""
        logs = log_choose(size, votes) + votes * math.log(self.p) + (size - votes) * math.log1p(-self.p)
        return np.asarray(np.exp(logs), dtype=np.float64)

    def generate(self, chances: Floats) -> Complexes:
        """Return the generating functions of chances by the number drawn, [..., drawn]."""
        return np.asarray(np.einsum("...v,vp->...p", chances, self.powers[: chances.shape[-1]]))


@dataclass(frozen=True, slots=True)
class Web:
    """By the votes that lead, `most` at most: the chance that fewer do, and that exactly so many do.

    `below(votes)` is [points]. `exactly(votes)` is by the number of parties that share the lead, from 1 to
    `most_parties`: its chance [parties, points], and that times each node's part of what its parties get,
    [nodes, parties, points].
    """

    num_nodes: int
    most: int
    most_parties: int

    def below(self, votes: int) -> Complexes:
        """Return the generating function of fewer leading votes."""
        raise NotImplementedError

    def exactly(self, votes: int) -> tuple[Complexes, Complexes]:
        """Return those of exactly so many, and of what each node gets."""
        raise NotImplementedError


def web(lottery: Lottery, sizes: Ints, links: Links) -> Web:
    """Return the web of nodes of these sizes, `links` being pairs of their places."""
    hub = _hub(links)
    return _table(lottery, sizes, links) if hub is None else _star(lottery, sizes, hub)


def countable(sizes: Ints, links: Links, k: int) -> bool:
    """Tell whether a web is a star, or can be drawn in few enough ways."""
    return _hub(links) is not None or math.prod(min(int(size), k) + 1 for size in sizes) <= MOST_WAYS


def _hub(links: Links) -> int | None:
    """Return the node that all links have in common; None where there is none."""
    node, times = Counter(one for pair in links for one in pair).most_common(1)[0]
    return node if times == len(links) else None


@dataclass(frozen=True, slots=True)
class _Table(Web):
    """A web of which all counts were gone through: [support, parties, drawn], and [nodes, support, parties, drawn]."""

    lottery: Lottery
    chances: Floats
    parts: Floats

    def below(self, votes: int) -> Complexes:
        return self.lottery.generate(self.chances[:votes].sum(axis=(0, 1)))

    def exactly(self, votes: int) -> tuple[Complexes, Complexes]:
        return self.lottery.generate(self.chances[votes, 1:]), self.lottery.generate(self.parts[:, votes, 1:])


def _table(lottery: Lottery, sizes: Ints, links: Links) -> _Table:
    k = len(lottery.powers) - 1
    counts = np.indices([min(int(size), k) + 1 for size in sizes]).reshape(len(sizes), -1).T
    counts = counts[counts.sum(axis=1) <= k]
    found = outcome(counts.astype(np.float64), counts, links)
    chance = lottery.chance(sizes, counts).prod(axis=1)
    key = found.support.astype(np.int64), found.num_parties, counts.sum(axis=1)
    shape = [int(column.max()) + 1 for column in key]
    place = np.ravel_multi_index(key, shape)
    columns = [chance, *(chance * found.num_parties * part for part in found.shares.T)]
    tables = np.array([np.bincount(place, column, math.prod(shape)).reshape(shape) for column in columns])
    return _Table(len(sizes), shape[0] - 1, shape[1] - 1, lottery, tables[0], tables[1:])


@dataclass(frozen=True, slots=True)
class _Star(Web):
    """A hub and its leaves: `none` is the chance of no hub, `leaves` that of each leaf's counts [leaves, votes].

    `with_hub` is the chance that so many are drawn in all, the hub among them, [votes].
    """

    lottery: Lottery
    sizes: Ints
    hub: int
    none: float
    leaves: Floats
    with_hub: Floats

    def below(self, votes: int) -> Complexes:
        fewer: Complexes = self.lottery.generate(self.leaves[:, :votes]).prod(axis=0)
        return self.none * fewer + self.lottery.generate(self.with_hub[:votes])

    def exactly(self, votes: int) -> tuple[Complexes, Complexes]:
        power = self.lottery.powers[votes]
        fewer, so_many = self.lottery.generate(self.leaves[:, :votes]), self.leaves[:, votes, None] * power

        # Without the hub, by parties: of all leaves, and for each leaf of the others beside it.
        def parties(leaves: Sequence[int]) -> Complexes:
            shared = np.zeros((len(self.leaves) + 1, len(power)), dtype=np.complex128)
            shared[0] = 1
            for leaf in leaves:
                shared[1:] = shared[1:] * fewer[leaf] + shared[:-1] * so_many[leaf]
                shared[0] *= fewer[leaf]
            return shared

        every = range(len(self.leaves))
        chance = self.none * parties(every)[1:]
        chance[0] += self.with_hub[votes] * power
        of_leaves = [self.none * so_many[leaf] * parties([one for one in every if one != leaf])[:-1] for leaf in every]

        # With the hub: it leads, and a leaf that alone is drawn beside it leads with it, as one party.
        rest = np.array([np.delete(self.leaves[:, 0], leaf).prod() for leaf in every])
        hub, leaf_sizes = self.sizes[self.hub], np.delete(self.sizes, self.hub)
        both = leaf_sizes / (hub + leaf_sizes) * self.lottery.chance(hub + leaf_sizes, np.array(votes))
        beside = (both - self.none * self.leaves[:, votes]) * rest
        parts = np.array(of_leaves)
        parts[:, 0] += beside[:, None] * power
        of_hub = np.zeros_like(chance)
        of_hub[0] = (self.with_hub[votes] - beside.sum()) * power
        return chance, np.insert(parts, self.hub, of_hub, axis=0)


def _star(lottery: Lottery, sizes: Ints, hub: int) -> _Star:
    leaf_sizes = np.delete(sizes, hub)
    most = min(len(lottery.powers) - 1, int(sizes.sum()))
    votes = np.arange(most + 1)
    none = float(lottery.chance(sizes[hub], np.array(0)))
    with_hub = lottery.chance(sizes.sum(), votes) - none * lottery.chance(leaf_sizes.sum(), votes)
    leaves = lottery.chance(leaf_sizes[:, None], votes)
    return _Star(len(sizes), most, len(leaf_sizes), lottery, sizes, hub, none, leaves, with_hub)
