"""Tree of Thoughts as a prompt: the model is told to branch and prune by itself, in one answer."""

from __future__ import annotations

from typing import Annotated, cast

from pydantic import Field

from tts.components import registry
from tts.components.component import Component
from tts.components.slot import Slot
from tts.protocols import Task, Verifier
from tts.types import Kind, Message, Problem


class TreeOfThoughtsPrompt(Component):
    """Any task with a system message that asks for a search through thoughts within one answer.

    This is what the ESamp paper (arXiv 2604.24927) compares with under the name of Tree of Thoughts: no search, and no
    other call than a plain sampler's. Differs from it in the words, which are ours. The search itself (Yao et al.
    2023) is the sampler `tree_of_thoughts`.
    """

    task: Annotated[Task, Slot("tasks")] = Field(
        default_factory=lambda: cast("Task", registry.load("tasks", "math")()),
    )
    """What is asked, and how its answers are read; a system message of its own stays, before this one."""

    system: str = Field(
        default=(
            "Solve the problem by a tree of thoughts. Write down several different ways to begin. Go on with each for "
            "a step or two, and say after each step how promising it is. Give up the branches that cannot lead to the "
            "answer, go on with the best, and go back to another one where it fails. When one branch has reached the "
            "answer, check it, and end with the answer in the form that is asked for."
        ),
        min_length=1,
    )
    """The system message."""

    @property
    def kind(self) -> Kind:
        """The kind of problem that the task within is for."""
        return self.task.kind

    @property
    def verifier(self) -> Verifier:
        """The verifier of the task within."""
        return self.task.verifier

    def messages(self, problem: Problem) -> tuple[Message, ...]:
        """Return the conversation to send. A problem that brings its own is sent untouched."""
        messages = self.task.messages(problem)
        if problem.messages:
            return messages
        own = "".join(f"{message.content}\n\n" for message in messages if message.role == "system")
        return (Message("system", own + self.system), *(message for message in messages if message.role != "system"))
