"""Problems whose answer is a text."""

from __future__ import annotations

from functools import partial
from typing import Annotated, ClassVar

from pydantic import Field

from tts.components.slot import Slot
from tts.protocols import Verifier
from tts.tasks.prompt import Prompt, default_verifier
from tts.types import Kind


class TextTask(Prompt):
    """Problems whose answer is a text."""

    kind: ClassVar[Kind] = "text"

    verifier: Annotated[Verifier, Slot("verifiers")] = Field(default_factory=partial(default_verifier, "text"))
    """What finds the answer in a text and compares it with the reference."""
