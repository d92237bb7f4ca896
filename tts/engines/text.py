"""From token ids to the text that an engine hands out."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Detokenizer:
    """Turns token ids into text. Special tokens are left out, except those that are thinking tags."""

    tokenizer: Any
    hidden_ids: frozenset[int]

    @classmethod
    def of(cls, tokenizer: Any, thinking_tags: tuple[str, str]) -> Detokenizer:
        """Build for `tokenizer` (of transformers)."""
        special = {id_ for id_, token in tokenizer.added_tokens_decoder.items() if token.special}
        hidden = special | set(tokenizer.all_special_ids)
        return cls(tokenizer, frozenset(hidden) - set(tokenizer.convert_tokens_to_ids(list(thinking_tags))))

    def text(self, token_ids: Sequence[int]) -> str:
        """Return the text of `token_ids`."""
        visible = [id_ for id_ in token_ids if id_ not in self.hidden_ids]
        return str(self.tokenizer.decode(visible, skip_special_tokens=False, clean_up_tokenization_spaces=False))


def up_to_stop(text: str, stops: Sequence[str]) -> tuple[str, str | None]:
    """Return `text` to the end of the first stop string in it, and that string; all of it and None without one.

    Of two that begin at the same place it is the shorter.
    """
    found = min(((at, len(stop), stop) for stop in stops if (at := text.find(stop)) >= 0), default=None)
    return (text, None) if found is None else (text[: found[0] + found[1]], found[2])


def ids_of_text(
    detokenizer: Detokenizer, token_ids: Sequence[int], text: str, stop: str | None
) -> tuple[array[int] | None, int | None]:
    """Return the ids of `text`, and how many of them stand before its stop string.

    The first is None where a token runs past the stop string, the second where none begins with it. A stop string takes
    at most as many tokens as it has bytes.
    """
    if stop is None:
        return array("I", token_ids), None
    if detokenizer.text(token_ids) != text:
        return None, None
    before = text.removesuffix(stop)
    least = max(0, len(token_ids) - len(stop.encode()))
    at_edge = (
        number for number in range(len(token_ids) - 1, least - 1, -1) if detokenizer.text(token_ids[:number]) == before
    )
    return array("I", token_ids), next(at_edge, None)


def opens_thinking(prompt: str, opening: str) -> bool:
    """Say whether `prompt` ends with the opening tag, white space aside."""
    return prompt.rstrip().endswith(opening)
