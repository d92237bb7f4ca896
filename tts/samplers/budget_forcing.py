"""Budget forcing: thinking is prolonged by a word, or cut short (Muennighoff et al. 2025, arXiv 2501.19393)."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, NamedTuple

from pydantic import Field

from tts.errors import CallError
from tts.protocols import Calls
from tts.samplers.searching import WritesOn
from tts.types import FinishReason, Piece, Problem, Written


class Thought(NamedTuple):
    """What was thought, how often it may be prolonged, and whether the model ended it: else it was cut."""

    written: Written
    waits: int
    ended: bool = False


class BudgetForcing(WritesOn):
    """Makes the model think again where it would stop, and stops it where its budget is used up.

    The budget holds for all thoughts together. Differs from the source: the words put in are not counted. The answer
    has `max_tokens` of its own. Candidates are independent, so every k comes from one pool.
    """

    label: ClassVar[str] = "budget_forcing"
    interacting: ClassVar[bool] = False

    max_thinking_tokens: int = Field(default=4096, ge=1)
    """The most tokens of all thoughts together."""

    num_waits: int = Field(default=2, ge=0)
    """How often a thought that ends is prolonged."""

    wait: str = Field(default="Wait", min_length=1)
    """What prolongs it."""

    thinking_tags: tuple[str, str] = Field(default=("<think>", "</think>"), strict=False)
    """What opens and closes a thought."""

    opens: bool = False
    """Whether to open the thought here: for a model whose prompt does not, and which does not do so by itself."""

    answer_begins: str = "\n\n"
    """What stands behind the end of a thought that the model ended, before the answer."""

    forced_answer_begins: str = "\nFinal Answer:"
    """What stands there where its thought was cut."""

    @property
    def most_calls(self) -> int:
        """Return the calls of all candidates: each thought, and the answer."""
        return self.num_candidates * (self.num_waits + 3)

    @property
    def most_tokens(self) -> int:
        """Return the tokens of all thoughts and answers."""
        return self.num_candidates * (self.max_thinking_tokens + self.max_tokens)

    async def search(self, problem: Problem, calls: Calls) -> None:
        """Draw every candidate in a branch of its own."""
        del problem
        drawn = [calls.branch(self._candidate) for _ in range(self.num_candidates)]
        for index, pending in enumerate(drawn):
            try:
                calls.emit(index, *await pending)
            except CallError as error:
                calls.emit(index, (), "error", error=str(error))

    async def _candidate(self, calls: Calls) -> tuple[Written, FinishReason]:
        thought = await self.think(calls, self.beginning(), self.max_thinking_tokens)
        return await self.answer(calls, thought, self.max_tokens)

    def beginning(self) -> Thought:
        """Return what stands there before the model thinks."""
        return Thought((Piece(f"{self.thinking_tags[0]}\n"),) if self.opens else (), self.num_waits)

    async def think(self, calls: Calls, thought: Thought, budget: int) -> Thought:
        """Return the thought, gone on with for at most `budget` tokens; one that ended is prolonged where it may be."""
        written, waits, ended = thought.written, thought.waits, thought.ended
        while budget > 0 and not (ended and waits == 0):
            if ended:
                written, waits = (*written, Piece(self.wait)), waits - 1
            decoding = replace(self.decoding(), max_tokens=budget, stop=(self.thinking_tags[1],))
            step = await calls.generate(decoding, written)
            if step.num_tokens is None:
                raise CallError("the engine did not say how many tokens it wrote, and the budget is one of tokens")
            written, ended = (*written, step.before_stop), step.finish_reason == "stop"
            budget = budget - step.num_tokens if ended else 0
        return Thought(written, waits, ended)

    async def answer(self, calls: Calls, thought: Thought, max_tokens: int) -> tuple[Written, FinishReason]:
        """Return the thought, closed, with the answer behind it. A cut one is closed on a line of its own."""
        line = "" if thought.ended or thought.written[-1].text.endswith("\n") else "\n"
        begins = self.answer_begins if thought.ended else self.forced_answer_begins
        written = (*thought.written, Piece(f"{line}{self.thinking_tags[1]}{begins}"))
        answer = await calls.generate(replace(self.decoding(), max_tokens=max_tokens), written)
        return (*written, answer.piece), answer.finish_reason
