"""Pairwise comparisons → equivalence classes, though the comparisons need not be transitive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import comb
from typing import TypeAlias

Links: TypeAlias = Iterable[tuple[int, int]]


def partition(num_items: int, equal: Links, undecided: Links) -> list[int]:
    """Return a class label per item: items linked by `equal` share one, unless that joins two that are different.

    All pairs that are neither equal nor undecided are different. A linked set that holds one is dissolved into single
    items, so the result depends on no order.
    """
    equal = {(min(pair), max(pair)) for pair in equal}
    parents = list(range(num_items))
    for left, right in equal:
        parents[_root(parents, left)] = _root(parents, right)
    roots = [_root(parents, item) for item in range(num_items)]
    bearable = equal | {(min(pair), max(pair)) for pair in undecided}
    inside = Counter(roots[left] for left, right in bearable if roots[left] == roots[right] and left != right)
    whole = {root for root, size in Counter(roots).items() if inside[root] == comb(size, 2)}
    return [root if root in whole else item for item, root in enumerate(roots)]


def _root(parents: list[int], item: int) -> int:
    while parents[item] != item:
        parents[item] = item = parents[parents[item]]
    return item
