"""Universal self-consistency: a model names the response that agrees with most (Chen et al. 2023, arXiv 2311.17311)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pydantic import Field

from tts.scorers.entrants import Entrant
from tts.scorers.genselect import GenSelect
from tts.types import Candidate


class UniversalSelfConsistency(GenSelect):
    """Scores a candidate by whether a model that reads all of them names its answer as the most consistent one.

    For open text, of which no two are equal: where answers can be compared, `majority_vote` is better and free. All
    candidates are shown, since what is asked is how many agree. Differs from the source: it is asked in two orders, and
    where they do not name the same answer the plain vote chooses (there the first response).
    """

    window: int = Field(default=16, ge=2)
    """The most candidates that are shown together."""

    orders: int = Field(default=2, ge=2)
    """In how many orders a window is shown, one question each."""

    temperature: float = Field(default=0.0, ge=0)
    """That of its replies."""

    max_tokens: int = Field(default=512, ge=1)
    """The most tokens of a reply, the model's own thinking included."""

    prompt: str = (
        "{problem}\n\nHere are {number} responses to this, from 0 to {last}.\n\n{solutions}\n\n"
        "Evaluate these responses. Select the most consistent response, based on majority consensus. End with a line "
        "of this form, with its number: Judgment: 0"
    )
    """The question. `{problem}` is what was sent to draw the responses, `{solutions}` are those of the window,
    `{number}` how many they are and `{last}` the number of the last one."""

    def shown(self, entrants: list[Entrant], candidates: Sequence[Candidate]) -> list[Entrant]:
        """Return who is shown: every candidate that has an answer, where these differ."""
        if len(entrants) < 2:
            return entrants
        return [replace(one, candidate=candidates[place]) for one in entrants for place in one.members]
