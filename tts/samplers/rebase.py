"""Reward-balanced search (Wu et al. 2024, arXiv 2408.00724): good paths get more children, poor ones some."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, exp
from typing import ClassVar

from pydantic import Field

from tts.protocols import Calls
from tts.samplers.steps import Path, StepSearch
from tts.types import Problem


class Rebase(StepSearch):
    """At each step shares out what is left of the width among the open paths, by a softmax over their rewards."""

    label: ClassVar[str] = "rebase"

    reward_temperature: float = Field(default=0.2, gt=0)
    """Of the softmax over rewards: small ones give all to the best."""

    async def search(self, problem: Problem, calls: Calls) -> None:
        """Grow until all of the width is over."""
        del problem
        grown = [calls.branch(self.grow, Path()) for _ in range(self.num_candidates)]
        over = list[Path]()
        while grown:
            told = [await one for one in grown]
            over += [path for path in told if path.finish_reason is not None]
            alive = sorted((path for path in told if path.finish_reason is None), key=lambda path: -path.value)
            given = shares([path.value for path in alive], self.num_candidates - len(over), self.reward_temperature)
            grown = [
                calls.branch(self.grow, path) for path, number in zip(alive, given, strict=True) for _ in range(number)
            ]
        self.emit(calls, sorted(over, key=lambda path: -path.value))


def shares(rewards: Sequence[float], width: int, temperature: float) -> list[int]:
    """Return how many children each path gets, `rewards` falling: the ceiling of its share of what is left."""
    weights = [exp((reward - max(rewards)) / temperature) for reward in rewards]
    left, total, given = width, sum(weights), []
    for weight in weights:
        number = min(left, ceil(left * weight / total - 1e-9)) if left and total > 0 else 0
        given.append(number)
        left, total = left - number, total - weight
    return given
