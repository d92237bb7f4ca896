"""Self-certainty: Kang et al. 2025, «Scalable Best-of-N Selection for Large Language Models via Self-Certainty»."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from tts.components.component import Component
from tts.types import Candidate, Problem, Score


class SelfCertainty(Component):
    """Scores a candidate by how far the model's next-token distributions were from uniform, on average over its tokens.

    In nats, 0 or above: the mean KL(uniform ‖ model), which the engine measures. None where it did not.
    """

    requires: ClassVar[frozenset[str]] = frozenset({"self_certainty"})

    def score(self, problem: Problem, candidates: Sequence[Candidate]) -> list[Score]:  # noqa: ARG002 # the protocol's
        """Return one score per candidate, order kept."""
        return [_self_certainty(candidate.self_certainty) for candidate in candidates]


def _self_certainty(value: float | None) -> Score:
    if value is None:
        return Score(None, "no self-certainty")
    if not (math.isfinite(value) and value >= 0):
        return Score(None, f"self_certainty must be finite and at least 0, got {value}")
    return Score(value)
