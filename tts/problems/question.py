"""A question in words, given where a file's or a set's name may stand: told from a name that is not there."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from tts.errors import near

PATH = re.compile(
    r"""
      (~\w*|\.{1,2})?/                      # from a folder on
    | [\w.-]*[^\W\d][\w.-]*/\S*(?!.*[.?!:]\s*$)  # a folder first, and no sentence
    | \w+://                                # an address
    | .*\.(jsonl?|ndjson|csv|tsv|txt|md|ya?ml|parquet|arrow|pdf|xlsx?|gz|zst|xz|bz2|zip)\s*$   # a file's ending
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
CALCULATION = re.compile(r"\d\s*[-+*/^=<>×÷]\s*\(?\s*\d|[^\x00-\x7f]")


def is_question(text: str, names: Collection[str]) -> bool:
    """Tell whether `text` asks something, and names neither a file nor one of the sets called `names`.

    What is there as a file, has a file's ending or begins with a folder is a path, and what is near a set's name is
    that, misspelt. Of the rest, three words are a question, and so are fewer where they end in a question mark or hold
    a calculation. One word alone (`p?`, to a shell all of `pa`, `pb`) must hold one.
    """
    words = text.split()
    if not words or text == "-" or text.partition("?")[0] in names or PATH.match(text) or _is_there(text):
        return False
    if len(words) == 1:
        return bool(CALCULATION.search(text)) and not near(text.partition("?")[0], names)
    return len(words) > 2 or text.rstrip().endswith(("?", "？")) or bool(CALCULATION.search(text))


def _is_there(text: str) -> bool:
    try:
        return Path(text).expanduser().exists()
    except (OSError, ValueError, RuntimeError):  # too long for a name, or holding what no name may
        return False
