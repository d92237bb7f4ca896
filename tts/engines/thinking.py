"""Splits what a model wrote into its thinking and its answer."""

from __future__ import annotations


def split_thinking(text: str, tags: tuple[str, str], *, opened: bool) -> tuple[str | None, str]:
    """Return (reasoning, answer); reasoning is None where there is no thinking section.

    `opened` says that the prompt already ended with the opening tag, so that `text` starts inside the section. A
    section that is never closed runs to the end: the answer is then empty. A first closing tag without an opening one
    closes a section that began with the text; later ones are part of the answer. Several sections are joined by a
    blank line. Without any section the text is returned as it is; else white space around the parts is stripped.
    """
    opening, closing = tags
    first_close = text.find(closing)
    inside = opened or (first_close >= 0 and opening not in text[:first_close])
    thoughts: list[str] = []
    answer: list[str] = []
    while True:
        part, tag, text = text.partition(closing if inside else opening)
        (thoughts if inside else answer).append(part)
        if not tag:
            break
        inside = not inside
    if not thoughts and not inside:
        return None, answer[0]
    return "\n\n".join(part.strip() for part in thoughts), "".join(answer).strip()


def opens_thinking(prompt: str, opening: str) -> bool:
    """Say whether `prompt` ends with the opening tag, white space aside."""
    return prompt.rstrip().endswith(opening)
