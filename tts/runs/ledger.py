"""What a run has been charged for, by engine: a sum over the lines of its folder, so that it can be computed anew.

A candidate that was drawn anew (`superseded.jsonl`) has been paid for, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tts.runs.files import StoredFile
from tts.types import Request, RewardRequest, Spent

POLICY = "engine"
"""What draws the candidates, by its place in the recipe."""


WASTED_READ, WASTED = "wasted_prompt_tokens", "wasted_tokens"
"""Figures of a completion: what attempts that broke off may have read and written, at most."""
TEMPLATE_TOKENS = 128
"""The most tokens that a message may gain by a chat template, by our reckoning."""


def wasted(engine_stats: Mapping[str, float]) -> tuple[int, int]:
    """Return the tokens that attempts which broke off may have read and written, at most."""
    return int(engine_stats.get(WASTED_READ, 0)), int(engine_stats.get(WASTED, 0))


def most_read(call: Request | RewardRequest) -> int:
    """Return the most tokens that a call's prompt may be: no token is shorter than a byte."""
    texts = [message.content for message in call.messages]
    texts += call.steps if isinstance(call, RewardRequest) else [piece.text for piece in call.prefix]
    return sum(len(text.encode("utf-8", "surrogatepass")) + TEMPLATE_TOKENS for text in texts)


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


@dataclass(frozen=True, slots=True)
class _Charge:
    """What a line with a cost is read for."""

    num_prompt_tokens: int = 0
    num_tokens: int | None = 0
    num_cached_tokens: int = 0
    engine_stats: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _ChargedCall:
    """The same, as the lines of call logs hold it."""

    engine: str = POLICY
    completion: _Charge | None = None
    rewards: _Charge | None = None


def charges(path: Path, most_tokens: int, *, by_calls: bool) -> Iterator[tuple[str, int, int, int]]:
    """Yield (engine, tokens read, written, read from a cache) of all that the run at `path` was charged for, for a cap.

    A line that does not know its tokens counts for `most_tokens`, and attempts that broke off for all that they may
    have taken. `by_calls`: what was charged stands in calls.jsonl, and candidates are made of that.
    """
    drawn: tuple[str, ...] = () if by_calls else ("candidates.jsonl", "superseded.jsonl")
    lines: list[tuple[str, type[_Charge] | type[_ChargedCall]]] = [(name, _Charge) for name in drawn]
    lines += [(name, _ChargedCall) for name in ("calls.jsonl", "scorer_calls.jsonl")]
    for name, kind in lines:
        file = StoredFile(path / name)
        for _, line in file.records(kind):
            charge = line if isinstance(line, _Charge) else line.completion or line.rewards
            if charge is None:
                continue
            read, written = wasted(charge.engine_stats)
            written += most_tokens if charge.num_tokens is None else charge.num_tokens
            place = POLICY if isinstance(line, _Charge) else line.engine
            yield place, read + charge.num_prompt_tokens, written, charge.num_cached_tokens
        file.close()


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
