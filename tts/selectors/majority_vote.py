"""Majority vote over answers: Wang et al. 2023, «Self-Consistency Improves Chain of Thought Reasoning», unweighted."""

from __future__ import annotations

from typing import ClassVar

from tts.components.component import Component
from tts.selectors.contenders import contenders, vote
from tts.types import Ballot, Selection


class MajorityVote(Component):
    """Hands in the answer that most candidates agree on; answers that the verifier calls the same count as one.

    Ties: the class with the most likely candidate wins (see `tts.selectors.contenders`).
    """

    scorer: ClassVar[None] = None

    def select(self, ballot: Ballot) -> Selection:
        """Return the most likely candidate of the largest class; `weights` are the classes' sizes."""
        return vote(ballot, contenders(ballot))
