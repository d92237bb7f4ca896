"""Answers that are revised: what sequential searches rest on, in which each answer is told what is wrong with the last.

Candidate `round · chains + chain` is what a chain has after a round, so the first candidates are plain ones, of chains
that know nothing of each other. So sequential and parallel compute can be compared with the same number of answers,
`chains` from 1 to all, and at equal tokens by `tts bench --axis tokens`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

from pydantic import Field, model_validator

from tts.errors import CallError
from tts.protocols import Calls
from tts.samplers.searching import ShowsAnswers
from tts.types import Completion, Message, Problem, Written


class Revising(ShowsAnswers, ABC):
    """The keys of searches that revise. A chain ends early where nothing is left to revise, or an answer was cut."""

    chains: int = Field(default=1, ge=1)
    """How many answers are drawn to begin with, each revised by itself; `num_candidates` is a multiple of it."""

    @model_validator(mode="after")
    def _whole_rounds(self) -> Self:
        if self.num_candidates % self.chains:
            raise ValueError(f"`num_candidates` must be a multiple of chains, {self.chains}, got {self.num_candidates}")
        return self

    @property
    def most_calls(self) -> int:
        """Return the answers, what is asked between them, and the chains themselves."""
        return 2 * self.num_candidates + self.chains

    async def search(self, problem: Problem, calls: Calls) -> None:
        """Run the chains side by side."""
        for chain in [calls.branch(self._chain, problem, number) for number in range(self.chains)]:
            await chain

    async def _chain(self, calls: Calls, problem: Problem, chain: int) -> None:
        messages, about = calls.messages, Written()
        for index in range(chain, self.num_candidates, self.chains):
            try:
                answer = await calls.generate(self.decoding(), messages=messages, about=about)
            except CallError as error:
                calls.emit(index, (), "error", error=str(error))
                return
            calls.emit(index, (answer.piece,), answer.finish_reason)
            if answer.finish_reason != "stop" or index + self.chains >= self.num_candidates:
                return
            try:
                told, about = await self.told(problem, calls, answer)
            except CallError:  # nobody knows what is wrong with it, so it stands
                return
            if not told:
                return
            messages = (*calls.messages, Message("assistant", self.shown(answer)), Message("user", told))

    @abstractmethod
    async def told(self, problem: Problem, calls: Calls, answer: Completion) -> tuple[str, Written]:
        """Return what the model is told to make it revise this answer, "": nothing; and which calls that is from."""
