"""Problems whose answer is a number or a formula."""

from __future__ import annotations

from typing import ClassVar

from tts.tasks.prompt import AnyVerifier, Prompt, built_in_verifier
from tts.types import Kind


class MathTask(Prompt):
    """Problems whose answer is a number or a formula."""

    kind: ClassVar[Kind] = "math"

    template: str = "{problem}\n\nReason step by step. Then give the final answer, and nothing else, inside \\boxed{}."
    """The user's message. `{problem}` stands for the problem's text; braces of formulas mean themselves."""

    verifier: AnyVerifier = built_in_verifier("math")
    """What finds the answer in a text and compares it with the reference."""
