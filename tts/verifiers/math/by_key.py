"""Group and judge answers whose equality is equality of a key; None is no answer."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from tts.types import Verdict

NO_ANSWER = Verdict("failed", "no_answer")


def group_keys(keys: Sequence[Hashable | None]) -> list[int | None]:
    """Return classes numbered 0, 1, … by first appearance; None for None."""
    numbers: dict[Hashable, int] = {}
    return [None if key is None else numbers.setdefault(key, len(numbers)) for key in keys]


def judge_keys(keys: Sequence[Hashable | None], expected: Hashable | None, unknown: str) -> list[Verdict]:
    """Return one verdict per key; without an `expected` key all answers are undecided, for the reason `unknown`."""
    other = Verdict("undecided", unknown) if expected is None else Verdict("failed", "wrong_answer")
    return [NO_ANSWER if key is None else Verdict("passed") if key == expected else other for key in keys]
