"""How fast one recipe drew beside another: fair only where they took turns, since what else a machine does changes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

from tts.report.data import Speed
from tts.runs.records import Session


def speeds(arms: Mapping[str, Sequence[Session]]) -> tuple[Speed, ...]:
    """Return the ratio for each two arms that took turns together; a turn that was interrupted does not count."""
    rates = {name: _rates(sessions) for name, sessions in arms.items()}
    found = []
    for second, first in combinations(arms, 2):
        ratios = [rates[first][turn] / rates[second][turn] for turn in rates[first].keys() & rates[second].keys()]
        if ratios:
            mean = math.exp(math.fsum(map(math.log, ratios)) / len(ratios))
            found.append(Speed(first, second, mean, min(ratios), max(ratios), len(ratios)))
    return tuple(found)


def _rates(sessions: Sequence[Session]) -> dict[int, float]:
    """Return the tokens per second of each turn that was drawn in one session."""
    turns = [session.turn for session in sessions]
    return {
        one.turn: one.num_tokens / one.drawing_seconds
        for one in sessions
        if one.turn is not None and turns.count(one.turn) == 1 and one.drawing_seconds > 0 and one.num_tokens > 0
    }
