"""Scores that came with the candidates: another tool's, in the rows of a file, or a figure that an engine noted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from tts.components.component import Component
from tts.types import Candidate, Problem, Score


class GivenScore(Component):
    """Scores a candidate by a figure that came with it: in a file of candidates `score`, `reward` or one of `scores`.

    Higher is better. None where the candidate has no such figure, or it is not finite.
    """

    requires: ClassVar[frozenset[str]] = frozenset()

    key: str = Field(default="score", min_length=1)
    """Which figure: `score`, `reward`, or its name within `scores` (or among what the engine noted)."""

    def score(self, problem: Problem, candidates: Sequence[Candidate]) -> list[Score]:  # noqa: ARG002 # the protocol's
        """Return one score per candidate, order kept."""
        return [self._score(candidate.engine_stats.get(self.key)) for candidate in candidates]

    def _score(self, value: float | None) -> Score:
        if value is None or not math.isfinite(value):
            return Score(None, f"no figure `{self.key}` came with it" if value is None else f"got {value}")
        return Score(value)
