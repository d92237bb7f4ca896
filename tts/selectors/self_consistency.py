"""Votes weighted by a score: Wang et al. 2022, «Self-Consistency Improves Chain of Thought Reasoning», weighted sum."""

from __future__ import annotations

from typing import Annotated

from tts.components.component import Component
from tts.components.slot import Slot
from tts.errors import ScorerError
from tts.protocols import Scorer
from tts.selectors.contenders import name_score, scored_contenders, vote
from tts.types import Ballot, Selection


class SelfConsistency(Component):
    """Hands in the answer whose supporters have the largest sum of scores; with a reward model, weighted best-of-N.

    A candidate without a score abstains. Ties, and sums that are all zero: the most likely candidate of those answers
    wins (see `tts.selectors.contenders`).
    """

    scorer: Annotated[Scorer, Slot("scorers")]
    """What weighs the votes; its scores must be 0 or above."""

    def select(self, ballot: Ballot) -> Selection:
        """Return the most likely candidate of the heaviest answer; `weights` are each one's supporters' sums of scores.

        Raises ScorerError for a score that is negative or not finite.
        """
        entrants = scored_contenders(ballot)
        for contender in entrants:
            if contender.weight < 0:
                raise ScorerError(
                    f"{name_score(contender)} must be 0 or above to weigh a vote, got {contender.weight}. "
                    "Use another scorer, or the selector `best_of_n`, which takes any score"
                )
        return vote(ballot, entrants)
