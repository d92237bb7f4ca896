"""What a reward model gets to read of an answer that begins with thinking."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tts.components.component import Component
from tts.engines.local_model import Tag


class ReadsThinking(Component):
    """Says whether thinking sections are read, too."""

    thinking: Literal["keep", "strip"] = "keep"
    """Whether the text inside thinking tags is read, or left out together with the tags. Its steps stay: they are empty
    then, and their value is that of what stands before them."""

    thinking_tags: Annotated[tuple[Tag, Tag], Field(strict=False)] = ("<think>", "</think>")
    """What opens and closes a thinking section."""

    def read(self, steps: tuple[str, ...]) -> tuple[str, ...]:
        """Return what is read of each step. A section may run over several; without its end it runs to the last.

        A closing tag before any opening one closes a section that began with the answer.
        """
        if self.thinking == "keep":
            return steps
        text, ends, end = "".join(steps), list[int](), 0
        for step in steps:
            end += len(step)
            ends.append(end)
        opening, closing = self.thinking_tags
        first = text.find(closing)
        inside, at = first >= 0 and opening not in text[:first], 0
        kept: list[tuple[int, int]] = []  # what is no thinking, from where to where
        while at < len(text):
            tag = closing if inside else opening
            found = text.find(tag, at)
            until = len(text) if found < 0 else found
            if not inside:
                kept.append((at, until))
            at, inside = (len(text), inside) if found < 0 else (found + len(tag), not inside)
        return tuple(
            "".join(text[max(begin, start) : max(begin, start, min(finish, end))] for start, finish in kept)
            for begin, end in zip([0, *ends], ends, strict=False)
        )
