"""What lives between `open` and `close` of a reward engine behind a URL: a task for each request (see `session`).

All texts of a request go in one, as token ids. The server is told to leave its own activation out, and because a server
that does not know that key would ignore it, the engine looks when it is opened: with the activation the same text must
give the sigmoid (of two classes the softmax) of what it gives without.
"""

from __future__ import annotations

import asyncio
import math
import queue
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tts.engines.openai.answer import BrokenAnswerError
from tts.engines.openai.client import Client, RefusedError, Server
from tts.engines.openai.keys import RewardServerKeys
from tts.engines.openai.loop import Loop
from tts.engines.openai.readings import Readings
from tts.engines.openai.tokens import Tokens
from tts.engines.reward.formats import Reading, UnreadableError
from tts.errors import EngineError
from tts.types import Message, RewardRequest, Rewards, Spent

POOLING = "/pooling"
Name = tuple[str, str]
TRIED = RewardRequest("", "", (Message("user", "What is 3 + 7?"),), ("Three and seven.\n\n", "So 10."))
NEAR = 0.02
"""How far an activation may be from what is computed here of the number without it, in half precision."""
STARTED_SO: Mapping[str, str] = {
    "outcome": '--runner pooling --convert classify --pooler-config \'{"seq_pooling_type": "LAST"}\'',
    "qwen_prm": '--runner pooling --pooler-config \'{"tok_pooling_type": "ALL"}\'',
}
BY_WORDS = (
    '--runner pooling --convert classify --pooler-config \'{"task": "token_classify", "tok_pooling_type": "ALL"}\' '
    "--hf-overrides "
    '\'{"classifier_from_token": ["-", "+"], "method": "from_2_way_softmax"}\''
)


@dataclass(slots=True)
class _Numbers:
    """What the route answers: of each text, a row of numbers for each place that was asked for."""

    readings: Sequence[Reading]
    is_outcome: bool
    rows: dict[int, list[list[float]]] = field(default_factory=dict)
    num_read: int = 0

    def take(self, event: Any) -> None:
        """Take the reply. Raises BrokenAnswerError."""
        try:
            for one in event["data"]:
                reading = self.readings[one["index"]]
                rows = [one["data"] if self.is_outcome else one["data"][place] for place in reading.places]
                self.rows[one["index"]] = [[math.nan if it is None else float(it) for it in row] for row in rows]
            self.num_read = int(event["usage"]["prompt_tokens"])
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise BrokenAnswerError(f"the answer of {POOLING} has another form than vLLM's: {error!r}", 400) from error

    @property
    def is_whole(self) -> bool:
        """Whether every text was rated."""
        return len(self.rows) == len(self.readings)


