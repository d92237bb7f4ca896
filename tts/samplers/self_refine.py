"""Self-Refine (Madaan et al. 2023, arXiv 2303.17651): the model criticises its answer, then writes it anew."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from pydantic import Field, field_validator

from tts.protocols import Calls
from tts.samplers.revising import Revising
from tts.types import Completion, Message, Problem, Written


class SelfRefine(Revising):
    """Answer, critique, answer, …: every answer is a candidate. The critique reads the last answer alone.

    Differs from the source: all answers are handed in, and a selector chooses (there the last one counts); without
    worked examples, and what is revised is the last answer, not the whole history.
    """

    label: ClassVar[str] = "self_refine"

    critique_tokens: int = Field(default=512, ge=1)
    """The most tokens of a critique."""

    satisfied: str = "NO MISTAKES"
    """What a critique ends with that finds nothing wrong: the chain is over then. Empty: it always goes on."""

    critique: str = (
        "Check your answer step by step and say what is wrong with it, or could be better. Do not write it anew. If "
        "nothing is, end with: {satisfied}"
    )
    """Asks for a critique, after the answer; `{satisfied}` is filled in."""

    revise: str = (
        "Here is a review of your answer:\n\n{critique}\n\nNow write the whole answer anew, in the form that was asked "
        "for."
    )
    """Asks for the next answer, after the last one; `{critique}` is filled in."""

    @field_validator("revise")
    @classmethod
    def _shows_critique(cls, revise: str) -> str:
        if "{critique}" not in revise:
            raise ValueError("must hold {critique}, else the critique is asked for in vain")
        return revise

    @property
    def most_tokens(self) -> int:
        """Return the tokens of all answers, and of the critiques between them."""
        between = self.num_candidates - self.chains
        return self.num_candidates * self.max_tokens + between * self.critique_tokens

    async def told(self, problem: Problem, calls: Calls, answer: Completion) -> tuple[str, Written]:
        """Ask for a critique."""
        del problem
        asked = self.critique.replace("{satisfied}", self.satisfied)
        messages = (*calls.messages, Message("assistant", self.shown(answer)), Message("user", asked))
        decoding = replace(self.decoding(), max_tokens=self.critique_tokens, stop=())
        reply = await calls.generate(decoding, messages=messages, about=(answer.piece,))
        critique = self.shown(reply).strip()
        ends = critique.strip(" \t\n.!*`'\"").upper().endswith(self.satisfied.upper())
        if not critique or (self.satisfied and ends):
            return "", ()
        return self.revise.replace("{critique}", critique), (answer.piece, reply.piece)
