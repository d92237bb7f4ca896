"""What a run has been charged for, by engine: a sum over the lines of its folder, so that it can be computed anew.

A candidate that was drawn anew (`superseded.jsonl`) has been paid for, too. What a model's size makes of the tokens is
not on the lines: run.json notes the sizes, and `priced` fills the FLOPs in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
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
    """Return the most tokens that a call may read: no token is shorter than a byte.

    A reward model may read all up to a step for each step anew.
    """
    texts = [message.content for message in call.messages]
    texts += call.steps if isinstance(call, RewardRequest) else [piece.text for piece in call.prefix]
    once = sum(len(text.encode("utf-8", "surrogatepass")) + TEMPLATE_TOKENS for text in texts)
    return once * len(call.steps) if isinstance(call, RewardRequest) else once


class Charged(Protocol):
    """What a line says of its cost; a `Candidate` does."""

    @property
    def num_prompt_tokens(self) -> int:
        """Tokens read."""

    @property
    def num_tokens(self) -> int | None:
        """Tokens written; None: nobody knows."""


class ChargedCall(Charged, Protocol):
    """What is known of a call's cost besides; a `Completion` and `Rewards` do."""

    @property
    def num_cached_tokens(self) -> int:
        """Of those read, how many a cache had."""


@dataclass(frozen=True, slots=True)
class Superseded:
    """What a line of superseded.jsonl is read for."""

    problem_id: str
    num_prompt_tokens: int
    num_tokens: int | None


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
    read, written = sum(line.num_prompt_tokens for line in lines), sum(line.num_tokens or 0 for line in lines)
    uncounted = sum(line.num_tokens is None for line in lines)
    return {POLICY: Spent(len(lines), read, written, num_uncounted=uncounted)}


def charge_of(call: ChargedCall, *, told: bool) -> Spent:
    """Return what one call took; `told` False: it had been given up."""
    written = call.num_tokens or 0
    untold = 0 if told else call.num_prompt_tokens - call.num_cached_tokens + written
    uncounted = int(call.num_tokens is None)
    return Spent(1, call.num_prompt_tokens, written, call.num_cached_tokens, untold, num_uncounted=uncounted)


def charge(account: dict[str, Spent], engine: str, spent: Spent) -> None:
    """Add to an account what an engine took."""
    so_far = account.get(engine)
    account[engine] = spent if so_far is None else _sum(so_far, spent)


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


def charges(path: Path, most_tokens: int, names: Iterable[str]) -> Iterator[tuple[str, int, int, int]]:
    """Yield (engine, tokens read, written, read from a cache) of all that files of the run at `path` are charged for.

    A line that does not know its tokens counts for `most_tokens`, and attempts that broke off for all that they may
    have taken.
    """
    for name in names:
        by_calls = name.endswith("calls.jsonl")
        kind: type[_Charge] | type[_ChargedCall] = _ChargedCall if by_calls else _Charge
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
            charge(total, engine, spent)
    return total


def priced(account: Mapping[str, Spent], num_parameters: Mapping[str, int]) -> dict[str, Spent]:
    """Return the ledger with the FLOPs of the engines whose parameters are known."""
    return {
        engine: replace(spent, flops=_flops(spent, num_parameters.get(engine))) for engine, spent in account.items()
    }


def _flops(spent: Spent, num_parameters: int | None) -> float | None:
    if num_parameters is None:
        return None
    return 2.0 * num_parameters * (spent.prompt_tokens - spent.cached_tokens + spent.written_tokens)


def _sum(one: Spent, other: Spent) -> Spent:
    return Spent(
        one.num_calls + other.num_calls,
        one.prompt_tokens + other.prompt_tokens,
        one.written_tokens + other.written_tokens,
        one.cached_tokens + other.cached_tokens,
        one.untold_tokens + other.untold_tokens,
        None if one.flops is None or other.flops is None else one.flops + other.flops,
        one.num_uncounted + other.num_uncounted,
    )
