"""Borda votes by rank: Kang et al. 2025, «Scalable Best-of-N Selection via Self-Certainty», arXiv 2502.18581."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from tts.components.component import Component
from tts.components.slot import Slot
from tts.protocols import AskingScorer, Scorer
from tts.selectors.contenders import scored_contenders, scores_of, vote
from tts.types import Ballot, Selection

MANY = 32
"""From so many ranked candidates on the best one's vote counts for more: the paper's own rule of thumb."""


class Borda(Component):
    """Hands in the answer with the largest sum of votes, where rank r of N gives (N - r + 1)^power votes.

    All N candidates that have a score are ranked, the best first. One that was not finished or has no answer keeps its
    rank and gives no vote; one without a score has no rank. Equal scores share the votes of their ranks. Only the order
    of the scores matters, so they may be of any size or sign. Ties: the most likely candidate of those answers wins
    (see `tts.selectors.contenders`).
    """

    scorer: Annotated[Scorer | AskingScorer, Slot("scorers")]
    """What ranks the candidates; any finite scores."""

    power: float | None = Field(default=None, ge=0, le=50)
    """How much more a better rank counts: 0 is the majority vote, a large one best of N. null: 0.3 for fewer than 32
    ranked candidates, else 1.2 (the paper says 0.3 up to 16 and 1.2 from 32 on)."""

    def select(self, ballot: Ballot) -> Selection:
        """Return the most likely candidate of the answer with the most votes; `weights` are each answer's votes.

        Raises ScorerError for a score that is not finite.
        """
        entrants = scored_contenders(ballot)
        votes = rank_votes([score for score in scores_of(ballot) if score is not None], self.power)
        return vote(ballot, [replace(one, weight=votes[one.weight]) for one in entrants])


def rank_votes(scores: Sequence[float], power: float | None) -> dict[float, float]:
    """Return the votes of each score: the mean of (N - r + 1)^power over the ranks r that its holders share."""
    if power is None:
        power = 0.3 if len(scores) < MANY else 1.2
    votes, worse = {}, 0
    for score, number in sorted(Counter(scores).items()):
        votes[score] = math.fsum(float(worse + place) ** power for place in range(1, number + 1)) / number
        worse += number
    return votes
