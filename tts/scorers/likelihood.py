"""Length-normalised likelihood: equation 1 of Wang et al. 2022, «Self-Consistency Improves Chain of Thought»."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from tts.components.component import Component
from tts.types import Candidate, Problem, Score

MOST_LOGPROB = 1e-6
"""A mean of log-probabilities may exceed 0 by this much and still be a rounding error; beyond it, it is none."""


class Likelihood(Component):
    """Scores a candidate by exp(mean log-probability of its tokens): their geometric mean probability, in [0, 1].

    None where the engine gave no log-probabilities, or one that is NaN or above 0.
    """

    requires: ClassVar[frozenset[str]] = frozenset({"logprobs"})

    def score(self, problem: Problem, candidates: Sequence[Candidate]) -> list[Score]:  # noqa: ARG002 # the protocol's
        """Return one score per candidate, order kept."""
        return [_likelihood(candidate.mean_logprob) for candidate in candidates]


def _likelihood(mean_logprob: float | None) -> Score:
    if mean_logprob is None:
        return Score(None, "no log-probabilities")
    if not mean_logprob <= MOST_LOGPROB:
        return Score(None, f"mean_logprob must be at most 0, got {mean_logprob}")
    return Score(min(1.0, math.exp(mean_logprob)))
