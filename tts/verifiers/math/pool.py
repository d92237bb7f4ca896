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
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeAlias

from tts.errors import VerifierError
from tts.verifiers.math.worker import CRASH

Pair: TypeAlias = tuple[str, str]
MIRRORED = {"unparsable_left": "unparsable_right", "unparsable_right": "unparsable_left"}


class ComparisonWorker:
    """One place for a worker process; the process itself comes and goes. One thread at a time may call `compare`."""

    def __init__(self, timeout_seconds: float, memory_limit_mb: int) -> None:
        self._limits = (str(timeout_seconds), str(memory_limit_mb))
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._starting = threading.Lock()

    def compare(self, pairs: Sequence[Pair]) -> list[str]:
        """Return the outcomes for `pairs`, asked for at once; those up to the first that ends the process.

        That one's is `grader_crash`, as is the first one's where the worker is closed.
        """
        process = self._process or self._start()
        if process is None:
            return [CRASH]
        outcomes: list[str] = []
        with suppress(OSError, ValueError):
            process.stdin.write(json.dumps(pairs).encode("ascii") + b"\n")  # type: ignore[union-attr]  # piped
            process.stdin.flush()  # type: ignore[union-attr]  # piped
            while len(outcomes) < len(pairs) and (reply := process.stdout.readline()).endswith(b"\n"):  # type: ignore[union-attr]  # piped
                outcomes.append(reply.decode("ascii").strip())
        if len(outcomes) < len(pairs):
            self.stop()
            outcomes.append(CRASH)
        return outcomes

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
        self._idle, self._num_workers = idle, num_workers
        self._threads = ThreadPoolExecutor(num_workers, thread_name_prefix="tts-math-verifier")
        self._known: OrderedDict[Pair, str] = OrderedDict()
        self._cache_size, self._lock = cache_size, threading.Lock()
        self._finalizer = weakref.finalize(self, _stop, self._threads, workers)

    def compare(self, pairs: Sequence[Pair]) -> list[str]:
        """Return one outcome per pair, order kept: that of `compare.compare`, or why there is none.

        Each worker is asked once, for its share of the pairs that are new. A pair is decided in its one order, so that
        neither the outcome nor the memory knows which came first.
        """
        if not self._finalizer.alive:
            return [CRASH] * len(pairs)
        ordered = [(min(pair), max(pair)) for pair in pairs]
        with self._lock:
            found = {pair: self._known[pair] for pair in ordered if pair in self._known}
        new = [pair for pair in dict.fromkeys(ordered) if pair not in found]
        shares = [share for start in range(self._num_workers) if (share := new[start :: self._num_workers])]
        for share, outcomes in zip(shares, self._threads.map(self._decide, shares), strict=True):
            found.update(zip(share, outcomes, strict=True))
        with self._lock:
            self._known.update((pair, found[pair]) for pair in new if found[pair] != CRASH)
            while len(self._known) > self._cache_size:
                self._known.popitem(last=False)
        outcomes = [found[pair] for pair in ordered]
        swapped = [pair != same for pair, same in zip(pairs, ordered, strict=True)]
        return [
            MIRRORED.get(outcome, outcome) if swap else outcome for outcome, swap in zip(outcomes, swapped, strict=True)
        ]

    def close(self) -> None:
        """Kill the processes. Comparisons under way end as `grader_crash`."""
        self._finalizer()

    def _decide(self, pairs: Sequence[Pair]) -> list[str]:
        """Ask an idle worker; where it crashes, ask its successor for that pair once more, then for the others."""
        worker = self._idle.get()
        outcomes: list[str] = []
        try:
            while len(outcomes) < len(pairs):
                outcomes += worker.compare(pairs[len(outcomes) :])
                if outcomes[-1] == CRASH:
                    outcomes[-1:] = worker.compare(pairs[len(outcomes) - 1 : len(outcomes)])
        finally:
            self._idle.put(worker)
        return outcomes


def _stop(threads: ThreadPoolExecutor, workers: list[ComparisonWorker]) -> None:
    for worker in workers:
        worker.close()
    threads.shutdown(wait=False)  # what still waits finds the workers closed, and ends
