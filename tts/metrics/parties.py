"""The vote by agreement over many draws at once: how much of the outcome each answer gets, ties shared.

`tts.selectors.contenders` says what a vote by agreement is, and hands in one candidate. Here parties that share first
place share the outcome equally, and so do the drawn members of a party.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tts.metrics.pool import Pool
from tts.metrics.resampling import Choose
from tts.metrics.subsets import Bools, Floats, Ints
from tts.selectors.contenders import least_tied


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of each draw: `shares` of the outcome, [draws, nodes], the rest [draws].

    `num_parties` is how many share first place (0: nobody was drawn), `support` is theirs.
    """

    shares: Floats
    num_parties: Ints
    support: Floats


def outcome(weights: Floats, drawn: Ints, links: Iterable[tuple[int, int]]) -> Outcome:
    """Return the outcome of each draw, given its votes: `drawn` is how many members of each node, [draws, nodes].

    `weights` are the sums of their weights, 0 or above.
    """
    links, present, supports = sorted(links), drawn > 0, weights.astype(np.float64)
    for left, right in links:
        supports[:, left] += weights[:, right]
        supports[:, right] += weights[:, left]
    support = np.where(present, supports, 0.0).max(axis=1, initial=0.0)
    leads = present & (supports >= least_tied(support)[:, None])

    # Leading nodes that are linked take the smallest number among them: it names their party.
    nodes = np.arange(drawn.shape[1])
    party = np.where(leads, nodes, -1)
    changed = bool(links)
    while changed:
        before = party.copy()
        for left, right in links:
            both = leads[:, left] & leads[:, right]
            party[both, left] = party[both, right] = np.minimum(party[both, left], party[both, right])
        changed = not np.array_equal(before, party)

    num_members = np.zeros(drawn.shape, dtype=np.int64)  # of the party that a node names
    rows, columns = np.nonzero(leads)
    np.add.at(num_members, (rows, party[rows, columns]), drawn[rows, columns])
    num_parties = (party == nodes).sum(axis=1)
    shares = np.zeros(drawn.shape)
    shares[rows, columns] = drawn[rows, columns] / num_members[rows, party[rows, columns]] / num_parties[rows]
    return Outcome(shares, num_parties, support)


def shared_by_vote(pool: Pool, weights: Floats) -> Choose:
    """Return what holds the vote of `tts.selectors.contenders` on each subset, ties shared; NaN weights abstain."""
    num_nodes = 1 + max(int(pool.classes.max(initial=0)), *(right for links in pool.links for _, right in links), 0)
    linked = np.array([bool(links) for links in pool.links], dtype=bool)

    def choose(problems: Ints, positions: Ints) -> tuple[Floats, Bools]:
        at = problems[:, None], positions
        votes = ~np.isnan(weights[at])
        node = np.arange(len(problems))[:, None] * num_nodes + np.maximum(pool.classes[at], 0)
        sums, drawn = (
            np.bincount(node.ravel(), values.ravel(), len(problems) * num_nodes).reshape(-1, num_nodes)
            for values in (np.where(votes, weights[at], 0.0), votes)
        )
        shares, tied = np.zeros(sums.shape), np.zeros(len(problems), dtype=bool)
        alone = [(problems == problem, pool.links[problem]) for problem in np.unique(problems[linked[problems]])]
        for rows, links in [(~linked[problems], frozenset[tuple[int, int]]()), *alone]:
            found = outcome(sums[rows], drawn[rows].astype(np.int64), links)
            shares[rows], tied[rows] = found.shares, found.num_parties > 1
        each = np.divide(shares, drawn, out=np.zeros(shares.shape), where=drawn > 0)  # member of a node
        return np.where(votes, each.ravel()[node], 0.0), tied

    return choose
