"""A random k-subset of voters, exactly: what share of the outcome each class of answers gets.

Every candidate is drawn with chance p, given that k are; the coefficient of z^k is that condition, read by a discrete
Fourier transform on the unit circle. Chances are kept, not counts, so that nothing overflows. A class has the
generating functions L(v), of drawing it so that no answer in it has v votes or more, and t(v), of its best having
exactly v. Since E[1 / (1 + T)] = ∫ E[y^T] dy over [0, 1], the share of class c of the outcome is

    Σ over v of [z^k] t_c(v) · ∫ Π over the others of (L(v) + y · t(v)) dy

whose integrand is a polynomial in y, for which Gauss's quadrature is exact. At y = 0 it is the chance to win alone.
Plain classes of equal size are alike, so that the cost goes by how many sizes differ. Nodes that are linked, a web, are
one class: all counts that can be drawn of it are gone through once, and it may bring several parties, each a power of
y.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tts.metrics.parties import outcome
from tts.metrics.subsets import Floats, Ints, log_choose

Complexes: TypeAlias = NDArray[np.complex128]

NEGLIGIBLE = 1e-15  # chances below it are left out


@dataclass(frozen=True, slots=True)
class _Web:
    """What can be drawn of linked nodes, by the support that leads, the parties that share it, and the number drawn.

    `chance` is that of it, [support, parties, drawn]; `parts` the same times the part of each node, summed over those
    parties, [nodes, support, parties, drawn].
    """

    chance: Floats
    parts: Floats


class VoteDraw:
    """The draw of k of `num_candidates`. Generating functions are [..., points].

    The classes are first the plain ones, one for each of the different `sizes`, of which there are `alike` many, then
    `webs`, each the sizes of its nodes and links between them by place. Who is in none abstains. What is shared out
    goes to `owned`: to each plain class, then to each node of the webs, in whose place stands its class.
    """

    def __init__(
        self,
        num_candidates: int,
        k: int,
        sizes: Ints,
        alike: Ints,
        webs: Sequence[tuple[Ints, Sequence[tuple[int, int]]]] = (),
    ) -> None:
        self.num_candidates, self.k, self.sizes = num_candidates, k, sizes
        self.p = (k + 0.5) / (num_candidates + 1)  # any p in (0, 1) is right; near k/n no digits are lost
        self.webs = [self._web(of_nodes, links) for of_nodes, links in webs]
        self.alike = np.concatenate([alike, np.ones(len(webs), dtype=np.int64)])
        nodes = [len(sizes) + place for place, web in enumerate(self.webs) for _ in web.parts]
        self.owned = np.array([*range(len(sizes)), *nodes])

        # The points, on the upper unit circle, and the weights that sum values there to the chance of k.
        totals = np.arange(num_candidates + 1)
        chances = self._chance(np.array(num_candidates), totals)
        period = 1 + int(np.abs(totals - k)[chances >= NEGLIGIBLE * chances[k]].max())
        index = np.arange(period // 2 + 1)
        self.powers: Complexes = np.exp(2j * np.pi / period * (np.outer(np.arange(k + 1), index) % period))  # z^votes
        twice = np.where((index == 0) | (2 * index == period), 1, 2)  # the lower half circle has the conjugates
        num_voting = int(sizes @ alike) + sum(int(of_nodes.sum()) for of_nodes, _ in webs)
        abstaining = (1 - self.p + self.p * self.powers[1]) ** (num_candidates - num_voting)
        self.read: Complexes = abstaining * twice * self.powers[k].conj() / (period * chances[k])

    def _web(self, sizes: Ints, links: Sequence[tuple[int, int]]) -> _Web:
        """Return all that can be drawn of linked nodes."""
        counts = np.indices([min(int(size), self.k) + 1 for size in sizes]).reshape(len(sizes), -1).T
        counts = counts[counts.sum(axis=1) <= self.k]
        found = outcome(counts.astype(np.float64), counts, links)
        chance = self._chance(sizes, counts).prod(axis=1)
        key = found.support.astype(np.int64), found.num_parties, counts.sum(axis=1)
        shape = [int(column.max()) + 1 for column in key]
        place = np.ravel_multi_index(key, shape)
        columns = [chance, *(chance * found.num_parties * part for part in found.shares.T)]
        tables = np.array([np.bincount(place, column, math.prod(shape)).reshape(shape) for column in columns])
        return _Web(tables[0], tables[1:])

    def shares(self) -> tuple[Floats, float]:
        """Return what each of `owned` gets (of plain classes each one of its size), and the chance of a tie.

        The chance that no answer has more than v votes rises from 0 to 1; only where it rises is there a first place.
        """
        most = min(self.k, max([*self.sizes.tolist(), *(len(web.chance) - 1 for web in self.webs)]))
        fewest = self._fewest()
        exactly = self._chance(self.sizes[:, None], np.arange(most + 1))
        below = np.concatenate(
            [
                np.einsum("sv,vp->sp", exactly[:, :fewest], self.powers[:fewest]),
                *(self._generate(web.chance[:fewest].sum(axis=(0, 1)))[None] for web in self.webs),
            ]
        )
        found, tied = np.zeros(len(self.owned)), 0.0
        at_most = self._chance_of(below)
        for votes in range(fewest, most + 1):
            plain = (exactly[:, votes, None] * self.powers[votes])[:, None]
            here, parts = self._with_webs(plain, votes)
            upto, less = below + here.sum(axis=1), at_most
            at_most = self._chance_of(upto)
            if at_most - less > NEGLIGIBLE:
                shares, alone = self._first_place(votes, below, here, parts)
                found += shares
                tied += at_most - less - alone
            below = upto
            if 1 - at_most < NEGLIGIBLE:
                break
        return np.clip(found, 0.0, 1.0), min(1.0, max(0.0, tied))

    def _first_place(self, votes: int, below: Complexes, here: Complexes, parts: Complexes) -> tuple[Floats, float]:
        """Return what each of `owned` gets where first place has exactly `votes`, and the chance that none shares it.

        `here` is t of all classes, `parts` what of it goes to each of `owned`, [classes or owned, parties - 1, points].
        """
        # Classes that cannot have as many votes are one factor.
        able = np.asarray(here.any(axis=(1, 2)))
        owners, times = np.flatnonzero(able[self.owned]), self.alike[able]
        fixed = self.read * (below[~able] ** self.alike[~able, None]).prod(axis=0)
        num_parties = min(int(times.sum()), self.k // votes)
        num_parties += sum(web.chance.shape[1] - 1 for web in self.webs)

        # For each y, [classes, ys, points]: the factors, and for each class the product of all others.
        y, weights = _quadrature(num_parties // 2 + 1)
        powers = y[:, None] ** np.arange(here.shape[1])
        factors = below[able, None] + y[:, None] * np.einsum("yr,crp->cyp", powers, here[able])
        product = np.concatenate([np.ones_like(factors[:1]), factors ** times[:, None, None]])
        before = np.cumprod(product, axis=0)[:-1]
        after = np.cumprod(np.concatenate([np.ones_like(factors[:1]), product[:0:-1]]), axis=0)[-2::-1]
        others = fixed * before * after * factors ** (times - 1)[:, None, None]
        place = (np.cumsum(able) - 1)[self.owned[owners]]
        values = (np.einsum("yr,orp->oyp", powers, parts[owners]) * others[place]).sum(axis=-1).real

        found = np.zeros(len(self.owned))
        found[owners] = values @ weights
        return found, float(times[place] @ values[:, 0])

    def _with_webs(self, plain: Complexes, votes: int) -> tuple[Complexes, Complexes]:
        """Return t of all classes and what of it goes to each of `owned` (see `_first_place`)."""
        if not self.webs:
            return plain, plain
        num_parties = max(web.chance.shape[1] - 1 for web in self.webs)

        def padded(table: Floats) -> Complexes:
            values = np.zeros((num_parties, len(self.read)), dtype=np.complex128)
            if votes < len(table):
                values[: table.shape[1] - 1] = self._generate(table[votes, 1:])
            return values

        wide = np.zeros((len(plain), num_parties, len(self.read)), dtype=np.complex128)
        wide[:, :1] = plain
        here = [padded(web.chance) for web in self.webs]
        parts = [padded(part) for web in self.webs for part in web.parts]
        return np.concatenate([wide, here]), np.concatenate([wide, parts])

    def _fewest(self) -> int:
        """Return the fewest votes of first place that are likely at all: those that the largest class has."""
        largest = int(self.sizes[-1]) if len(self.sizes) else 0
        rest = self.num_candidates - largest
        votes = np.arange(max(0, self.k - rest), min(self.k, largest) + 1)
        chances = np.exp(
            log_choose(largest, votes) + log_choose(rest, self.k - votes) - log_choose(self.num_candidates, self.k)
        )
        return max(1, int(votes[np.searchsorted(np.cumsum(chances), NEGLIGIBLE)]))

    def _chance(self, size: Ints, votes: Ints) -> Floats:
        """Return the chance that of a class of `size` exactly `votes` are drawn."""
        logs = log_choose(size, votes) + votes * math.log(self.p) + (size - votes) * math.log1p(-self.p)
        return np.asarray(np.exp(logs), dtype=np.float64)

    def _generate(self, chances: Floats) -> Complexes:
        """Return the generating functions of chances by the number drawn, [..., drawn]."""
        return np.asarray(np.einsum("...v,vp->...p", chances, self.powers[: chances.shape[-1]]))

    def _chance_of(self, classes: Complexes) -> float:
        """Return the chance that all classes are as they generate, k being drawn."""
        return float(((classes ** self.alike[:, None]).prod(axis=0) * self.read).sum().real)


@lru_cache(maxsize=256)
def _quadrature(num_nodes: int) -> tuple[Floats, Floats]:
    """Return nodes and weights on [0, 1] (Gauss-Legendre), and before them 0, of no weight."""
    nodes, weights = np.polynomial.legendre.leggauss(num_nodes)
    return np.concatenate([[0.0], (nodes + 1) / 2]), np.concatenate([[0.0], weights / 2])
