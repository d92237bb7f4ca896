"""How likely a model is to say a text that is one token: by itself, or with a space before it.

Many a model puts « A» where another puts «A»; who asks for the one means both. A tokenizer that has no single token for
the spaced text has nothing to add, and a text that begins with white space is meant as it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from tts.runs.records import finite

AskedIds = tuple[int, ...]
"""The tokens that say one text."""


def may_be_spaced(text: str) -> bool:
    """Tell whether the text with a space before it says the same."""
    return not text[:1].isspace()


def asked_ids_of(token_id: int, spaced_ids: Sequence[int]) -> AskedIds:
    """Return the tokens of a text, given its own and those of the text with a space before it."""
    if len(spaced_ids) == 1 and spaced_ids[0] != token_id:
        return (token_id, int(spaced_ids[0]))
    return (token_id,)


def together(logprobs: Iterable[float | None]) -> float | None:
    """Return the log-probability of any of several tokens; those that nobody told count for nothing.

    None where nothing was told, or nothing finite.
    """
    known = [one for one in map(finite, logprobs) if one is not None]
    if len(known) < 2:
        return known[0] if known else None
    largest = max(known)
    return largest + math.log(math.fsum(math.exp(one - largest) for one in known))
