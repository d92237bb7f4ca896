"""What PlanSearch reads in a list of observations, and the sets that it makes of them."""

from __future__ import annotations

import random
import re
from itertools import combinations

MARK = re.compile(r"\s*(?:[-*+•]|\(?\d+[.):])\s+")


def listed(text: str, most: int) -> list[str]:
    """Return the lines of a list, without their marks, each once, the first `most`."""
    lines = [MARK.sub("", line, count=1).strip() for line in text.splitlines()]
    return [*dict.fromkeys(filter(None, lines))][:most]


def shuffled_sets(observations: list[str], most: int, rng: random.Random) -> list[tuple[str, ...]]:
    """Return all sets of 1 to `most` observations in an order of chance; of none, the empty set."""
    sets = [one for size in range(1, 1 + most) for one in combinations(observations, size)] or [()]
    rng.shuffle(sets)
    return sets
