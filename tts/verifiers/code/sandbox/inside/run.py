"""One run: a supervisor process and the program's, made ahead of the order that they will get.

The supervisor is the init of a process namespace of its own, in which the program is the init of another: whichever
ends takes everything below it along. The program's process is forked before the order is read, so that nothing of the
order but the program itself ever was in its memory.
"""

from __future__ import annotations

import os
import signal
import socket
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress

from . import frames, kernel, program, tested, wire
from .confine import Confinement
from .settings import Bounds, Order
from .watch import Stopped, Watched

_ACTIONS: dict[str, Callable[[Watched, Order], Iterator[tested.Result]]] = {
    "call": tested.calls,
    "check": tested.checks,
}


class Prepared:
    """A supervisor and its program, both waiting. `connection` brings the order and takes the answer."""

    def __init__(self, confinement: Confinement, connection: socket.socket, home: int) -> None:
        waiting, self._go = os.pipe()
        if confinement.namespaces:
            kernel.unshare(kernel.NEW_PID)
        self.pid = os.fork()
        if not self.pid:
            os.close(self._go)
            exit_with(lambda: _supervise(confinement, connection, waiting))
        if confinement.namespaces:
            kernel.setns(home, kernel.NEW_PID)
        os.close(waiting)
        self.ended = os.pidfd_open(self.pid)

    def go(self) -> None:
        """Let the supervisor read the order."""
        os.write(self._go, b"g")

    def bury(self) -> int:
        """Kill what is left of it, and return the supervisor's exit status."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        os.close(self._go)
        os.close(self.ended)
        return os.waitstatus_to_exitcode(status)


def exit_with(run: Callable[[], int]) -> None:
    """End this process with what `run` returns, whatever happens; no code of the parent's is returned to."""
    status = 70
    try:
        status = run()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _supervise(confinement: Confinement, connection: socket.socket, waiting: int) -> int:
    kernel.die_with_parent()
    watched = _fork_program(confinement)
    watched.meet()
    if os.read(waiting, 1) != b"g":
        return 0
    order = Order.load(wire.decode(frames.receive(connection)))
    bounds = Bounds.load(order.limits)
    watched.start(order.action, order.program, bounds, order.stdin)
    if order.action in _ACTIONS:
        confinement.confine_checker(bounds.total_cpu_seconds + bounds.total_wall_seconds)
    results, stopped = _perform(watched, order)
    frames.send(connection, wire.encode((tuple(results), watched.end(stopped))))
    return 0


def _perform(watched: Watched, order: Order) -> tuple[list[tested.Result], Stopped | None]:
    results: list[tested.Result] = []
    try:
        if order.action == "run":
            watched.wait()
        else:
            tested.ready(watched)
            for result in _ACTIONS[order.action](watched, order):
                results.append(result)  # one by one: those before a stop count
            return results, Stopped("ok", "")
    except Stopped as stopped:
        return results, stopped
    return results, None


def _fork_program(confinement: Confinement) -> Watched:
    """Fork the program's process; it waits for its first frame."""
    if confinement.namespaces:
        kernel.unshare(kernel.NEW_PID)
    here, there = socket.socketpair()
    (stdin, to_stdin), (from_stdout, stdout), (from_stderr, stderr) = os.pipe(), os.pipe(), os.pipe()
    pid = os.fork()
    if not pid:
        exit_with(lambda: program.main(confinement, there.fileno(), (stdin, stdout, stderr)))
    there.close()
    for descriptor in (stdin, stdout, stderr):
        os.close(descriptor)
    return Watched(pid, here, to_stdin, from_stdout, from_stderr)
