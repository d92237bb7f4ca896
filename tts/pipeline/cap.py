"""A cap on what a run may cost, in tokens and in money, that is never passed.

How it works. Before an engine is given a call, the most that it may cost is reserved: its `max_tokens`, and in money
the prompt, too. What the reply took then stands in the reservation's place. A call that does not fit beside what is
spent and reserved waits, because most replies take less than was reserved for them; where it does not fit and nothing
is in flight, the cap is reached and the run ends. So a cap decides when a run ends and nothing else: no call is changed
or left out.

An engine that sends a call anew after its server broke off pays for both. It asks first (`again`), and as much is
reserved once more. What broke off counts for all that it may have taken (`wasted` in `tts.runs.ledger`), because nobody
knows how much the server wrote.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tts.errors import CapReachedError, UsageError, plural
from tts.protocols import Priced, SearchingSampler
from tts.recipe import Recipe
from tts.runs.call_log import FILE as CALLS
from tts.runs.call_log import SCORER_FILE as SCORER_CALLS
from tts.runs.folder import read_job
from tts.runs.ledger import charges, most_read, wasted
from tts.types import Completion, Prices, Request, RewardRequest, Rewards, Spent

CANDIDATES = ("candidates.jsonl", "superseded.jsonl")
ALL = (*CANDIDATES, CALLS, SCORER_CALLS)
"""The files of a run folder that say what was paid for."""


@dataclass(slots=True)
class Amount:
    """Tokens written, and money."""

    tokens: int = 0
    cost: float = 0.0

    def add(self, other: Amount, sign: int = 1) -> None:
        """Add another, or with `sign` -1 take it off."""
        self.tokens += sign * other.tokens
        self.cost += sign * other.cost


class Cap:
    """Holds a run's calls below `tokens` written and below `cost`; None: no cap. `prices` are those of the engines.

    `spent` is what was spent before, and counts.

    Thread-safe: engines ask from threads of their own.
    """

    def __init__(
        self,
        tokens: int | None = None,
        cost: float | None = None,
        prices: Mapping[str, Prices] | None = None,
        spent: Amount | None = None,
    ) -> None:
        self.tokens, self.cost = tokens, cost
        self._is_set = tokens is not None or cost is not None
        self._prices = prices or {}
        self._spent, self._reserved = spent or Amount(), Amount()
        self._calls: dict[tuple[str, str, str], list[Amount]] = {}
        self._openings: dict[str, Amount] = {}
        self._unopened: set[str] = set()
        self._refused = Amount()
        self._lock = threading.Lock()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is reserved."""
        return not self._calls

    def open(self, place: str, spent: Spent) -> None:
        """Count what opening the engine at `place` takes at most; told again, what it took instead."""
        amount = self._amount(place, spent.prompt_tokens, spent.written_tokens)
        with self._lock:
            before = self._openings.get(place, Amount())
            self._spent.add(before, -1)
            self._spent.add(amount)
            self._openings[place] = amount
            self._unopened ^= {place}

    def check(self) -> None:
        """Raise CapReachedError where what is spent is too much already."""
        with self._lock:
            if self._set_aside(("", "", ""), Amount()):
                del self._calls["", "", ""]
                return
        raise self.reached()

    def reserve(self, place: str, call: Request | RewardRequest) -> bool:
        """Set aside the most that a call may cost; False: it does not fit now."""
        if not self._is_set:
            return True
        written = 0 if isinstance(call, RewardRequest) else call.decoding.max_tokens
        with self._lock:
            return self._set_aside((place, call.problem_id, call.key), self._amount(place, most_read(call), written))

    def again(self, place: str, problem_id: str, key: str) -> bool:
        """Set aside once more what a call on its way may cost; False: it does not fit."""
        if not self._is_set:
            return True
        with self._lock:
            name = (place, problem_id, key)
            return self._set_aside(name, self._calls[name][0])

    def settle(self, place: str, reply: Completion | Rewards) -> None:
        """Put what a reply took in the place of what was reserved for it."""
        if not self._is_set:
            return
        more_read, more_written = wasted(reply.engine_stats) if isinstance(reply, Completion) else (0, 0)
        with self._lock:
            reserved = self._calls.pop((place, reply.problem_id, reply.key))
            for amount in reserved:
                self._reserved.add(amount, -1)
            self._spent.add(self._amount(place, more_read, more_written))
            if reply.num_tokens is None:  # as much as it may have been
                self._spent.add(reserved[0])
            else:
                read, cached = reply.num_prompt_tokens, reply.num_cached_tokens
                self._spent.add(self._amount(place, read, reply.num_tokens, cached))

    def reached(self) -> CapReachedError:
        """Say which cap is reached, and what is missing."""
        told, what = [], "spent, or may be to open the engine," if self._unopened else "spent"
        if self.tokens is not None and self._refused.tokens + self._spent.tokens > self.tokens:
            least = self._spent.tokens + self._refused.tokens
            told.append(
                f"the token budget of {plural(self.tokens, 'token')} is reached: {plural(self._spent.tokens, 'token')} "
                f"are {what} and the next call may write {plural(self._refused.tokens, 'token')}, so "
                f"{plural(least - self.tokens, 'token')} are missing. Go on with --token-budget {least} or more"
            )
        if self.cost is not None and self._refused.cost + self._spent.cost > self.cost:
            least_cost = self._spent.cost + self._refused.cost
            told.append(
                f"the cost budget of {self.cost:g} is reached: {self._spent.cost:.6g} are {what} and the next call may "
                f"cost {self._refused.cost:.6g}, so {least_cost - self.cost:.6g} are missing. Go on with "
                f"--cost-budget {_rounded_up(least_cost)} or more"
            )
        return CapReachedError("; ".join(told))

    def _set_aside(self, name: tuple[str, str, str], amount: Amount) -> bool:
        tokens = self._spent.tokens + self._reserved.tokens + amount.tokens
        cost = self._spent.cost + self._reserved.cost + amount.cost
        if (self.tokens is not None and tokens > self.tokens) or (self.cost is not None and cost > self.cost):
            self._refused = amount
            return False
        self._reserved.add(amount)
        self._calls.setdefault(name, []).append(amount)
        return True

    def _amount(self, place: str, num_read: int, num_written: int, num_cached: int = 0) -> Amount:
        return _priced(self._prices.get(place), num_read, num_written, num_cached)


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent: `tokens` that all engines write together, `cost` by their prices; None: whatever it takes."""

    tokens: int | None = None
    cost: float | None = None

    def cap(self, recipe: Recipe, spent: Amount) -> Cap:
        """Return what holds a run to it, given what was `spent` before. Raises UsageError as `check` does."""
        self.check(recipe)
        return Cap(self.tokens, self.cost, self._prices(recipe), spent)

    def check(self, recipe: Recipe) -> None:
        """Raise UsageError where a cost is no price above 0, or the recipe's engines have none."""
        if self.cost is not None and not 0 < self.cost < math.inf:
            raise UsageError(f"`--cost-budget` must be above 0, got {self.cost}")
        self._prices(recipe)

    def spent(self, recipe: Recipe, path: Path, names: Iterable[str] = ALL, *, opening: bool = True) -> Amount:
        """Return what these files of a run folder are charged for, and what opening its engines took."""
        total = Amount()
        if self.tokens is None and self.cost is None:
            return total
        prices, taken = self._prices(recipe), set(names)
        if isinstance(recipe.sampler, SearchingSampler):  # its candidates are made of calls
            taken -= set(CANDIDATES)
        for place, *numbers in charges(path, recipe.sampler.max_tokens, sorted(taken)):
            total.add(_priced(prices.get(place), *numbers))
        job = read_job(path) if opening and path.is_dir() else None
        for place, one in (job.opening if job else {}).items():
            total.add(_priced(prices.get(place), one.prompt_tokens, one.written_tokens, 0))
        return total

    def _prices(self, recipe: Recipe) -> dict[str, Prices]:
        return {} if self.cost is None else prices_of(recipe)


