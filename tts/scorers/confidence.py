"""Confidence as DeepConf measures it: Fu et al. 2025, «Deep Think with Confidence», arXiv 2508.15260."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

from tts.components.component import Component
from tts.types import Candidate, Problem, Score


class Confidence(Component):
    """Scores a candidate by how peaked the model's next-token distributions were, in nats, 0 or above.

    A token's confidence is -(1/20) Σ log p over its 20 likeliest tokens. The engine measures it where this scorer is in
    the recipe (its key `confidence_window` says over which windows). None where it did not. Of a candidate that several
    calls wrote it is the mean over its tokens of what each call has: no window reaches from one call into the next.
    """

    requires: ClassVar[frozenset[str]] = frozenset({"confidence"})

    over: Literal["mean", "tail", "least", "bottom"] = "bottom"
    """Which tokens count: all (mean), the last window (tail), the window where it is least, or the tenth of the windows
    where it is lowest (bottom). A candidate shorter than a window is scored by all of its tokens."""

    def score(self, problem: Problem, candidates: Sequence[Candidate]) -> list[Score]:  # noqa: ARG002 # the protocol's
        """Return one score per candidate, order kept."""
        name = f"{self.over}_confidence"
        return [_confidence(name, candidate.engine_stats.get(name)) for candidate in candidates]


def _confidence(name: str, value: float | None) -> Score:
    if value is None:
        return Score(None, f"no {name}")
    if not (math.isfinite(value) and value >= 0):
        return Score(None, f"{name} must be finite and at least 0, got {value}")
    return Score(value)
