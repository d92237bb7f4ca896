"""Scores that came with the candidates: another tool's, in the rows of a file, or a figure that an engine noted."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import ClassVar

from pydantic import Field

from tts.components.component import Component
from tts.types import Candidate, Problem, Score


class GivenScore(Component):
    """Scores a candidate by a figure that came with it: in a file of candidates `score`, `reward` or one of `scores`.

    Higher is better. None where the candidate has no such figure, or it is not finite.
    """

    requires: ClassVar[frozenset[str]] = frozenset()

    key: str | None = Field(default=None, min_length=1)
    """Which figure: its name within `scores` (or among what the engine noted). null: `score`, or `reward` where no
    candidate of the problem has a `score`."""

    def score(self, problem: Problem, candidates: Sequence[Candidate]) -> list[Score]:  # noqa: ARG002 # the protocol's
        """Return one score per candidate, order kept."""
        key = self.key or chosen_key({name for candidate in candidates for name in candidate.engine_stats})
        return [_score(key, candidate.engine_stats.get(key)) for candidate in candidates]


def chosen_key(names: Collection[str]) -> str:
    """Return which of these figures is meant where no key is given."""
    return "reward" if "reward" in names and "score" not in names else "score"


def _score(key: str, value: float | None) -> Score:
    if value is None:
        return Score(None, f"no figure `{key}` came with it")
    return Score(value) if math.isfinite(value) else Score(None, f"{key} must be finite, got {value}")
