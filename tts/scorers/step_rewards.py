"""A candidate's worth by the rewards of its steps, as a search noted them: one number from a process reward model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Final, Literal

from tts.components.component import Component
from tts.types import Candidate, Problem, Score

AGGREGATES: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {
    "last": lambda rewards: rewards[-1],
    "min": min,
    "mean": lambda rewards: math.fsum(rewards) / len(rewards),
    "product": math.prod,
}


class StepRewards(Component):
    """Scores a candidate by the rewards that the search which wrote it noted for its steps.

    None where there are none: it was drawn in one go, or its search asked no reward model.
    """

    requires: ClassVar[frozenset[str]] = frozenset()

    aggregate: Literal["last", "min", "mean", "product"] = "last"
    """What becomes of several: the last step's, the lowest, their mean, or their product, which makes each step cost
    something (0.9 twenty times is 0.12)."""

    def score(self, problem: Problem, candidates: Sequence[Candidate]) -> list[Score]:  # noqa: ARG002 # the protocol's
        """Return one score per candidate, order kept."""
        return [_score(candidate.rewards, self.aggregate) for candidate in candidates]


def _score(rewards: Sequence[float] | None, aggregate: str) -> Score:
    if not rewards:
        return Score(None, "no rewards of steps")
    if not all(map(math.isfinite, rewards)):
        return Score(None, f"the rewards of steps must be finite, got {list(rewards)}")
    value = AGGREGATES[aggregate](rewards)
    return Score(value) if math.isfinite(value) else Score(None, f"the {aggregate} of the rewards is not finite")
