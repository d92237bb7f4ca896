"""A random k-subset of voters, exactly: what share of the outcome each class of answers gets.

Every candidate is drawn with chance p, given that k are; the coefficient of z^k is that condition, read by a discrete
Fourier transform on the unit circle. Chances are kept, not counts, so that nothing overflows. A class has the
generating functions L(v), of drawing it so that no answer in it has v votes or more, and t(v), of its best having
exactly v. Since E[1 / (1 + T)] = ∫ E[y^T] dy over [0, 1], the share of class c of the outcome is

    Σ over v of [z^k] t_c(v) · ∫ Π over the others of (L(v) + y · t(v)) dy

whose integrand is a polynomial in y, for which Gauss's quadrature is exact. At y = 0 it is the chance to win alone.
Plain classes of equal size are alike, so that the cost goes by how many sizes differ. Nodes that are linked, a web, are
one class, which may bring several parties, each a power of y (see `tts.metrics.webs`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from tts.metrics.subsets import Complexes, Floats, Ints, log_choose
from tts.metrics.webs import Links, Lottery, web

NEGLIGIBLE = 1e-15  # chances below it are left out


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
        webs: Sequence[tuple[Ints, Links]] = (),
    ) -> None:
        self.num_candidates, self.k, self.sizes = num_candidates, k, sizes
        self.alike = np.concatenate([alike, np.ones(len(webs), dtype=np.int64)])
        nodes = [len(sizes) + place for place, (of_nodes, _) in enumerate(webs) for _ in of_nodes]
        self.owned = np.array([*range(len(sizes)), *nodes])

        # The points, on the upper unit circle, and the weights that sum values there to the chance of k.
        p, totals = (k + 0.5) / (num_candidates + 1), np.arange(num_candidates + 1)  # near k/n no digits are lost
        chances = Lottery(p, np.ones((1, 1), np.complex128)).chance(np.array(num_candidates), totals)
        period = 1 + int(np.abs(totals - k)[chances >= NEGLIGIBLE * chances[k]].max())
        index = np.arange(period // 2 + 1)
        powers = np.exp(2j * np.pi / period * (np.outer(np.arange(k + 1), index) % period))
        twice = np.where((index == 0) | (2 * index == period), 1, 2)  # the lower half circle has the conjugates
        num_voting = int(sizes @ alike) + sum(int(of_nodes.sum()) for of_nodes, _ in webs)
        abstaining = (1 - p + p * powers[1]) ** (num_candidates - num_voting)
        self.read: Complexes = abstaining * twice * powers[k].conj() / (period * chances[k])
        self.lottery = Lottery(p, powers)
        self.webs = [web(self.lottery, of_nodes, links) for of_nodes, links in webs]

    def shares(self) -> tuple[Floats, float]:
        """Return what each of `owned` gets (of plain classes each one of its size), and the chance of a tie.

        The chance that no answer has more than v votes rises from 0 to 1; only where it rises is there a first place.
        """
        most = min(self.k, max([*self.sizes.tolist(), *(one.most for one in self.webs)]))
        fewest = self._fewest()
        exactly, powers = self.lottery.chance(self.sizes[:, None], np.arange(most + 1)), self.lottery.powers
        below = np.concatenate(
            [
                self.lottery.generate(exactly[:, :fewest]),
                *(one.below(fewest)[None] for one in self.webs),
            ]
        )
        found, tied = np.zeros(len(self.owned)), 0.0
        at_most = self._chance_of(below)
        for votes in range(fewest, most + 1):
            plain = (exactly[:, votes, None] * powers[votes])[:, None]
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
        num_parties += sum(one.most_parties for one in self.webs)

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

        def padded(values: Complexes) -> Complexes:
            wide = np.zeros((len(values), max(one.most_parties for one in self.webs), len(self.read)), np.complex128)
            wide[:, : values.shape[1]] = values
            return wide

        here, parts = [padded(plain)], [padded(plain)]
        for one in self.webs:
            chance, of_nodes = one.exactly(min(votes, one.most))
            possible = votes <= one.most
            here.append(padded(chance[None]) * possible)
            parts.append(padded(of_nodes) * possible)
        return np.concatenate(here), np.concatenate(parts)

    def _fewest(self) -> int:
        """Return the fewest votes of first place that are likely at all: those that the largest class has."""
        largest = int(self.sizes[-1]) if len(self.sizes) else 0
        rest = self.num_candidates - largest
        votes = np.arange(max(0, self.k - rest), min(self.k, largest) + 1)
        chances = np.exp(
            log_choose(largest, votes) + log_choose(rest, self.k - votes) - log_choose(self.num_candidates, self.k)
        )
        return max(1, int(votes[np.searchsorted(np.cumsum(chances), NEGLIGIBLE)]))

    def _chance_of(self, classes: Complexes) -> float:
        """Return the chance that all classes are as they generate, k being drawn."""
        return float(((classes ** self.alike[:, None]).prod(axis=0) * self.read).sum().real)


@lru_cache(maxsize=256)
def _quadrature(num_nodes: int) -> tuple[Floats, Floats]:
    """Return nodes and weights on [0, 1] (Gauss-Legendre), and before them 0, of no weight."""
    nodes, weights = np.polynomial.legendre.leggauss(num_nodes)
    return np.concatenate([[0.0], (nodes + 1) / 2]), np.concatenate([[0.0], weights / 2])
