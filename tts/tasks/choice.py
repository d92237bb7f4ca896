"""Multiple-choice problems."""

from __future__ import annotations

from string import ascii_uppercase
from typing import ClassVar

from tts.tasks.prompt import AnyVerifier, Prompt, built_in_verifier
from tts.types import Kind, Problem


class ChoiceTask(Prompt):
    """Multiple-choice problems."""

    kind: ClassVar[Kind] = "choice"
    placeholders: ClassVar[tuple[str, ...]] = ("{problem}", "{choices}")

    template: str = (
        "{problem}\n\n{choices}\n\nReason step by step. Then give the letter of the right option inside \\boxed{}."
    )
    """The user's message. `{problem}` stands for the problem's text and `{choices}` for the options, one `A) …` a line;
    other braces mean themselves."""

    verifier: AnyVerifier = built_in_verifier("choice")
    """What finds the letter in a text and compares it with the reference."""

    def _values(self, problem: Problem) -> dict[str, str]:
        lines = (f"{letter}) {choice}" for letter, choice in zip(ascii_uppercase, problem.choices, strict=False))
        return {**super()._values(problem), "{choices}": "\n".join(lines)}
