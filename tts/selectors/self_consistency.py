"""Votes weighted by a score: Wang et al. 2022, «Self-Consistency Improves Chain of Thought Reasoning», weighted sum."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import model_validator

from tts.components.component import Component
from tts.components.slot import Slot
from tts.protocols import AskingScorer, Scorer
from tts.selectors.contenders import refuse_raw, vote, weighing_contenders
from tts.types import Ballot, Selection


class SelfConsistency(Component):
    """Hands in the answer whose supporters have the largest sum of scores; with a reward model, weighted best-of-N.

    A candidate without a score abstains. Ties, and sums that are all zero: the most likely candidate of those answers
    wins (see `tts.selectors.contenders`).
    """

    scorer: Annotated[Scorer | AskingScorer, Slot("scorers")]
    """What weighs the votes; its scores must be 0 or above."""

    @model_validator(mode="after")
    def _scores_weigh(self) -> Self:
        refuse_raw(self.scorer)
        return self

    def select(self, ballot: Ballot) -> Selection:
        """Return the most likely candidate of the heaviest answer; `weights` are each one's supporters' sums of scores.

        Raises ScorerError for a score that is negative or not finite.
        """
        return vote(ballot, weighing_contenders(ballot))
