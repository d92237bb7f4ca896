"""Budget forcing at many budgets for the price of the largest: one thought, asked for its answer as it goes."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from tts.errors import CallError
from tts.protocols import Calls, Pending
from tts.samplers.budget_forcing import BudgetForcing, Thought
from tts.types import FinishReason, Problem, Written

Answered = tuple[Written, FinishReason, str]


class BudgetSweep(BudgetForcing):
    """Lets the model think up to its budget, and branches off an answer at each smaller one on the way.

    So n budgets cost the tokens of the largest, and n answers. Candidates come by thought, then by budget; the credit
    goes to `budget_sweep/256` and so on, which the summary tells apart. A thought that ends before a budget has one
    answer for all that are left.
    """

    label: ClassVar[str] = "budget_sweep"
    interacting: ClassVar[bool] = True

    num_candidates: int = Field(default=12, ge=1)
    """How many candidates to draw for each problem: thoughts times budgets."""

    budgets: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(strict=False)] = (512, 1024, 2048)
    """The smaller budgets, rising; the largest is `max_thinking_tokens`."""

    forced_tokens: int = Field(default=32, ge=1)
    """The most tokens of the answer behind a thought that was cut."""

    @model_validator(mode="after")
    def _whole_sweeps(self) -> Self:
        if any(low >= high for low, high in zip(self.grid, self.grid[1:], strict=False)):
            raise ValueError(f"`budgets` must rise and end below max_thinking_tokens, got {list(self.grid)}")
        if self.num_candidates % len(self.grid):
            raise ValueError(f"`num_candidates` must be a multiple of the {len(self.grid)} budgets")
        return self

    @property
    def grid(self) -> tuple[int, ...]:
        """All budgets, rising."""
        return (*self.budgets, self.max_thinking_tokens)

    @property
    def most_calls(self) -> int:
        """Return the calls of all candidates: at each budget what is thought, an answer and its branch."""
        return self.num_candidates * (self.num_waits + 4)

    @property
    def most_tokens(self) -> int:
        """Return the tokens of all thoughts, each up to the largest budget, and of all answers."""
        answers = self.num_candidates * max(self.max_tokens, self.forced_tokens)
        return self.num_candidates // len(self.grid) * self.max_thinking_tokens + answers

    async def search(self, problem: Problem, calls: Calls) -> None:
        """Think each thought in a branch of its own."""
        del problem
        drawn = [calls.branch(self._thought) for _ in range(self.num_candidates // len(self.grid))]
        for number, pending in enumerate(drawn):
            for place, (written, reason, error) in enumerate(await pending):
                index, arm = number * len(self.grid) + place, str(self.grid[place])
                calls.emit(index, written, reason, error=error, arm=arm)

    async def _thought(self, calls: Calls) -> list[Answered]:
        thought, spent, answers = self.beginning(), 0, list[Pending[Answered]]()
        try:
            for budget in self.grid:
                longer = await self.think(calls, thought, budget - spent)
                same = bool(answers) and longer == thought
                answers.append(answers[-1] if same else calls.branch(self._answered, longer))
                thought, spent = longer, budget
        except CallError as error:
            failed: Answered = ((), "error", str(error))
            return [await one for one in answers] + [failed] * (len(self.grid) - len(answers))
        return [await one for one in answers]

    async def _answered(self, calls: Calls, thought: Thought) -> Answered:
        try:
            return (*await self.answer(calls, thought, self.max_tokens if thought.ended else self.forced_tokens), "")
        except CallError as error:
            return thought.written, "error", str(error)
