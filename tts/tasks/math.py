"""Problems whose answer is a number or a formula."""

from __future__ import annotations

from functools import partial
from typing import Annotated, ClassVar

from pydantic import Field

from tts.components.slot import Slot
from tts.protocols import Verifier
from tts.tasks.prompt import Prompt, default_verifier
from tts.types import Kind


class MathTask(Prompt):
    """Problems whose answer is a number or a formula."""

    kind: ClassVar[Kind] = "math"

    template: str = "{problem}\n\nReason step by step. Then give the final answer, and nothing else, inside \\boxed{}."
    """The user's message. `{problem}` stands for the problem's text; other braces mean themselves."""

    verifier: Annotated[Verifier, Slot("verifiers")] = Field(default_factory=partial(default_verifier, "math"))
    """What finds the answer in a text and compares it with the reference."""
