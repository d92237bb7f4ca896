"""Group and judge answers whose equality is equality of a key; None is no answer."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from tts.types import Verdict


def group_keys(keys: Sequence[Hashable | None]) -> list[int | None]:
    """Return classes numbered 0, 1, … by first appearance; None for None."""
    numbers: dict[Hashable, int] = {}
    return [None if key is None else numbers.setdefault(key, len(numbers)) for key in keys]


def judge_keys(keys: Sequence[Hashable | None], expected: Hashable | None, unknown: str) -> list[Verdict]:
    """Return one verdict per key; without an `expected` key all answers are undecided, for the reason `unknown`."""
    return [_judge(key, expected, unknown) for key in keys]


def _judge(key: Hashable | None, expected: Hashable | None, unknown: str) -> Verdict:
    if key is None:
        return Verdict("failed", "no_answer")
    if expected is None:
        return Verdict("undecided", unknown)
    return Verdict("passed") if key == expected else Verdict("failed", "wrong_answer")
