"""Budget forcing: thinking is prolonged by a word, or cut short (Muennighoff et al. 2025, arXiv 2501.19393)."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from pydantic import Field

from tts.errors import CallError
from tts.protocols import Calls
from tts.samplers.searching import SearchKeys
from tts.types import FinishReason, Piece, Problem, Written


class BudgetForcing(SearchKeys):
    """Makes the model think again where it would stop, and stops it where its budget is used up.

    The budget holds for all thoughts together; the words put in are not counted. The answer has `max_tokens` of its
    own. Candidates are independent, so every k comes from one pool.
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
    """What stands behind the end of the thought, before the answer; «Final Answer:» for a model that needs telling."""

    @property
    def requires(self) -> frozenset[str]:
        """`prefix` and `stop_strings`, beside what its keys need."""
        return super().requires | {"prefix", "stop_strings"}

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
        opening, closing = self.thinking_tags
        written: Written = (Piece(f"{opening}\n"),) if self.opens else ()
        left, waits = self.max_thinking_tokens, self.num_waits
        while left > 0:
            thinking = replace(self.decoding(), max_tokens=left, stop=(closing,))
            thought = await calls.generate(thinking, written)
            if thought.num_tokens is None:
                raise CallError("the engine did not say how many tokens it wrote, and the budget is one of tokens")
            left -= thought.num_tokens
            written = (*written, thought.before_stop)
            if thought.stop is None or waits == 0:
                break
            written, waits = (*written, Piece(self.wait)), waits - 1
        written = (*written, Piece(f"{closing}{self.answer_begins}"))
        answer = await calls.generate(self.decoding(), written)
        return (*written, answer.piece), answer.finish_reason
