"""Answers that searches ask the verifier about, on threads of their own.

The verifier may hang or raise: it works on a few threads, each with a deadline, so that it delays no other problem. One
that takes too long is not waited for; its thread goes on until it ends by itself.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tts.errors import CallError, described
from tts.pipeline.calls import Promise, Search
from tts.types import Grouping, Problem, Written

SECONDS = 60.0
"""How long a verifier may take over the answers of one call."""
NUM_THREADS = 4

Reads = Callable[[Problem, tuple[str | None, ...]], Grouping]
"""Extracts and groups the answers of these texts; None has none."""


@dataclass(slots=True)
class Reading:
    """Answers that the verifier is asked about, and since when it reads them."""

    search: Search
    key: str
    digest: str
    answers: tuple[str | None, ...]
    about: Written
    promise: Promise[Grouping]
    began: float = 0.0
    box: queue.SimpleQueue[Grouping | CallError] | None = None


class Readings:
    """Those that wait for the verifier, and those that it reads."""

    def __init__(self, reads: Reads, seconds: float = SECONDS) -> None:
        self._reads, self._seconds = reads, seconds
        self._waiting: deque[Reading] = deque()
        self._running: list[Reading] = []
        self._came = threading.Event()

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._running or self._waiting)

    def add(self, reading: Reading) -> None:
        """Let one wait for its turn."""
        self._waiting.append(reading)

    def wait(self, patience_seconds: float) -> None:
        """Wait at most that long until the verifier says something."""
        if self._running:
            self._came.wait(patience_seconds)

    def take(self) -> Iterator[tuple[Reading, Grouping | CallError | None]]:
        """Yield what the verifier said, or did not say in time; None: it was given up before its turn.

        Then those that wait take the threads that are free.
        """
        self._came.clear()
        running, self._running = self._running, []
        for reading in running:
            assert reading.box is not None
            if not reading.box.empty():
                yield reading, reading.box.get()
            elif time.monotonic() - reading.began > self._seconds:
                yield reading, CallError(f"the verifier took more than {self._seconds:g} s")
            else:
                self._running.append(reading)
        while self._waiting and len(self._running) < NUM_THREADS:
            reading = self._waiting.popleft()
            if reading.promise.cancelled:
                yield reading, None
                continue
            reading.began, reading.box = time.monotonic(), queue.SimpleQueue()
            threading.Thread(target=self._read, args=(reading,), name="tts-classes", daemon=True).start()
            self._running.append(reading)

    def _read(self, reading: Reading) -> None:
        assert reading.box is not None
        try:
            reading.box.put(self._reads(reading.search.problem, reading.answers))
        except Exception as error:
            reading.box.put(CallError(described(error)))
        self._came.set()
