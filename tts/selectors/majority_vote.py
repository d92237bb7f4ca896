"""Majority vote over answers: Wang et al. 2022, «Self-Consistency Improves Chain of Thought Reasoning», unweighted."""

from __future__ import annotations

from typing import ClassVar

from tts.components.component import Component
from tts.selectors.contenders import contenders, vote
from tts.types import Ballot, Selection


class MajorityVote(Component):
    """Hands in the answer that most candidates agree with, by the verifier's equality (see `tts.selectors.contenders`).

    Ties: the most likely candidate of those answers wins.
    """

    scorer: ClassVar[None] = None

    def select(self, ballot: Ballot) -> Selection:
        """Return the most likely candidate of the best supported answer; `weights` are how many support each."""
        return vote(ballot, contenders(ballot))
