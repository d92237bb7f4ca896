"""What scorers share that ask models."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from tts.components.component import Component
from tts.types import Candidate


class Asks(Component):
    """A scorer that asks models (see `tts.protocols.AskingScorer`)."""

    requires: ClassVar[frozenset[str]] = frozenset()
    pointwise: ClassVar[bool] = True
    raw: ClassVar[bool] = False

    call_seconds: float = Field(default=600.0, gt=0)
    """How many seconds a model may take over one question. Then it counts as silent."""


def whole(candidate: Candidate) -> str:
    """Return all that a candidate wrote, its thinking between tags."""
    if candidate.reasoning is None:
        return candidate.text
    return f"<think>\n{candidate.reasoning}\n</think>\n\n{candidate.text}"
