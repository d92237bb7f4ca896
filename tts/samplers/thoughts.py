"""What thoughts are worth and which are kept: the rules of Tree of Thoughts (Yao et al. 2023, arXiv 2305.10601)."""

from __future__ import annotations

from collections.abc import Sequence

from tts.errors import CallError
from tts.protocols import Pending
from tts.types import Completion, Piece, Written

VALUES = {"impossible": 0.001, "likely": 1.0, "sure": 20.0}
"""What the last word of an evaluation counts; all evaluations of a thought are summed."""


async def said(pending: Pending[Completion]) -> str:
    """Return what a call wrote; nothing where it failed."""
    try:
        return (await pending).text
    except CallError:
        return ""


async def longer(pending: Pending[Completion], thoughts: Written) -> list[Written]:
    """Return what a call proposes, at most 64 lines, each behind the thoughts; nothing where it failed.

    A thought is a line, and before it stands, without text, the call that it is from.
    """
    try:
        proposed = await pending
    except CallError:
        return []
    lines = proposed.text.splitlines()[:64]
    return [(*thoughts, Piece("", proposed.key), Piece(f"{line.strip()}\n")) for line in lines if line.strip()]


def text_of(thoughts: Written) -> str:
    """Return what is written."""
    return "".join(piece.text for piece in thoughts)


def worth(evaluation: str) -> float:
    """Return what the last word says; 0 where it is none of the three."""
    words = evaluation.split()
    return VALUES.get(words[-1].strip(".,:;!*`'\"").lower(), 0.0) if words else 0.0


def best(thoughts: Sequence[str], values: Sequence[float], number: int) -> list[str]:
    """Return the `number` thoughts of the highest values, the earlier first; what is repeated counts 0."""
    first = {thought: place for place, thought in reversed(list(enumerate(thoughts)))}
    order = sorted(range(len(thoughts)), key=lambda place: -values[place] if first[thoughts[place]] == place else 0.0)
    return [thoughts[place] for place in order[:number]]


def best_of(thoughts: Sequence[Written], values: Sequence[float], number: int) -> list[Written]:
    """Return the `number` of the highest values by their texts, as `best` does; of equal ones the first."""
    by_text = {text_of(one): one for one in reversed(thoughts)}
    return [by_text[text] for text in best(list(map(text_of, thoughts)), values, number)]
