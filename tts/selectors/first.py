"""The first answer: what one would hand in without choosing."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from tts.components.component import Component
from tts.selectors.contenders import contenders, rerank
from tts.types import Ballot, Selection


class First(Component):
    """Hands in the candidate with the lowest index among those that finished with an answer."""

    scorer: ClassVar[None] = None

    def select(self, ballot: Ballot) -> Selection:
        """Return the first candidate that did not abstain. Whoever comes after it is not counted as abstaining."""
        entrants = contenders(ballot)
        first = min(entrants, key=lambda contender: contender.candidate.index, default=None)
        return rerank(ballot, (replace(contender, weight=float(contender is first)) for contender in entrants))
