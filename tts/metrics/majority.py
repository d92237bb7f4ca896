"""maj@k, exactly: how often each answer is what a majority vote over a random k-subset hands in, ties shared.

Wang et al. 2022, «Self-Consistency Improves Chain of Thought Reasoning», estimate it by sampling subsets. Here every
subset is counted, and answers that share first place share the outcome equally: a tie that
`tts.selectors.contenders` must break, by the answers' spelling in the end, says nothing of the method.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tts.metrics.parties import shared_by_vote
from tts.metrics.pool import ABSTAINS, Pool, class_sizes
from tts.metrics.resampling import NUM_DRAWS, sampled_odds
from tts.metrics.selection import SelectionOdds
from tts.metrics.subsets import Floats, Ints
from tts.metrics.vote_draw import VoteDraw
from tts.metrics.webs import countable


def majority_odds(pool: Pool, k: int) -> SelectionOdds:
    """Return the chance that each candidate is what the vote over a random k-subset hands in, ties shared.

    Exact, but where linked answers can be drawn in too many ways: there subsets are drawn.
    """
    return voted_odds(pool, np.where(pool.classes >= 0, 1.0, np.nan), k)


def voted_odds(pool: Pool, weights: Floats, k: int, *, num_draws: int = NUM_DRAWS, seed: int = 0) -> SelectionOdds:
    """Return the same of a vote with `weights`, 0 or above, NaN abstains.

    Exact where all weights of a problem are one number (above 0: sums of zeros all tie); elsewhere subsets are drawn.
    """
    contends = ~np.isnan(weights)
    classes = np.where(contends, pool.classes, ABSTAINS)
    least = np.where(contends, weights, np.inf).min(axis=1, initial=np.inf)
    alike = ~contends.any(axis=1) | ((least > 0) & (least == np.nanmax(weights, axis=1, initial=0.0)))

    # Problems whose votes are split alike, which of many are most, are counted once.
    order, split = _by_class_size(classes, pool.sizes)
    known: dict[tuple[bytes, frozenset[tuple[int, int]]], tuple[Floats, float] | None] = {}
    odds, tied, to_draw = np.zeros(classes.shape), np.zeros(pool.num_problems), ~alike
    for problem in np.flatnonzero(alike):
        size, links = pool.sizes[problem], pool.links[problem]
        of_problem = classes[problem, :size] if links else split[problem, :size]
        key = of_problem.tobytes(), links
        if key not in known:
            known[key] = vote_odds(of_problem, k, links)
        found = known[key]
        if found is None:
            to_draw[problem] = True
        else:
            odds[problem, slice(size) if links else order[problem, :size]], tied[problem] = found
    drawn = sampled_odds(pool, k, shared_by_vote(pool, weights), contends, num_draws=num_draws, seed=seed, of=to_draw)
    return replace(drawn, odds=odds + drawn.odds, tied=tied + drawn.tied)


def _by_class_size(classes: NDArray[np.integer], sizes: Ints) -> tuple[Ints, Ints]:
    """Return each problem's candidates by the size of their class, and the classes of these, numbered anew.

    Abstaining candidates, of class ABSTAINS in both, come first, and padding comes last.
    """
    of_class = class_sizes(classes)
    of_class[np.arange(classes.shape[1]) >= sizes[:, None]] = classes.shape[1] + 1
    order = np.lexsort((classes, of_class))
    ranked = np.take_along_axis(classes, order, axis=1)
    numbers = np.cumsum(np.diff(ranked, axis=1, prepend=-2) != 0, axis=1)
    return order, np.where(ranked < 0, ABSTAINS, numbers)


def vote_odds(
    classes: NDArray[np.integer], k: int, links: frozenset[tuple[int, int]] = frozenset()
) -> tuple[Floats, float] | None:
    """Return the chance of each of n candidates to be handed in by the vote over a random k-subset, and that of a tie.

    `classes` are the nodes of the candidates' answers, < 0 abstains. The chances sum to 1 minus that of an empty vote.
    None where linked nodes can be drawn in too many ways to count.
    """
    odds, votes = np.zeros(len(classes)), np.flatnonzero(classes >= 0)
    if not len(votes):
        return odds, 0.0
    nodes, members, sizes = np.unique(classes[votes], return_inverse=True, return_counts=True)
    number = {int(node): place for place, node in enumerate(nodes)}
    linked = [(number[one], number[two]) for one, two in sorted(links) if one in number and two in number]

    # Nodes that are joined by links, directly or through others, are a web; each of the others is a class of its own.
    web_of = {node: {node} for pair in linked for node in pair}
    for one, two in linked:
        joined = web_of[one] | web_of[two]
        web_of.update(dict.fromkeys(joined, joined))
    webs = sorted({tuple(sorted(web)) for web in web_of.values()})
    drawn = [
        (sizes[list(web)], [(web.index(one), web.index(two)) for one, two in linked if one in web]) for web in webs
    ]
    if not all(countable(of_nodes, inside, k) for of_nodes, inside in drawn):
        return None
    plain = np.array([node for node in range(len(sizes)) if node not in web_of], dtype=np.int64)

    # Classes of equal size are alike. What a node gets is shared equally by its members.
    different, kind, alike = np.unique(sizes[plain], return_inverse=True, return_counts=True)
    shares, tied = VoteDraw(len(classes), k, different, alike, drawn).shares()
    of_node = np.zeros(len(sizes))
    of_node[plain] = shares[kind]
    of_node[[node for web in webs for node in web]] = shares[len(different) :]
    odds[votes] = (of_node / sizes)[members]
    return odds, tied
