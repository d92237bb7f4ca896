"""Votes of the most confident candidates: Fu et al. 2025, «Deep Think with Confidence» (DeepConf), offline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Annotated, Self

from pydantic import Field, model_validator

from tts.components.component import Component
from tts.components.slot import Slot
from tts.protocols import AskingScorer, Scorer
from tts.scorers.confidence import Confidence
from tts.selectors.contenders import Contender, refuse_raw, vote, weighing_contenders
from tts.types import Ballot, Selection


class ConfidenceVote(Component):
    """Hands in the answer whose supporters have the largest sum of scores, among the candidates of the highest scores.

    Those whose score is below the (1 - `keep`) quantile of all that vote abstain, as does a candidate without a score.
    Ties: the most likely candidate of those answers wins (see `tts.selectors.contenders`).
    """

    scorer: Annotated[Scorer | AskingScorer, Slot("scorers")] = Confidence()
    """What tells how confident a candidate is; its scores must be 0 or above."""

    keep: float = Field(default=0.9, gt=0, le=1)
    """The share of the candidates that vote: 0.1 and 0.9 in the paper; 1 filters nothing."""

    weighted: bool = True
    """Whether a vote counts as much as its score; else every vote counts the same."""

    @model_validator(mode="after")
    def _scores_weigh(self) -> Self:
        refuse_raw(self.scorer)
        return self

    def select(self, ballot: Ballot) -> Selection:
        """Return the most likely candidate of the heaviest answer; `weights` are each one's supporters' sums of scores.

        Raises ScorerError for a score that is negative or not finite.
        """
        voters = most_confident(weighing_contenders(ballot), self.keep)
        return vote(ballot, voters if self.weighted else [replace(voter, weight=1.0) for voter in voters])


def most_confident(entrants: Sequence[Contender], keep: float) -> list[Contender]:
    """Return those whose weight is at least the (1 - keep) quantile of all weights, interpolated as numpy does.

    Of n that are 1 + ⌊keep·(n - 1)⌋, and those whose weight equals the last one's. Counted so no rounding decides.
    """
    if not entrants:
        return []
    number = 1 + math.floor(Fraction(str(keep)) * (len(entrants) - 1))
    floor = sorted((entrant.weight for entrant in entrants), reverse=True)[number - 1]
    return [entrant for entrant in entrants if entrant.weight >= floor]
