"""When enough has been drawn: pure functions of the answers so far, shared by samplers and by what replays a pool.

Answers come as nodes and links, by index and not by arrival. A vote is by agreement, as the selectors hold it: an
answer is supported by its own node and those linked to it. Candidates without an answer are no value and do not count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from math import comb, floor, fsum

from tts.types import Grouping

ROUNDING = 1e-9
"""What a sum of weights may lack of a share: 19 equal weights of 20 are 95 %."""


def settled(grouping: Grouping, confidence: float) -> bool:
    """Tell whether the leading answer will stay ahead: P(share > 1/2) ≥ `confidence` under Beta(a + 1, b + 1).

    a is the leader's support, b the largest of an answer that is not linked to it. Aggarwal et al. 2023, arXiv
    2305.11860. Unanimous answers settle at 4 for 0.95.
    """
    return ahead(*leaders(grouping), confidence)


@lru_cache(maxsize=65_536)
def ahead(first: int, second: int, confidence: float) -> bool:
    """Tell whether a lead of `first` votes to `second` is settled (see `settled`)."""
    draws = first + second + 1
    return bool(sum(comb(draws, number) for number in range(first + 1)) >= confidence * 2**draws)


def leaders(grouping: Grouping) -> tuple[int, int]:
    """Return the support of the leading answer, and the largest support of one that is not linked to it."""
    votes = Counter(node for node in grouping.nodes if node is not None)
    linked = _linked(grouping, votes)
    support = {node: sum(votes[other] for other in linked[node]) for node in votes}
    if not support:
        return 0, 0
    leader = max(support, key=lambda node: (support[node], -node))
    return support[leader], max((number for node, number in support.items() if node not in linked[leader]), default=0)


def agreed(grouping: Grouping, weights: Sequence[float | None], consensus: float) -> bool:
    """Tell whether the leading answer is supported by a share of at least `consensus` of all weight.

    `weights` are the candidates' own, from 0 on; None weighs nothing, as does a candidate without an answer. Without
    any weight nothing is agreed. Fu et al. 2025, arXiv 2508.15260 (DeepConf online).
    """
    shares: dict[int, list[float]] = {}
    for node, weight in zip(grouping.nodes, weights, strict=True):
        if node is not None and weight is not None:
            shares.setdefault(node, []).append(weight)
    votes = {node: fsum(each) for node, each in shares.items()}
    total = fsum(votes.values())
    support = max((fsum(votes[other] for other in linked) for linked in _linked(grouping, votes).values()), default=0.0)
    return total > 0 and support >= (consensus - ROUNDING) * total


def quantile(values: Sequence[float], keep: float) -> float:
    """Return the (1 - `keep`) quantile of one value or more, interpolated as numpy does.

    It is one of the values where they are equal around it: no rounding puts it above what it stands for.
    """
    ordered = sorted(values)
    place = (1 - Fraction(str(keep))) * (len(ordered) - 1)
    low = floor(place)
    share, high = float(place - low), ordered[min(low + 1, len(ordered) - 1)]
    return ordered[low] + share * (high - ordered[low])


def _linked(grouping: Grouping, votes: Mapping[int, float]) -> dict[int, set[int]]:
    """Return each node that has votes with those that support it, itself among them."""
    linked: dict[int, set[int]] = {node: {node} for node in votes}
    for one, other in grouping.links:
        if one in votes and other in votes:
            linked[one].add(other)
            linked[other].add(one)
    return linked


def unanimous(grouping: Grouping, window: int) -> bool:
    """Tell whether the last whole window of candidates says one thing alone; a missing answer says nothing.

    Li et al. 2024, arXiv 2401.10480 («early-stopping self-consistency»).
    """
    if not grouping.nodes or len(grouping.nodes) % window:
        return False
    last = set(grouping.nodes[-window:])
    return len(last) == 1 and last != {None}
