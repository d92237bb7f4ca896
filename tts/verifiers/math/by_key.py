"""Group and judge answers by a key that stands for each; None is no answer."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

from tts.types import Grouping, Verdict

NO_ANSWER = Verdict("failed", "no_answer")


def group_keys(keys: Sequence[Hashable | None], equal: Iterable[tuple[Hashable, Hashable]] = ()) -> Grouping:
    """Return the grouping of answers by their keys; `equal` are pairs of different keys whose answers are equal.

    Keys that are equal to exactly the same keys, themselves included, are one node, and so no links are left where
    equality is transitive.
    """
    around: dict[Hashable, set[Hashable]] = {key: {key} for key in keys if key is not None}
    for left, right in equal:
        around[left].add(right)
        around[right].add(left)
    numbers: dict[frozenset[Hashable], int] = {}
    nodes = {key: numbers.setdefault(frozenset(alike), len(numbers)) for key, alike in around.items()}
    pairs = {(nodes[key], nodes[other]) for key, alike in around.items() for other in alike}
    links = frozenset((left, right) for left, right in pairs if left < right)
    return Grouping(tuple(None if key is None else nodes[key] for key in keys), links)


def judge_keys(keys: Sequence[Hashable | None], expected: Hashable | None, unknown: str) -> list[Verdict]:
    """Return one verdict per key; without an `expected` key all answers are undecided, for the reason `unknown`."""
    other = Verdict("undecided", unknown) if expected is None else Verdict("failed", "wrong_answer")
    return [NO_ANSWER if key is None else Verdict("passed") if key == expected else other for key in keys]
