"""CodeT: programs and tests that a model wrote support each other (Chen et al. 2022, arXiv 2207.10397)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import TypeVar

Test = TypeVar("Test", bound=Hashable)


def agreement(passed: Sequence[Collection[Test]], times: Mapping[Test, int]) -> list[float]:
    """Return the score of each program: √(programs that pass the very same tests) · (tests that it passes).

    `passed[i]` are the tests that program i passes, `times` says how often each test was written. Programs and tests
    count as often as they were written. The root is that of the paper's implementation: it says that tests matter more,
    and is no monotone change, so without it the order is another.
    """
    sets = [frozenset(one) for one in passed]
    size = Counter(sets)
    return [math.sqrt(size[one]) * sum(times[test] for test in one) for one in sets]
