"""What all tasks share: the words around a problem."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import Field, field_validator

from tts.components import registry
from tts.components.component import Component
from tts.components.slot import Slot
from tts.protocols import Verifier
from tts.tasks.examples import Example, Examples
from tts.types import Kind, Message, Problem

AnyVerifier = Annotated[Verifier, Slot("verifiers")]


def built_in_verifier(name: str) -> Any:
    """Return the default of a field: a built-in verifier with its defaults."""

    def made() -> Verifier:
        return cast("Verifier", registry.load("verifiers", name)())

    return Field(default_factory=made)


STRANGE = re.compile(r"(?<![\\\w}\]^])\{[A-Za-z_]\w*\}")
"""A word in braces that is not part of a formula, as in `\\boxed{x}` and `x^{n}`."""


class Prompt(Component):
    """What all tasks share: a system message, a template around the problem, worked examples before it."""

    kind: ClassVar[Kind]
    placeholders: ClassVar[tuple[str, ...]] = ("{problem}",)

    system: str | None = None
    """The system message; left out: none, or what the model's own chat template says."""

    template: str = "{problem}"
    """The user's message. `{problem}` stands for the problem's text. Braces of formulas mean themselves; any other
    word in braces is a mistake."""

    examples: Examples = ()
    """Worked problems to show before the problem (few-shot), each in the same template: a list of `problem` and
    `solution` (with `choices`, or `starter_code` and `entry_point`, where the task has these), or the path of a JSON
    lines file of them, which is read into the recipe. The problem itself is never shown as an example."""

    examples_as: Literal["turns", "text"] = "turns"
    """How examples are shown. turns: as a conversation in which the model has solved them; text: all in the user's
    message, one after the other."""

    @field_validator("template")
    @classmethod
    def _has_placeholders(cls, template: str) -> str:
        for placeholder in cls.placeholders:
            if template.count(placeholder) != 1:
                raise ValueError(
                    f"must contain `{placeholder}` exactly once, got it {template.count(placeholder)} times"
                )
        for name in STRANGE.findall(template):
            if name not in cls.placeholders:
                raise ValueError(
                    f"must hold no other placeholder than {', '.join(f'`{one}`' for one in cls.placeholders)}, got "
                    f"`{name}`, which nothing fills; to mean the text itself write a space after the brace"
                )
        return template

    def messages(self, problem: Problem) -> tuple[Message, ...]:
        """Return the conversation to send. A problem that brings its own is sent untouched."""
        if problem.messages:
            return problem.messages
        system = () if self.system is None else (Message("system", self.system),)
        asked = self._filled(self._values(problem))
        worked = [
            (self._filled(self._values(shown)), solution)
            for shown, solution in map(self._worked, self.examples)
            if shown.prompt.split() != problem.prompt.split()  # its solution would give the answer away
        ]
        if self.examples_as == "text":
            return (*system, Message("user", "\n\n".join([*(part for pair in worked for part in pair), asked])))
        turns = [(Message("user", question), Message("assistant", solution)) for question, solution in worked]
        return (*system, *(message for turn in turns for message in turn), Message("user", asked))

    def _worked(self, example: Example) -> tuple[Problem, str]:
        """Return an example as the problem that it is, and its solution."""
        return Problem(
            id="",
            prompt=example.problem,
            kind=self.kind,
            choices=example.choices,
            entry_point=example.entry_point,
            starter_code=example.starter_code,
        ), example.solution

    def _values(self, problem: Problem) -> dict[str, str]:
        """Return what each placeholder stands for."""
        return {"{problem}": problem.prompt}

    def _filled(self, values: dict[str, str]) -> str:
        """Fill the template in one pass, so that placeholders in the problem's own text stay as they are.

        What is empty takes the line ends after it along.
        """
        pattern = f"({'|'.join(map(re.escape, values))})(\n*)"
        return re.sub(pattern, lambda found: values[found[1]] and values[found[1]] + found[2], self.template)


def filled(prompt: str, **words: str) -> str:
    """Return the prompt with its words filled in, once: braces inside them mean nothing."""
    return re.sub(r"\{(\w+)\}", lambda found: words.get(found[1], found[0]), prompt)
