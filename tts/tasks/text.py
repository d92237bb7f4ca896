"""Problems whose answer is a text."""

from __future__ import annotations

from typing import ClassVar

from tts.tasks.prompt import AnyVerifier, Prompt, built_in_verifier
from tts.types import Kind


class TextTask(Prompt):
    """Problems whose answer is a text."""

    kind: ClassVar[Kind] = "text"

    verifier: AnyVerifier = built_in_verifier("text")
    """What finds the answer in a text and compares it with the reference."""
