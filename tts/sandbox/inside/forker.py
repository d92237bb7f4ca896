"""The process that forks the programs' processes. It holds the namespaces' keys, and never sees a request or an answer.

Each program's process is the init of a process namespace of its own: whatever it leaves behind dies with it. It is made
ahead of its request, and handed to the supervisor as five descriptors: the wire, its standard streams, its end.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from . import kernel, namespaces, program
from .confine import Confinement
from .settings import Setup

END = b"e"
"""What the supervisor says when it is done with a program."""

ENDED = struct.Struct("<iiqd")
"""What the forker answers: the next program's process; the last one's exit status, memory in KB, processor seconds."""

_NOTHING = (0, 0, 0.0)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A program's process that waits for its first frame, and this side's ends of what it holds."""

    pid: int
    descriptors: tuple[int, ...]

    def hand_over(self, supervisor: socket.socket, last: tuple[int, int, float]) -> None:
        """Give the descriptors away, with what became of the last program."""
        socket.send_fds(supervisor, [ENDED.pack(self.pid, *last)], self.descriptors)
        for descriptor in self.descriptors:
            os.close(descriptor)

    def bury(self) -> tuple[int, int, float]:
        """Kill it with all that it has started; return its exit status, peak memory in KB and processor seconds."""
        _kill(self.pid)
        _, status, usage = os.wait4(self.pid, 0)
        return os.waitstatus_to_exitcode(status), usage.ru_maxrss, usage.ru_utime + usage.ru_stime


class Forker:
    """Makes one program's process after the other, in namespaces that only its own programs share."""

    def __init__(self, new_confinement: Callable[[], Confinement], setup: Setup, home: int) -> None:
        self._new_confinement = new_confinement
        self._setup = setup
        self._home = home
        self._confinement: Confinement | None = None
        self._renew()

    @property
    def confinement(self) -> Confinement:
        """The layers that the next program is put under."""
        assert self._confinement, "made by `_renew`"
        return self._confinement

    def serve(self, supervisor: socket.socket) -> None:
        """Hand over one process at a time, and bury it when the supervisor is done with it, until that is gone."""
        last = _NOTHING
        spare = self._prepare()
        while True:
            current = spare
            current.hand_over(supervisor, last)
            spare = self._prepare()
            is_done = supervisor.recv(1) == END
            last = current.bury()
            if not is_done:
                return
            if self._is_touched():
                spare.bury()
                for descriptor in spare.descriptors:
                    os.close(descriptor)
                self._renew()
                spare = self._prepare()

    def _prepare(self) -> Prepared:
        wire, theirs = socket.socketpair()
        (stdin, to_stdin), (from_stdout, stdout), (from_stderr, stderr) = os.pipe(), os.pipe(), os.pipe()
        pid = self._fork()
        if not pid:
            exit_with(lambda: program.main(self.confinement, theirs.fileno(), (stdin, stdout, stderr)))
        theirs.close()
        for descriptor in (stdin, stdout, stderr):
            os.close(descriptor)
        return Prepared(pid, (wire.detach(), to_stdin, from_stdout, from_stderr, os.pidfd_open(pid)))

    def _fork(self) -> int:
        """Fork, the child into a new process namespace."""
        if not self._setup.namespaces:
            return os.fork()
        kernel.unshare(kernel.NEW_PID)
        pid = os.fork()
        if pid:
            kernel.setns(self._home, kernel.NEW_PID)
        return pid

    def _is_touched(self) -> bool:
        return self._setup.namespaces and namespaces.work_folder_state() != self._untouched

    def _renew(self) -> None:
        """Throw the work folder away with all that is in it, and start with an empty one."""
        if self._setup.namespaces:
            namespaces.new_work_folder(self._setup.files_mb)
            self._untouched = namespaces.work_folder_state()
        if self._confinement:
            self._confinement.close()
        self._confinement = self._new_confinement()
        self._confinement.prepare()


def exit_with(run: Callable[[], int]) -> None:
    """End this process with what `run` returns, whatever happens; no code of the parent's is returned to."""
    status = 70
    try:
        status = run()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _kill(pid: int) -> None:
    """Kill the process and its group, which holds what it started where it has no namespace of its own."""
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
