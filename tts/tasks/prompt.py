"""What all tasks share: the words around a problem."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, cast

from pydantic import Field, field_validator

from tts.components import registry
from tts.components.component import Component
from tts.components.slot import Slot
from tts.protocols import Verifier
from tts.types import Message, Problem

AnyVerifier = Annotated[Verifier, Slot("verifiers")]


def built_in_verifier(name: str) -> Any:
    """Return the default of a field: a built-in verifier with its defaults."""

    def made() -> Verifier:
        return cast("Verifier", registry.load("verifiers", name)())

    return Field(default_factory=made)


class Prompt(Component):
    """What all tasks share: a system message, a template around the problem."""

    placeholders: ClassVar[tuple[str, ...]] = ("{problem}",)

    system: str | None = None
    """The system message; left out: none, or what the model's own chat template says."""

    template: str = "{problem}"
    """The user's message. `{problem}` stands for the problem's text; other braces mean themselves."""

    @field_validator("template")
    @classmethod
    def _has_placeholders(cls, template: str) -> str:
        for placeholder in cls.placeholders:
            if template.count(placeholder) != 1:
                raise ValueError(
                    f"must contain `{placeholder}` exactly once, got it {template.count(placeholder)} times"
                )
        return template

    def messages(self, problem: Problem) -> tuple[Message, ...]:
        """Return the conversation to send. A problem that brings its own is sent untouched."""
        if problem.messages:
            return problem.messages
        system = () if self.system is None else (Message("system", self.system),)
        return (*system, Message("user", self._filled(self._values(problem))))

    def _values(self, problem: Problem) -> dict[str, str]:
        """Return what each placeholder stands for."""
        return {"{problem}": problem.prompt}

    def _filled(self, values: dict[str, str]) -> str:
        """Fill the template in one pass, so that placeholders in the problem's own text stay as they are.

        What is empty takes the line ends after it along.
        """
        pattern = f"({'|'.join(map(re.escape, values))})(\n*)"
        return re.sub(pattern, lambda found: values[found[1]] and values[found[1]] + found[2], self.template)
