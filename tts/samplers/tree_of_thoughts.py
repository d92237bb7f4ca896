"""Tree of Thoughts, breadth first (Yao et al. 2023, arXiv 2305.10601): thoughts are proposed and valued by prompts."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar

from pydantic import Field

from tts.components.slot import Slot
from tts.errors import CallError
from tts.protocols import Calls, Engine
from tts.samplers.searching import SearchKeys
from tts.samplers.thoughts import best_of, longer, said, text_of, worth
from tts.types import Message, Piece, Problem, Written


class TreeOfThoughts(SearchKeys):
    """Keeps the best few beginnings; each step one call proposes what may follow each, and others value that.

    At the end the model writes its answer behind each beginning that is kept: `num_candidates` of them.
    """

    label: ClassVar[str] = "tree_of_thoughts"

    judge: Annotated[Engine, Slot("engines")] | None = None
    """What values thoughts; null: the recipe's own engine."""

    num_steps: int = Field(default=3, ge=1)
    """How many thoughts stand before the answer."""

    num_evaluations: int = Field(default=3, ge=1)
    """How often each thought is valued."""

    evaluation_tokens: int = Field(default=64, ge=1)
    """The most tokens of one evaluation."""

    propose: str = "{problem}\n\nSo far:\n{written}\nList possible next steps, one a line, and nothing else."
    """Asks for thoughts; `{problem}` and `{written}` are filled in."""

    value: str = (
        "{problem}\n\nA beginning of a solution:\n{written}\nCan this still lead to the right answer? Think briefly, "
        "then end with one word: sure, likely or impossible."
    )
    """Asks what a beginning is worth."""

    @property
    def requires(self) -> frozenset[str]:
        """`prefix`, beside what its keys need."""
        return super().requires | {"prefix"}

    @property
    def most_calls(self) -> int:
        """Return the calls of all steps, for proposals of at most 64 lines."""
        return self.num_candidates * (self.num_steps * (2 + 64 * (self.num_evaluations + 1)) + 1)

    @property
    def most_tokens(self) -> int:
        """Return the tokens of all proposals, evaluations and answers."""
        step = self.max_tokens + 64 * self.num_evaluations * self.evaluation_tokens
        return self.num_candidates * (self.num_steps * step + self.max_tokens)

    async def search(self, problem: Problem, calls: Calls) -> None:
        """Grow breadth first, then answer behind what is kept."""
        kept: list[Written] = [()]
        for _ in range(self.num_steps):
            proposed = [calls.branch(self._proposals, problem, thoughts) for thoughts in kept]
            grown = [longer for one in proposed for longer in await one] or kept
            valued = [calls.branch(self._value, problem, longer) for longer in grown]
            kept = best_of(grown, [await one for one in valued], self.num_candidates)
        written: list[Written] = [(Piece(text_of(thoughts)),) for thoughts in kept]
        answers = [calls.generate(self.decoding(), one, about=kept[place]) for place, one in enumerate(written)]
        for index, (one, answer) in enumerate(zip(written, answers, strict=True)):
            try:
                completion = await answer
                calls.emit(index, (*one, completion.piece), completion.finish_reason)
            except CallError as error:
                calls.emit(index, one, "error", error=str(error))

    async def _proposals(self, calls: Calls, problem: Problem, thoughts: Written) -> list[Written]:
        asked = self.propose.replace("{problem}", problem.prompt).replace("{written}", text_of(thoughts))
        return await longer(
            calls.generate(self.decoding(), messages=(Message("user", asked),), about=thoughts), thoughts
        )

    async def _value(self, calls: Calls, problem: Problem, thoughts: Written) -> float:
        asked = self.value.replace("{problem}", problem.prompt).replace("{written}", text_of(thoughts))
        decoding = replace(self.decoding(), max_tokens=self.evaluation_tokens)
        told = [
            calls.generate(decoding, messages=(Message("user", asked),), engine=self.judge, about=thoughts)
            for _ in range(self.num_evaluations)
        ]
        return sum([worth(await said(one)) for one in told])
