"""Pairwise comparisons → equivalence classes, though the comparisons need not be transitive."""

from __future__ import annotations

from collections.abc import Iterable


def partition(num_items: int, equal: Iterable[tuple[int, int]], different: Iterable[tuple[int, int]]) -> list[int]:
    """Return a class label per item: items linked by `equal` share one, unless that joins a `different` pair.

    A linked set that holds a different pair is dissolved into single items, so the result depends on no order.
    """
    parents = list(range(num_items))
    for left, right in equal:
        parents[_root(parents, left)] = _root(parents, right)
    roots = [_root(parents, item) for item in range(num_items)]
    dissolved = {roots[left] for left, right in different if roots[left] == roots[right]}
    return [item if root in dissolved else root for item, root in enumerate(roots)]


def _root(parents: list[int], item: int) -> int:
    while parents[item] != item:
        parents[item] = item = parents[parents[item]]
    return item
