"""The process that forks the programs' processes. It holds the namespaces' keys, and never sees a request or an answer.

How it works. The supervisor says one byte at a time, and each is answered at once:

- NEXT: a work folder, Landlock's rules, pipes, a wire and a process are made, all of them now: whatever bears a time
  tells the program of its own start, and not of the end of the program before. The answer is the process's number,
  with five descriptors: the wire, its standard streams, its end (a pidfd).
- WAITED: how many seconds the threads of the process had to wait for a processor. The supervisor may not open the
  files that say so, so the process hands over the folder they are in before it gives up its rights.
- END: the process is killed and buried. The answer is what became of it.

Each program's process is the init of a process namespace of its own: whatever it leaves behind dies with it. Where the
system refuses something, the answer is a `Complaint`, and no descriptor comes with it.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import traceback
from collections.abc import Callable
from contextlib import suppress

from . import kernel, program, wire
from .confine import Confinement
from .settings import Complaint, named

NEXT, WAITED, END = b"n", b"w", b"e"

BEGUN = struct.Struct("<i")
SECONDS = struct.Struct("<d")
ENDED = struct.Struct("<iqd")
"""The answers: a process; seconds; exit status (negative: a signal), peak memory in KB, processor seconds."""

MOST_DATA, NUM_DESCRIPTORS = 4096, 5
"""No answer is longer, or brings more with it."""


class Forker:
    """Makes one program's process after the other; `new_confinement` makes what each is put under.

    `home` is the process namespace of the forker itself, -1 where programs have none of their own.
    """

    def __init__(self, new_confinement: Callable[[], Confinement], home: int) -> None:
        self._new_confinement = new_confinement
        self._home = home

    def serve(self, supervisor: socket.socket) -> None:
        """Do what the supervisor says until that is gone; a process that is left is killed."""
        pid = threads = -1
        while word := supervisor.recv(1):
            if word == NEXT:
                try:
                    pid, threads, descriptors = self._begin()
                except OSError as error:
                    supervisor.send(wire.encode(Complaint.of(error).dump()))
                    continue
                socket.send_fds(supervisor, [BEGUN.pack(pid)], descriptors)
                for descriptor in descriptors:
                    os.close(descriptor)
            elif word == WAITED:
                supervisor.send(SECONDS.pack(_waited(threads)))
            else:
                os.close(threads)
                supervisor.send(ENDED.pack(*_bury(pid)))
                pid = -1
        if pid >= 0:
            _bury(pid)

    def _begin(self) -> tuple[int, int, list[int]]:
        """Start a process that waits for its first frame; return it, the folder of its threads, this side's ends."""
        confinement = self._new_confinement()
        ours, theirs = socket.socketpair()
        (stdin, to_stdin), (from_stdout, stdout), (from_stderr, stderr) = os.pipe(), os.pipe(), os.pipe()
        descriptors = [ours.detach(), to_stdin, from_stdout, from_stderr]
        pid = -1
        try:
            with theirs:
                with named("fork"):
                    pid = self._fork()
                if not pid:
                    exit_with(lambda: program.main(confinement, theirs.fileno(), (stdin, stdout, stderr)))
            threads = _greeting(descriptors[0])
            with named("pidfd_open"):
                descriptors.append(os.pidfd_open(pid))
        except OSError:
            if pid > 0:
                _bury(pid)
            for descriptor in descriptors:
                os.close(descriptor)
            raise
        finally:
            confinement.close()
            for descriptor in (stdin, stdout, stderr):
                os.close(descriptor)
        return pid, threads, descriptors

    def _fork(self) -> int:
        """Fork, the child into a new process namespace."""
        if self._home < 0:
            return os.fork()
        kernel.unshare(kernel.NEW_PID)
        pid = -1
        try:
            pid = os.fork()
        finally:
            if pid:
                kernel.setns(self._home, kernel.NEW_PID)
        return pid


def exit_with(run: Callable[[], int]) -> None:
    """End this process with what `run` returns, whatever happens; no code of the parent's is returned to."""
    status = 70
    try:
        status = run()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _greeting(descriptor: int) -> int:
    """Return what a new process sends when it has given up its rights: the folder of its threads.

    Raises OSError where it could not.
    """
    with socket.socket(fileno=os.dup(descriptor)) as connection:
        data, folders, _, _ = socket.recv_fds(connection, MOST_DATA, 1)
    if folders:
        return folders[0]
    complaint = Complaint(*wire.decode(data)) if data else Complaint("a program's process died before it began", 0)
    raise OSError(complaint.number, complaint.text)


def _waited(threads: int) -> float:
    """Return how many seconds the threads in this folder of /proc have waited for a processor."""
    nanoseconds = 0
    for thread in os.listdir(threads):
        with suppress(OSError):  # it has ended, or the kernel does not count
            schedule = os.open(f"{thread}/schedstat", os.O_RDONLY, dir_fd=threads)
            nanoseconds += int(os.read(schedule, 99).split()[1])
            os.close(schedule)
    return nanoseconds / 1e9


def _bury(pid: int) -> tuple[int, int, float]:
    """Kill the process with all that it has started; return its exit status, peak memory in KB and processor seconds.

    Its group holds what it started where it has no namespace of its own.
    """
    for kill in (os.killpg, os.kill):
        with suppress(ProcessLookupError):
            kill(pid, signal.SIGKILL)
    _, status, usage = os.wait4(pid, 0)
    return os.waitstatus_to_exitcode(status), usage.ru_maxrss, usage.ru_utime + usage.ru_stime
