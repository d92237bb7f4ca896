"""What a run has been charged for, by engine: a sum over the lines of its folder, so that it can be computed anew.

A candidate that was drawn anew (`superseded.jsonl`) has been paid for, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tts.runs.files import StoredFile
from tts.types import Spent

POLICY = "engine"
"""What draws the candidates, by its place in the recipe."""


class Charged(Protocol):
    """What a line says of its cost; a `Candidate` does."""

    @property
    def num_prompt_tokens(self) -> int:
        """Tokens read."""

    @property
    def num_tokens(self) -> int:
        """Tokens written."""


@dataclass(frozen=True, slots=True)
class Superseded:
    """What a line of superseded.jsonl is read for."""

    problem_id: str
    num_prompt_tokens: int
    num_tokens: int


def superseded(path: Path) -> dict[str, list[Superseded]]:
    """Return the candidates of the run folder `path` that were drawn anew, by problem."""
    file = StoredFile(path / "superseded.jsonl")
    found: dict[str, list[Superseded]] = {}
    for _, line in file.records(Superseded):
        found.setdefault(line.problem_id, []).append(line)
    file.close()
    return found


def ledger(lines: Iterable[Charged]) -> dict[str, Spent]:
    """Return what the completions on these lines took."""
    lines = list(lines)
    read, written = sum(line.num_prompt_tokens for line in lines), sum(line.num_tokens for line in lines)
    return {POLICY: Spent(len(lines), read, written)}


def added(ledgers: Iterable[Mapping[str, Spent]]) -> dict[str, Spent]:
    """Return the sum of several ledgers, engine by engine."""
    total: dict[str, Spent] = {}
    for one in ledgers:
        for engine, spent in one.items():
            so_far = total.get(engine, Spent(0, 0, 0))
            total[engine] = Spent(
                so_far.num_calls + spent.num_calls,
                so_far.prompt_tokens + spent.prompt_tokens,
                so_far.written_tokens + spent.written_tokens,
            )
    return total
