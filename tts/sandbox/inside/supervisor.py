"""The process that takes requests and answers them: it watches over the programs' processes, and runs test code.

It is confined like a program, once and for all. Programs are forked beside it and not by it, so none of what it reads
was ever in the memory of one.
"""

from __future__ import annotations

import gc
import signal
import socket
from collections.abc import Callable, Iterator

from . import frames, tested, wire
from .confine import Confinement
from .forker import BEGUN, END, ENDED, MOST_DATA, NEXT, NUM_DESCRIPTORS, SECONDS, WAITED
from .settings import Bounds, Complaint, RunRequest
from .watch import Stopped, Watched

USED = 3

_GRACE_SECONDS = 5.0

_ACTIONS: dict[str, Callable[[Watched, RunRequest], Iterator[tested.Result]]] = {
    "call": tested.calls,
    "check": tested.checks,
    "observe": tested.checks,
}


def serve(confinement: Confinement, host: socket.socket, forker: socket.socket) -> int:
    """Answer the host's requests, one at a time, until the host or the forker is gone; return the exit status.

    It is `USED` once test code has run here that may have changed anything: the next request needs a new process.

    The answer is results and how the program ran, or a `Complaint` where the system refused to let one begin.
    """
    try:
        confinement.confine_checker()
    except OSError as error:
        frames.send(host, wire.encode(Complaint.of(error).dump()))
        return 1
    gc.enable()
    try:
        while True:
            request = RunRequest.load(wire.decode(frames.receive(host)))
            data, descriptors = _ask(forker, NEXT)
            if not descriptors:
                frames.send(host, data)
                continue
            (pid,) = BEGUN.unpack(data)
            watched = Watched(
                pid,
                descriptors,
                host.fileno(),
                is_init=confinement.namespaces,
                waited=lambda: float(SECONDS.unpack(_ask(forker, WAITED)[0])[0]),
            )
            results, stopped = _perform(watched, request)
            last = ENDED.unpack(_ask(forker, END)[0])
            frames.send(host, wire.encode((tuple(results), watched.close(stopped, *last))))
            if tested.leaves_traces(request):
                return USED
    except EOFError:
        return 0


def _ask(forker: socket.socket, word: bytes) -> tuple[bytes, list[int]]:
    """Return the forker's answer, and the descriptors that come with it. Raises EOFError where it is gone."""
    forker.send(word)
    data, descriptors, _, _ = socket.recv_fds(forker, MOST_DATA, NUM_DESCRIPTORS)
    if not data:
        raise EOFError("the forker is gone")
    return data, descriptors


def _perform(watched: Watched, request: RunRequest) -> tuple[list[tested.Result], Stopped | None]:
    """Let the program run, and what is to run beside it; return the results, and why it had to be stopped."""
    bounds = Bounds.load(request.limits)
    _limit_tests(watched, bounds.total_cpu_seconds)
    results: list[tested.Result] = []
    try:
        watched.start(request, bounds)
        if request.action == "run":
            watched.wait()
            return results, None
        tested.ready(watched)
        for result in _ACTIONS[request.action](watched, request):
            results.append(result)  # one by one: those before a stop count
    except Stopped as stopped:
        return results, stopped
    finally:
        watched.settle()
        for timer in (signal.ITIMER_PROF, signal.ITIMER_VIRTUAL):
            signal.setitimer(timer, 0)
    return results, Stopped("ok", "")


def _limit_tests(watched: Watched, seconds: float) -> None:
    """Let test code, which may loop over what the program returned, use no more processor time than the program."""

    def stop(*_: object) -> None:
        raise watched.stop("timeout", f"the tests of what it returned took more than {seconds:g} s")

    signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds + _GRACE_SECONDS)  # ends this process, whatever it is doing
