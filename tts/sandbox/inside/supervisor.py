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
from .forker import END, ENDED
from .settings import Bounds, RunRequest
from .watch import Stopped, Watched

_GRACE_SECONDS = 5.0

_ACTIONS: dict[str, Callable[[Watched, RunRequest], Iterator[tested.Result]]] = {
    "call": tested.calls,
    "check": tested.checks,
}


def serve(confinement: Confinement, host: socket.socket, forker: socket.socket) -> int:
    """Answer the host's requests, one at a time, until the host or the forker is gone; return the exit status."""
    confinement.confine_checker()
    gc.enable()
    try:
        watched, _ = _next_program(forker, host, confinement.namespaces)
        while True:
            request = RunRequest.load(wire.decode(frames.receive(host)))
            results, stopped = _perform(watched, request)
            forker.sendall(END)
            following, last = _next_program(forker, host, confinement.namespaces)
            frames.send(host, wire.encode((tuple(results), watched.close(stopped, *last))))
            watched = following
    except EOFError:
        return 0


def _perform(watched: Watched, request: RunRequest) -> tuple[list[tested.Result], Stopped | None]:
    """Let the program run, and what is to run beside it; return the results, and why it had to be stopped."""
    bounds = Bounds.load(request.limits)
    _limit_tests(watched, bounds.total_cpu_seconds)
    results: list[tested.Result] = []
    try:
        watched.start(request.action, request.program, bounds, request.stdin)
        if request.action == "run":
            watched.wait()
            return results, None
        tested.ready(watched)
        for result in _ACTIONS[request.action](watched, request):
            results.append(result)  # one by one: those before a stop count
    except Stopped as stopped:
        return results, stopped
    finally:
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


def _next_program(forker: socket.socket, host: socket.socket, is_init: bool) -> tuple[Watched, tuple[int, int, float]]:
    """Receive the next program's process, and what became of the last."""
    data, descriptors, _, _ = socket.recv_fds(forker, ENDED.size, 5)
    if not data:
        raise EOFError("the forker is gone")
    pid, *last = ENDED.unpack(data)
    status, memory, seconds = last
    return Watched(pid, descriptors, host.fileno(), is_init), (status, memory, seconds)
