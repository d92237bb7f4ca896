"""What a replica does in its process: the engine in a thread of its own, an inbox and an outbox.

The engine's thread runs the loop of `components.apart`: it opens the engine, does what came in, steps, and puts what
finished into the outbox; nothing else touches the engine. So it never waits for the driver between two steps. The
driver's side are two calls, which come on two other threads: `submit` puts into the inbox, and returns at once;
`collect` takes out of the outbox, and is a long poll.

A batch in the outbox has a number and stays there until the next `collect` says that it was told: a reply that got lost
loses nothing. `linger`: once something is there, `collect` waits that much longer for more to go with it, because the
driver's cost is by the poll, not by the candidate.

An exception of the engine is data here (`Told.error`), never raised: Ray would colour it, and add its own places to it.
"""

from __future__ import annotations

import queue
import socket
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, TypeAlias

from tts.components.apart import Failed, Loop, Message, Opened
from tts.components.apart import Told as Worked
from tts.runs import job
from tts.types import Completion, PluginReport, Request, RewardRequest, Rewards
from tts.version import __version__

Call: TypeAlias = "Request | RewardRequest"
Reply: TypeAlias = "Completion | Rewards"
Key: TypeAlias = "tuple[str, str]"
"""Problem and key of a call."""

Packed: TypeAlias = "tuple[Any, list[tuple[Any, ...]]]"
"""Records of one type for the way: the type, and of each the values of its fields."""


def packed(records: Sequence[Any]) -> Packed:
    """Return records of one type in a form that is pickled and read fast: a frozen dataclass is neither."""
    if not records:
        return None, []
    kind = type(records[0])
    return kind, list(map(attrgetter(*kind.__slots__), records))


def unpacked(packed: Packed) -> list[Any]:
    """Return what was packed."""
    kind, rows = packed
    return [kind(*values) for values in rows]


@dataclass(frozen=True, slots=True)
class Hello:
    """What a replica tells once its engine is open. `num_slots`: how many calls it wants at once."""

    num_slots: int
    thinking_tags: tuple[str, str] | None
    capabilities: frozenset[str]
    versions: dict[str, str]
    host: str


@dataclass(frozen=True, slots=True)
class Told:
    """What a poll brings: the batches up to `number`, packed, and how far the replica is.

    `error`: why it cannot go on.
    """

    number: int
    finished: Packed
    num_steps: int
    num_tokens: int
    hello: Hello | None
    error: str | None


class Replica:
    """One engine and its thread. All methods return soon, but for `collect`, which waits as long as it is told."""

    def __init__(self, engine: Any, linger_seconds: float = 0.0) -> None:
        self._engine, self._linger = engine, linger_seconds
        self._inbox: queue.SimpleQueue[list[Message] | None] = queue.SimpleQueue()
        self._reports: queue.SimpleQueue[PluginReport | None] = queue.SimpleQueue()
        self._news = threading.Condition()
        self._batches: deque[tuple[int, list[Reply]]] = deque()
        self._number = self._num_steps = self._num_tokens = 0
        self._hello: Hello | None = None
        self._error: str | None = None
        work = Loop(engine, self._inbox, self._take).run
        self._thread = threading.Thread(target=work, name="tts-replica", daemon=True)
        self._thread.start()

    def submit(self, calls: Packed, cancels: Sequence[Key]) -> None:
        """Give the engine calls, then take some back."""
        messages: list[Message] = [("add", (call,)) for call in unpacked(calls)]
        self._inbox.put(messages + [("cancel", key) for key in cancels])

    def collect(self, told: int, patience_seconds: float) -> Told:
        """Return what finished since batch `told`; wait for something at most so long, for more `linger_seconds`."""
        with self._news:
            knew_hello = told >= 0
            while self._batches and self._batches[0][0] <= told:
                self._batches.popleft()
            self._news.wait_for(
                lambda: self._batches or self._error or (self._hello and not knew_hello), patience_seconds
            )
            if self._batches and self._linger and not self._error:
                self._news.wait_for(lambda: self._error, self._linger)
            finished = [reply for _, batch in self._batches for reply in batch]
            number = self._batches[-1][0] if self._batches else max(told, 0 if self._hello else -1)
            return Told(number, packed(finished), self._num_steps, self._num_tokens, self._hello, self._error)

    def plugin_report(self) -> PluginReport | None:
        """Return what the engine's plugin did; None where there is none. Waits for the step that is being made."""
        self._inbox.put([("plugin_report", ())])
        return self._reports.get()

    def close(self) -> None:
        """Close the engine, and wait for that."""
        self._inbox.put(None)
        self._thread.join()

    def _take(self, told: object) -> None:
        """Put what the loop tells where it is asked for. Runs in the engine's thread."""
        if isinstance(told, PluginReport) or told is None:
            self._reports.put(told)
            return
        with self._news:
            if isinstance(told, Failed):
                self._error = told.reason
            elif isinstance(told, Opened):
                tags = getattr(self._engine, "thinking_tags", None)
                versions = {**job.versions(), "tts-toolkit": __version__}
                self._hello = Hello(told.num_free, tags, told.capabilities, versions, socket.gethostname())
            elif isinstance(told, Worked):
                self._num_steps += 1
                self._num_tokens = told.num_generated_tokens
                if not told.replies:
                    return
                self._number += 1
                self._batches.append((self._number, told.replies))
            self._news.notify_all()
