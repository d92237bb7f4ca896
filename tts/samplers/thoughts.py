"""What thoughts are worth and which are kept: the rules of Tree of Thoughts (Yao et al. 2023, arXiv 2305.10601)."""

from __future__ import annotations

from collections.abc import Sequence

from tts.errors import CallError
from tts.protocols import Pending
from tts.types import Completion

VALUES = {"impossible": 0.001, "likely": 1.0, "sure": 20.0}
"""What the last word of an evaluation counts; all evaluations of a thought are summed."""


async def said(pending: Pending[Completion]) -> str:
    """Return what a call wrote; nothing where it failed."""
    try:
        return (await pending).text
    except CallError:
        return ""


def worth(evaluation: str) -> float:
    """Return what the last word says; 0 where it is none of the three."""
    words = evaluation.split()
    return VALUES.get(words[-1].strip(".,:;!*`'\"").lower(), 0.0) if words else 0.0


def best(thoughts: Sequence[str], values: Sequence[float], number: int) -> list[str]:
    """Return the `number` thoughts of the highest values, the earlier first; what is repeated counts 0."""
    first = {thought: place for place, thought in reversed(list(enumerate(thoughts)))}
    order = sorted(range(len(thoughts)), key=lambda place: -values[place] if first[thoughts[place]] == place else 0.0)
    return [thoughts[place] for place in order[:number]]
