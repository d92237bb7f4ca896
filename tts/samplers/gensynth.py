"""GenSynthesis of NeMo-Skills, after GenSelect (Moshkov et al. 2025, arXiv 2504.16891): one answer from several."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, model_validator

from tts.errors import CallError
from tts.protocols import Calls, Pending
from tts.samplers.searching import ShowsAnswers
from tts.tasks.prompt import filled
from tts.types import Completion, Message, Problem

DRAFT, SYNTHESIS = "draft", "synthesis"


class GenSynth(ShowsAnswers):
    """Draws drafts, then answers that are each written from several of them. All are candidates.

    Drafts come first and have the credit `gensynth/draft`, the others `gensynth/synthesis`. Differs from the source:
    there an answer stands between tags, here it is read as any other candidate's.
    """

    label: ClassVar[str] = "gensynth"

    syntheses: int = Field(default=2, ge=1)
    """How many of the candidates are written from others."""

    window: int = Field(default=8, ge=2)
    """The most drafts that one is written from, chosen by chance and in an order of chance; cut ones are left out."""

    prompt: str = (
        "{problem}\n\nHere are {number} solutions to this. Some may be wrong.\n\n{solutions}\n\n"
        "Compare them, take over what is right, mend what is not, and write one whole solution, in the form that was "
        "asked for."
    )
    """Asks for one. `{problem}` is what was sent to draw the drafts, `{solutions}` some of these, `{number}` how many
    they are."""

    @model_validator(mode="after")
    def _drafts_are_shown(self) -> Self:
        if self.num_candidates < self.syntheses + 2:
            raise ValueError(
                f"`num_candidates` must leave two drafts beside {self.syntheses} syntheses, got {self.num_candidates}"
            )
        if "{solutions}" not in self.prompt:
            raise ValueError("`prompt` must hold {solutions}, else nothing is written from the drafts")
        return self

    async def search(self, problem: Problem, calls: Calls) -> None:
        """Draw drafts, then write from them; from fewer than two that are whole nothing is written."""
        del problem
        num_drafts = self.num_candidates - self.syntheses
        drawn = [calls.generate(self.decoding()) for _ in range(num_drafts)]
        drafts = [await self._handed_in(calls, index, DRAFT, draft) for index, draft in enumerate(drawn)]
        whole = [one for one in drafts if one is not None and one.finish_reason == "stop"]
        asked = [self._asked(calls, whole) for _ in range(self.syntheses)] if len(whole) > 1 else []
        for index, synthesis in enumerate(asked, num_drafts):
            await self._handed_in(calls, index, SYNTHESIS, synthesis)

    def _asked(self, calls: Calls, drafts: list[Completion]) -> Pending[Completion]:
        chosen = calls.rng.sample(drafts, min(self.window, len(drafts)))
        solutions = "\n\n".join(f"Solution {place}:\n{self.shown(one).strip()}" for place, one in enumerate(chosen, 1))
        asked = "\n\n".join(message.content for message in calls.messages)
        text = filled(self.prompt, problem=asked, solutions=solutions, number=str(len(chosen)))
        about = tuple(draft.piece for draft in chosen)
        return calls.generate(self.decoding(), messages=(Message("user", text),), about=about)

    @staticmethod
    async def _handed_in(calls: Calls, index: int, arm: str, pending: Pending[Completion]) -> Completion | None:
        try:
            completion = await pending
        except CallError as error:
            calls.emit(index, (), "error", error=str(error), arm=arm)
            return None
        calls.emit(index, (completion.piece,), completion.finish_reason, arm=arm)
        return completion
