"""What the commands over stored candidates and benchmarks share: their options, and how these are read."""

from __future__ import annotations

import re
import threading
from typing import Annotated

import typer

from tts.errors import UsageError, shown

Embeddings = Annotated[
    str | None,
    typer.Option(
        "--embeddings",
        metavar="MODEL|ngrams|none",
        help="What compares the texts: a sentence-embedding model, word n-grams, nothing. "
        "(default: the packaged model where installed, else ngrams)",
    ),
]
PerplexityModel = Annotated[
    str | None, typer.Option("--perplexity", metavar="MODEL", help="A causal language model that scores the texts.")
]
StoredProblems = Annotated[
    str | None,
    typer.Option(
        "--problems",
        metavar="FILE",
        help="The problems that go with a JSONL file of candidates; for a run folder: corrected references. A file's "
        "rows bring problem_id, and text (or answer); if known: index, finish_reason, num_tokens, mean_logprob, …; "
        "scores (score, reward, or scores: {NAME: …}) for the scorer `given`; a verdict (correct: true, or "
        "verdict: passed).",
    ),
]
NoCandidates = Annotated[
    bool, typer.Option("--no-candidates", help="Leave the candidates' texts out of the report (for huge runs).")
]


TimeLimit = Annotated[
    str | None,
    typer.Option(
        "--time-limit", metavar="DURATION", help="Stop in good order after this long, as in 45s, 10m or 1h30m."
    ),
]


def read_seconds(duration: str | None) -> float | None:
    """Return the seconds of `45s`, `10m`, `1h30m` or `90` (seconds); None for None. Raises UsageError."""
    if duration is None:
        return None
    parts = re.fullmatch(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?", duration.strip(), re.ASCII)
    seconds = (
        sum(float(part or 0) * unit for part, unit in zip(parts.groups(), (86400, 3600, 60, 1), strict=True))
        if parts
        else 0
    )
    if not 0 < seconds <= threading.TIMEOUT_MAX:
        raise UsageError(f"`--time-limit` must be a time above 0 such as 45s, 10m or 1h30m, got {shown(duration)}")
    return seconds


def read_ks(text: str | None) -> tuple[int, ...]:
    """Return the numbers of `1,8,64` in order, each once; () where nothing is given. Raises UsageError."""
    if text is None:
        return ()
    numbers = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and len(part) < 10 and int(part) > 0 for part in numbers):
        raise UsageError(f"`--k` must be whole numbers from 1 on with commas between, as in 1,8,64, got {shown(text)}")
    return tuple(sorted({int(part) for part in numbers}))
