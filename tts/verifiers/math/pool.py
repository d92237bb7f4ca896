"""Worker processes that compare formulas: started when first needed, killed at their limits, replaced when they die."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache, partial
from typing import TypeAlias

from tts.errors import VerifierError
from tts.verifiers.math.worker import CRASH

Pair: TypeAlias = tuple[str, str]
MIRRORED = {"unparsable_left": "unparsable_right", "unparsable_right": "unparsable_left"}


class Crashed(Exception):  # noqa: N818 - an event that the pool handles
    """Two workers in a row ended without an answer, and not for lack of time."""


class ComparisonWorker:
    """One place for a worker process; the process itself comes and goes. One thread at a time may call `compare`."""

    def __init__(self, timeout_seconds: float, memory_limit_mb: int) -> None:
        self._limits = (str(timeout_seconds), str(memory_limit_mb))
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._starting = threading.Lock()

    def compare(self, pair: Pair) -> str:
        """Return the outcome for `pair`; `grader_crash` where the process ends without one, or is closed."""
        process = self._process or self._start()
        if process is None:
            return CRASH
        reply = b""
        with suppress(OSError, ValueError):
            process.stdin.write(json.dumps(pair).encode("ascii") + b"\n")  # type: ignore[union-attr]  # piped
            process.stdin.flush()  # type: ignore[union-attr]  # piped
            reply = process.stdout.readline()  # type: ignore[union-attr]  # piped
        if not reply.endswith(b"\n"):
            self.stop()
        return reply.decode("ascii").strip() or CRASH

    def close(self) -> None:
        """Kill the process, whatever it is doing, and start no other. Any thread may call this."""
        with self._starting:
            self._closed = True
        self.stop()

    def stop(self) -> None:
        """Kill the process; the next comparison starts another."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # the child that compares, too
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr]  # piped

    def _start(self) -> subprocess.Popen[bytes] | None:
        """Start a process and wait until it is ready, so that no comparison pays for the start; None once closed."""
        with self._starting:
            if self._closed:
                return None
            self._process = process = subprocess.Popen(
                [sys.executable, "-m", "tts.verifiers.math.worker", *self._limits],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                start_new_session=True,  # a group to kill; and Ctrl-C is for the program, which then closes the pool
            )
        with suppress(OSError, ValueError):  # ValueError: closed meanwhile
            if process.stdout.readline() == b"ready\n":  # type: ignore[union-attr]  # piped
                return process
        self.stop()
        if self._is_closed():
            return None
        raise VerifierError(
            "the worker process of the math verifier did not start. To see why, run: "
            "echo | python -m tts.verifiers.math.worker 5 1024"
        )

    def _is_closed(self) -> bool:
        with self._starting:
            return self._closed


class WorkerPool:
    """Compares pairs on `num_workers` processes. Any number of threads may call `compare` at the same time."""

    def __init__(self, num_workers: int, timeout_seconds: float, memory_limit_mb: int, cache_size: int) -> None:
        workers = [ComparisonWorker(timeout_seconds, memory_limit_mb) for _ in range(num_workers)]
        idle: queue.SimpleQueue[ComparisonWorker] = queue.SimpleQueue()
        for worker in workers:
            idle.put(worker)
        self._threads = ThreadPoolExecutor(num_workers, thread_name_prefix="tts-math-verifier")
        self._decide = lru_cache(cache_size)(partial(_decide, idle))  # a crash raises, so it is not cached
        self._finalizer = weakref.finalize(self, _stop, self._threads, workers)

    def compare(self, pairs: Sequence[Pair]) -> list[str]:
        """Return one outcome per pair, order kept: that of `compare.compare`, or why there is none."""
        if not self._finalizer.alive:
            return [CRASH] * len(pairs)
        return list(self._threads.map(self._outcome, pairs))

    def close(self) -> None:
        """Kill the processes. Comparisons under way end as `grader_crash`."""
        self._finalizer()

    def _outcome(self, pair: Pair) -> str:
        """Decide the pair in its one order, so that neither the outcome nor the cache knows which came first."""
        left, right = sorted(pair)
        try:
            outcome = self._decide((left, right))
        except Crashed:
            return CRASH
        return outcome if (left, right) == pair else MIRRORED.get(outcome, outcome)


def _decide(idle: queue.SimpleQueue[ComparisonWorker], pair: Pair) -> str:
    """Ask an idle worker; if it crashes, ask its successor once more. Raises Crashed where both do."""
    worker = idle.get()
    try:
        outcome = worker.compare(pair)
        if outcome == CRASH:
            outcome = worker.compare(pair)
    finally:
        idle.put(worker)
    if outcome == CRASH:
        raise Crashed
    return outcome


def _stop(threads: ThreadPoolExecutor, workers: list[ComparisonWorker]) -> None:
    for worker in workers:
        worker.close()
    threads.shutdown(wait=False)  # what still waits finds the workers closed, and ends