class Session:
    """An open engine."""

    def __init__(self, keys: RewardServerKeys, may: Callable[[str, str], bool] | None = None) -> None:
        self.keys, self._may = keys, may
        self.told, self.opening = "not tried", Spent(0, 0, 0)
        self._client = Client(keys, rng=random.Random(), clock=time.monotonic)
        self._readings = Readings(keys, Tokens(self._client, keys.chat_template_kwargs))
        self._loop = Loop()
        self._out: queue.SimpleQueue[Rewards | EngineError] = queue.SimpleQueue()
        self._flying: dict[Name, RewardRequest] = {}
        self._tasks: dict[Name, asyncio.Task[None]] = {}
        self._homes: dict[str, Server] = {}

    def probe(self) -> None:
        """See that every server rates, and how. Raises EngineError."""

        async def every() -> list[int]:
            return [await self._tried(server) for server in self._client.servers]

        try:
            self.opening = Spent(1, sum(self._loop.run(every())), 0)
        except (RefusedError, UnreadableError) as error:
            how = STARTED_SO.get(self.keys.format, BY_WORDS)
            raise EngineError(
                f"the server does not rate: {error}. For `format: {self.keys.format}` vLLM's is started by "
                f"`vllm serve MODEL {how}`"
            ) from error
        self.told = f"{POOLING} gives the head's own numbers"

    def end(self) -> None:
        """Cancel what is on its way, close all connections, end the thread."""
        self._loop.end(self._client.close)

    # --- the caller's thread

    @property
    def num_flying(self) -> int:
        """Requests on their way."""
        return len(self._flying)

    def add(self, request: RewardRequest) -> None:
        """Take one request."""
        self._flying[request.problem_id, request.key] = request
        self._loop.post(self._begin, request)

    def cancel(self, problem_id: str, key: str) -> None:
        """Stop one request."""
        self._loop.post(self._cancel, (problem_id, key))

    def step(self, patience_seconds: float) -> list[Rewards]:
        """Return what finished; wait for the first at most that long."""
        finished: list[Rewards] = []
        while self._flying:
            try:
                got = self._out.get_nowait() if finished else self._out.get(timeout=patience_seconds)
            except queue.Empty:
                break
            if isinstance(got, EngineError):
                raise got
            del self._flying[got.problem_id, got.key]
            finished.append(got)
        return finished

    def forget(self, problem_id: str) -> None:
        """Let go of what was kept for a problem."""
        self._loop.post(self._homes.pop, problem_id, None)

    # --- the loop's thread

    def _begin(self, request: RewardRequest) -> None:
        name, broken = (request.problem_id, request.key), [0]
        task = self._tasks[name] = self._loop.task(self._serve(request, broken))
        task.add_done_callback(lambda task: self._ended(name, broken, was_cancelled=task.cancelled()))

    def _cancel(self, name: Name) -> None:
        if name in self._tasks:
            self._tasks[name].cancel()

    def _ended(self, name: Name, broken: list[int], *, was_cancelled: bool) -> None:
        del self._tasks[name]
        if was_cancelled:  # maybe before it began
            self._out.put(Rewards(*name, (), broken[0], error="it was cancelled"))

    async def _serve(self, request: RewardRequest, broken: list[int]) -> None:
        values: tuple[float, ...] = ()
        error, num_read = None, 0
        try:
            values, num_read = await self._rated(request, broken)
            if not all(map(math.isfinite, values)):
                values, error = (), "the model's head gave no numbers; try `--dtype float32`"
        except (RefusedError, UnreadableError) as refused:
            error = str(refused)
        except EngineError as failed:
            return self._out.put(failed)
        except Exception as failed:
            return self._out.put(EngineError(f"the request could not be made ({type(failed).__name__}: {failed})"))
        return self._out.put(Rewards(request.problem_id, request.key, values, num_read + broken[0], error=error))

    async def _rated(self, request: RewardRequest, broken: list[int]) -> tuple[tuple[float, ...], int]:
        """Return the values and the tokens read; put into `broken` what attempts that broke off read at most."""

        def pick() -> Server:
            known = self._homes.get(request.problem_id)
            self._homes[request.problem_id] = self._client.pick(known)
            return self._homes[request.problem_id]

        readings = await self._readings.of(pick, request.messages, self.keys.read(request.steps))
        if not readings:
            return (), 0

        def broke(is_last: bool) -> bool:
            broken[0] += sum(len(reading.token_ids) for reading in readings)
            return is_last or self._may is None or self._may(request.problem_id, request.key)

        told = await self._asked(pick, readings, broke=broke)
        values = [self._value(row) for number in range(len(readings)) for row in told.rows[number]]
        return tuple(values), told.num_read

    async def _asked(
        self,
        pick: Callable[[], Server],
        readings: Sequence[Reading],
        *,
        activation: bool = False,
        broke: Callable[[bool], bool] = lambda _: True,
    ) -> _Numbers:
        is_outcome = self.keys.format == "outcome"
        body = {
            "model": self.keys.model,
            "input": [list(reading.token_ids) for reading in readings],
            "task": "classify" if is_outcome else "token_classify",
            "use_activation": activation,
        }
        return await self._client.ask(pick, POOLING, body, partial(_Numbers, readings, is_outcome), broke)

    def _value(self, row: Sequence[float]) -> float:
        return row[0] if self.keys.activation == "none" else _activated(row)

    async def _tried(self, server: Server) -> int:
        """See that a server rates with the head's own numbers; return the tokens that it read. Raises RefusedError."""
        readings = await self._readings.of(lambda: server, TRIED.messages, TRIED.steps)
        own, other = [await self._asked(lambda: server, readings, activation=one) for one in (False, True)]
        rows, activated = ([row for number in range(len(readings)) for row in one.rows[number]] for one in (own, other))
        wanted = 2 if self.keys.format == "qwen_prm" else 1
        if any(len(row) != wanted for row in rows):
            raise RefusedError(f"the model's head must give {wanted} a place, and gives {len(rows[0])}")
        pairs = [(_activated(row), row[-1], with_it[-1]) for row, with_it in zip(rows, activated, strict=True)]
        if not all(abs(here - there) <= NEAR for here, _, there in pairs) or all(raw == it for _, raw, it in pairs):
            raise RefusedError(
                "its numbers are not known to be the head's own: it ignores `use_activation`, or has another"
            )
        return own.num_read + other.num_read


def _activated(row: Sequence[float]) -> float:
    """Return the sigmoid of one number, the softmax's second of two."""
    value = row[0] if len(row) == 1 else row[1] - row[0]
    return 1 / (1 + math.exp(-value)) if value > 0 else math.exp(value) / (1 + math.exp(value))
