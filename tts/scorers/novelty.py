"""Relative novelty, which ESamp measures (arXiv 2604.24927): how far a candidate went from what its distiller knew."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from tts.components.component import Component
from tts.types import Candidate, Problem, Score

NOVELTY = "esamp_novelty"
"""Where engines put it among a candidate's `engine_stats`."""


class Novelty(Component):
    """Scores a candidate by the mean of ‖h^L − ĥ‖ / ‖h^L‖ over its guided tokens: 0 foreseen, about 1 or more new.

    None where ESamp moved none of its tokens: another sampler drew it, or it has only one.
    """

    requires: ClassVar[frozenset[str]] = frozenset()

    def score(self, problem: Problem, candidates: Sequence[Candidate]) -> list[Score]:  # noqa: ARG002 # the protocol's
        """Return one score per candidate, order kept."""
        return [_novelty(candidate.engine_stats.get(NOVELTY)) for candidate in candidates]


def _novelty(value: float | None) -> Score:
    if value is None:
        return Score(None, "no token was drawn by esamp")
    if not (math.isfinite(value) and value >= 0):
        return Score(None, f"{NOVELTY} must be finite and at least 0, got {value}")
    return Score(value)
