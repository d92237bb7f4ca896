"""Tasks: the words around a problem, and the verifier that knows its answers."""

from __future__ import annotations

import re
from functools import partial
from string import ascii_uppercase
from typing import Annotated, ClassVar, cast, get_args

from pydantic import Field, field_validator

from tts.components import registry
from tts.components.component import Component
from tts.components.slot import Slot
from tts.protocols import Task, Verifier
from tts.types import Kind, Message, Problem


def _verifier(name: str) -> Verifier:
    return cast("Verifier", registry.load("verifiers", name)())


def every_task(own: Task) -> dict[str, Task]:
    """Return the task for each kind of problem: `own` for its kind, the built-in ones for the others."""
    defaults = {kind: cast("Task", registry.load("tasks", kind)()) for kind in get_args(Kind)}
    return {**defaults, own.kind: own}


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


class MathTask(Prompt):
    """Problems whose answer is a number or a formula."""

    kind: ClassVar[Kind] = "math"

    template: str = "{problem}\n\nReason step by step. Then give the final answer, and nothing else, inside \\boxed{}."
    """The user's message. `{problem}` stands for the problem's text; other braces mean themselves."""

    verifier: Annotated[Verifier, Slot("verifiers")] = Field(default_factory=partial(_verifier, "math"))
    """What finds the answer in a text and compares it with the reference."""


class ChoiceTask(Prompt):
    """Multiple-choice problems."""

    kind: ClassVar[Kind] = "choice"
    placeholders: ClassVar[tuple[str, ...]] = ("{problem}", "{choices}")

    template: str = (
        "{problem}\n\n{choices}\n\nReason step by step. Then give the letter of the right option inside \\boxed{}."
    )
    """The user's message. `{problem}` stands for the problem's text and `{choices}` for the options, one `A) …` a line;
    other braces mean themselves."""

    verifier: Annotated[Verifier, Slot("verifiers")] = Field(default_factory=partial(_verifier, "choice"))
    """What finds the letter in a text and compares it with the reference."""

    def _values(self, problem: Problem) -> dict[str, str]:
        lines = (f"{letter}) {choice}" for letter, choice in zip(ascii_uppercase, problem.choices, strict=False))
        return {**super()._values(problem), "{choices}": "\n".join(lines)}


class TextTask(Prompt):
    """Problems whose answer is a text."""

    kind: ClassVar[Kind] = "text"

    verifier: Annotated[Verifier, Slot("verifiers")] = Field(default_factory=partial(_verifier, "text"))
    """What finds the answer in a text and compares it with the reference."""


class CodeTask(Prompt):
    """Problems whose answer is a Python program, as a chat model is asked."""

    kind: ClassVar[Kind] = "code"
    placeholders: ClassVar[tuple[str, ...]] = ("{problem}", "{requirements}")

    template: str = "{problem}\n\n{requirements}\n\nGive the whole program, with its imports, in one ```python block."
    """The user's message. `{problem}` stands for the problem's text (in a block, where it is code) and `{requirements}`
    for what the program must look like: the code it begins with, the function's name, or where it reads and writes;
    other braces mean themselves."""

    verifier: Annotated[Verifier, Slot("verifiers")] = Field(default_factory=partial(_verifier, "code"))
    """What finds the program in a text, runs it and judges what it does."""

    def _values(self, problem: Problem) -> dict[str, str]:
        is_code = problem.prompt == problem.starter_code
        text = f"Complete this function.\n\n{_block(problem.prompt)}" if is_code else problem.prompt
        return {"{problem}": text, "{requirements}": "" if is_code else _requirements(problem)}


class CodeCompletionTask(Prompt):
    """Problems whose answer is a Python program, as a model that only continues text is asked.

    A prompt that is code is sent as it is, for the model to go on with; any other becomes the docstring at the top of
    a file, with the starter code below. Such a model seldom stops by itself: give its sampler `stop` strings.
    """

    kind: ClassVar[Kind] = "code"

    verifier: Annotated[Verifier, Slot("verifiers")] = Field(default_factory=partial(_verifier, "code"))
    """What finds the program in a text, runs it and judges what it does."""

    def _values(self, problem: Problem) -> dict[str, str]:
        if problem.prompt == problem.starter_code:
            return {"{problem}": problem.prompt.rstrip()}
        text = problem.prompt.strip().replace('"""', "'''")
        return {"{problem}": f'"""\n{text}\n"""\n{problem.starter_code.rstrip()}'}


def _requirements(problem: Problem) -> str:
    """Return what a program must look like, as far as the problem's own text does not say it; "" for nothing."""
    if problem.starter_code:
        return f"Begin with this code:\n\n{_block(problem.starter_code)}"
    if problem.entry_point:
        named = re.search(rf"\b{re.escape(problem.entry_point)}\b", problem.prompt)
        return "" if named else f"The function must be called `{problem.entry_point}`."
    return "Read the input from standard input and print the answer to standard output."


def _block(code: str) -> str:
    return f"```python\n{code.strip()}\n```"
