"""The worker: a process that imports sympy once, and a child of it that compares, forked anew whenever one dies.

Requests come on stdin, one JSON line of pairs each; outcomes go to stdout, one line a pair. The child arms a kernel
alarm before each pair, which nothing in Python can swallow or delay: it dies at its limit even inside of one long
multiplication, and even when nobody is left to kill it. Both end when stdin does.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TextIO

MEGABYTE = 2**20
SUSPICIOUS_SHARE = 0.25
CRASH, TIMEOUT, MEMORY_LIMIT = "grader_crash", "timeout", "memory_limit"


def main(timeout_seconds: float, memory_limit_mb: int) -> None:
    """Answer requests until stdin ends."""
    replies = os.fdopen(os.dup(1), "w", buffering=1, encoding="ascii")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what the libraries print is no reply
    logging.disable()
    from tts.verifiers.math.compare import compare

    compare(r"\sqrt{2}", r"\sqrt{3}")  # builds the parser's tables, outside of any time limit
    print("ready", file=replies)
    child = Child(timeout_seconds, memory_limit_mb)
    for request in sys.stdin:
        for pair in json.loads(request):
            outcome = child.ask(json.dumps(pair) + "\n")
            if outcome in ("", CRASH, MEMORY_LIMIT):
                death = child.bury()
                child = Child(timeout_seconds, memory_limit_mb)
                outcome = outcome or death
            print(outcome, file=replies)


class Child:
    """A forked process that compares until it is killed or its requests end."""

    def __init__(self, timeout_seconds: float, memory_limit_mb: int) -> None:
        (theirs, requests), (replies, ours) = os.pipe(), os.pipe()
        self._pid = os.fork()
        if not self._pid:
            os.close(requests)
            os.close(replies)
            suspicious = _limit_memory(memory_limit_mb * MEGABYTE)
            _serve(os.fdopen(theirs), os.fdopen(ours, "w", buffering=1), timeout_seconds, suspicious)
            os._exit(0)
        os.close(theirs)
        os.close(ours)
        self._requests, self._replies = os.fdopen(requests, "w", buffering=1), os.fdopen(replies)

    def ask(self, request: str) -> str:
        """Return the child's reply; "" if it is dead."""
        with suppress(BrokenPipeError):
            print(request, end="", file=self._requests)
        return self._replies.readline().strip()

    def bury(self) -> str:
        """End the child, leave no zombie, and return what it died of."""
        os.kill(self._pid, signal.SIGKILL)  # changes nothing for one that is already dead
        _, status = os.waitpid(self._pid, 0)
        for pipe in (self._requests, self._replies):
            with suppress(BrokenPipeError):
                pipe.close()
        return TIMEOUT if os.waitstatus_to_exitcode(status) == -signal.SIGALRM else CRASH


def _serve(requests: TextIO, replies: TextIO, timeout_seconds: float, suspicious: float) -> None:
    """Compare until the requests end, or until the memory that one took spoils the measure for the next."""
    from tts.verifiers.math.compare import compare

    for request in requests:
        left, right = json.loads(request)
        signal.setitimer(signal.ITIMER_REAL, timeout_seconds)
        try:
            outcome: str = compare(left, right)
        except MemoryError:
            outcome = MEMORY_LIMIT
        except RecursionError:
            outcome = "too_deep"
        except Exception:  # sympy's own mistakes; nothing here hides ours, compare is tested without a process
            outcome = CRASH
        signal.setitimer(signal.ITIMER_REAL, 0)
        spoilt = _peak_memory() > suspicious
        print(MEMORY_LIMIT if spoilt and outcome == "different" else outcome, file=replies)
        if spoilt:
            return


def _limit_memory(limit_bytes: int) -> float:
    """Let the process grow by `limit_bytes` and no more; return the peak from which a failed allocation is likely.

    math-verify takes a failed allocation for an inequality. Only Linux enforces the limit and tells the peak;
    elsewhere the time limit has to do.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    base = _peak_memory()
    if base:
        resource.setrlimit(resource.RLIMIT_AS, (base + limit_bytes, base + limit_bytes))
    return base + SUSPICIOUS_SHARE * limit_bytes


def _peak_memory() -> int:
    """Return the most address space this process has had, in bytes; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmPeak:")), 0)


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
