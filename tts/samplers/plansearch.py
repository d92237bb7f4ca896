"""PlanSearch (Wang et al. 2024, arXiv 2409.03733): search over plans in words, then one program for each plan."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from pydantic import Field

from tts.errors import CallError
from tts.protocols import Calls
from tts.samplers.observations import listed, shuffled_sets
from tts.samplers.searching import ShowsAnswers
from tts.tasks.prompt import filled
from tts.types import Message, Problem, Written


class PlanSearch(ShowsAnswers):
    """Asks for observations, puts small sets of them into plans, and has an answer written by each plan.

    So candidates differ in their ideas, not in chance alone. One whose plan failed is written without a plan. Differs
    from the source: one layer of observations (there a second is asked for about each set), no second plan that denies
    the first, no pseudocode in between; the temperature is the recipe's (there 0).
    """

    label: ClassVar[str] = "plansearch"

    num_observations: int = Field(default=8, ge=1, le=64)
    """How many observations are asked for; what is more is left out."""

    most_joined: int = Field(default=2, ge=1)
    """How many observations a plan is made from, at most; the sets are taken in an order of chance."""

    idea_tokens: int = Field(default=512, ge=1)
    """The most tokens of the observations, and of a plan."""

    observe: str = (
        "{problem}\n\nDo not solve this yet. List {number} observations that could help to solve it: properties, "
        "hints, tricks, each correct and different from the others, one a line, and nothing else."
    )
    """Asks for observations; `{problem}` is what is sent to draw plain candidates, `{number}` how many are wanted."""

    plan: str = (
        "{problem}\n\nHere are observations:\n{observations}\n\nUse them to find a solution, and describe it in words, "
        "step by step. Do not write the answer itself yet."
    )
    """Asks for a plan; `{observations}` are those of one set."""

    write: str = "{problem}\n\nFollow this plan where it is right:\n\n{plan}"
    """Asks for the answer; `{plan}` is the plan."""

    @property
    def most_calls(self) -> int:
        """Return the observations, and of each candidate a branch, a plan and the answer."""
        return 1 + 3 * self.num_candidates

    @property
    def most_tokens(self) -> int:
        """Return the tokens of the observations, the plans and the answers."""
        return self.idea_tokens + self.num_candidates * (self.idea_tokens + self.max_tokens)

    async def search(self, problem: Problem, calls: Calls) -> None:
        """Ask for observations, then follow sets of them side by side; each set once before any comes again."""
        del problem
        asked = "\n\n".join(message.content for message in calls.messages)
        text, about = await self._idea(calls, filled(self.observe, problem=asked, number=str(self.num_observations)))
        sets = shuffled_sets(listed(text, self.num_observations), self.most_joined, calls.rng)
        places = [(index, sets[index % len(sets)]) for index in range(self.num_candidates)]
        for one in [calls.branch(self._follow, index, asked, chosen, about) for index, chosen in places]:
            await one

    async def _follow(
        self, calls: Calls, index: int, asked: str, observations: tuple[str, ...], about: Written
    ) -> None:
        messages, plan = calls.messages, ""
        if observations:
            shown = "\n".join(f"- {one}" for one in observations)
            plan, about = await self._idea(calls, filled(self.plan, problem=asked, observations=shown), about)
        if plan:
            messages = (Message("user", filled(self.write, problem=asked, plan=plan)),)
        try:
            answer = await calls.generate(self.decoding(), messages=messages, about=about)
            calls.emit(index, (answer.piece,), answer.finish_reason)
        except CallError as error:
            calls.emit(index, (), "error", error=str(error))

    async def _idea(self, calls: Calls, prompt: str, about: Written = ()) -> tuple[str, Written]:
        """Return what the model writes to a prompt, and which call that is; nothing where it failed."""
        decoding = replace(self.decoding(), max_tokens=self.idea_tokens, stop=())
        try:
            idea = await calls.generate(decoding, messages=(Message("user", prompt),), about=about)
        except CallError:
            return "", ()
        return self.shown(idea).strip(), (idea.piece,)