def _priced(prices: Prices | None, num_read: int, num_written: int, num_cached: int) -> Amount:
    if prices is None:
        return Amount(num_written)
    fresh = num_read - num_cached
    cost = (fresh * prices.read + num_cached * prices.cached + num_written * prices.written) / 1e6
    return Amount(num_written, cost)


def prices_of(recipe: Recipe) -> dict[str, Prices]:
    """Return the prices of the recipe's engines, by place. Raises UsageError where one has none, or no engine any.

    An engine whose tokens cost nothing in money, because it runs here, is no `Priced` one.
    """
    found: dict[str, Prices] = {}
    for place, engine in recipe.engines().items():
        if isinstance(engine, Priced):
            if engine.prices is None:
                raise UsageError(
                    f"`--cost-budget` needs the prices of `{place}`: set {place}.price_read"
                    f"{'' if 'rewards' in engine.capabilities() else f' and {place}.price_written'}, "
                    "for a million tokens"
                )
            found[place] = engine.prices
    if not found:
        raise UsageError(
            "`--cost-budget` needs an engine with prices, such as openai; use --token-budget, or --time-limit"
        )
    return found


def _rounded_up(cost: float) -> str:
    """Return a number of few digits that is no smaller."""
    digits = 10 ** (5 - math.floor(math.log10(cost)))
    return f"{math.ceil(cost * digits) / digits:.6g}"
