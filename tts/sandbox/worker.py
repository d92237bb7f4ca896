"""The host's end of the fork server and of its workers: sockets and one child process."""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tts.errors import VerifierError
from tts.sandbox.inside import frames, wire
from tts.sandbox.inside.settings import Complaint, Setup

_BOOT = "import socket, sys; sys.path.insert(0, sys.argv[1]); from inside import kernel; kernel.fix_addresses(); "
_BOOT += "from inside import server; del sys.path[0]; server.main(socket.socket(fileno=int(sys.argv[2])))"
_START_SECONDS = 60
_MAX_REPLY = 2**26

_ENVIRONMENT = {"MALLOC_ARENA_MAX": "1", "PYTHONHASHSEED": "0"}
"""What the interpreter reads at its start. With an arena for each thread, a few threads would use up the address space
that programs may have; with hashes that differ from one server to the next, so would the order of a set, and verdicts.
"""

_NEED_NAMESPACES = (
    "allow user namespaces (sysctl user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns; "
    "in Docker: --security-opt seccomp=unconfined)"
)
_CURES = {
    ("unshare", errno.EPERM): _NEED_NAMESPACES,
    ("unshare", errno.ENOSPC): _NEED_NAMESPACES,
    ("unshare", errno.EINVAL): "use a Linux kernel that is built with user namespaces",
    ("unshare", errno.EUSERS): "nest fewer user namespaces in each other",
    (
        "map of users",
        errno.EPERM,
    ): "give the container SETUID, SETGID and SETFCAP, or an ordinary user",
    ("mount", errno.EPERM): "let AppArmor or SELinux allow mounts in user namespaces (Ubuntu: "
    "sysctl kernel.apparmor_restrict_unprivileged_userns=0)",
    ("mount", errno.EACCES): "let AppArmor or SELinux allow mounts in user namespaces",
    ("pidfd_open", errno.ENOSYS): "use Linux 5.3 or later",
    ("landlock", errno.ENOSYS): "use Linux 5.13 or later",
    ("landlock", errno.EOPNOTSUPP): "boot with `landlock` among the kernel's `lsm=`",
    ("seccomp", errno.ENOSYS): "use a Linux kernel with seccomp filters, on x86_64 or aarch64",
    ("seccomp", errno.EINVAL): "use a Linux kernel with seccomp filters, on x86_64 or aarch64",
    ("fork", errno.EAGAIN): "raise `ulimit -u`, or the pids limit of the container",
    ("temporary", errno.ENOENT): "set TMPDIR to a folder that can be written to",
    ("", errno.EFBIG): "raise `ulimit -f`",
    ("", errno.EMFILE): "raise `ulimit -n`",
    ("", errno.ENOMEM): "free some memory, or raise `ulimit -v`",
    ("", errno.ENOSYS): "use a later Linux kernel",
}
"""What helps where a call is refused for a reason. The first entry that fits counts."""


def said(complaint: Complaint) -> str:
    """Return a complaint with its cure, where one is known."""
    for (call, number), cure in _CURES.items():
        if number == complaint.number and call in complaint.text:
            return f"{complaint.text} ({cure})"
    return complaint.text


class WorkerLostError(Exception):
    """A worker ended, or did not answer in time."""


class SandboxWorker:
    """One worker of the server: answers a request at a time. One thread at a time may use it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def ask(self, request: bytes, seconds: float) -> Any:
        """Return the results and the run that answer `request`.

        Raises WorkerLostError where none come within `seconds`, or the system refused to let the program begin.
        """
        deadline = time.monotonic() + seconds
        try:
            self._connection.settimeout(seconds)
            with suppress(ConnectionError):  # a worker that could not begin has said why
                frames.send(self._connection, request)
            reply = wire.decode(self._receive(deadline))
        except ConnectionError as error:
            raise WorkerLostError("the worker ended without an answer") from error
        except (OSError, ValueError) as error:
            raise WorkerLostError(str(error) or type(error).__name__) from error
        if isinstance(reply[0], str):
            raise WorkerLostError(said(Complaint(*reply)))
        return reply

    def is_running(self) -> bool:
        """Say whether a worker that has nothing to do is there still: it says nothing unasked, but hangs up."""
        return not _is_readable(self._connection, 0)

    def close(self) -> None:
        """Kill the worker and whatever it runs."""
        self._connection.close()

    def _receive(self, deadline: float) -> bytes:
        buffer = bytearray()
        while (frame := frames.unpack(buffer, _MAX_REPLY)) is None:
            self._connection.settimeout(max(0.001, deadline - time.monotonic()))
            data = self._connection.recv(2**18)
            if not data:
                raise WorkerLostError("the worker ended without an answer")
            buffer += data
        return frame


class ForkServer:
    """The fork server: a process of its own, started clean. Raises VerifierError where it cannot build its sandbox."""

    def __init__(self, setup: Setup, python: str) -> None:
        self._control, theirs = socket.socketpair()
        folder = str(Path(__file__).parent)
        command = [python, "-P", "-s", "-S", "-c", _BOOT, folder, str(theirs.fileno())]
        with theirs:
            try:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL if not os.environ.get("TTS_DEBUG_SANDBOX") else None,
                    env=_ENVIRONMENT,
                    cwd="/",
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
            except OSError as error:
                self._control.close()
                complaint = Complaint.of(error)
                raise VerifierError(said(Complaint(f"fork server: {complaint.text}", complaint.number))) from error
        self.pid = self._process.pid
        try:
            with suppress(ConnectionError):
                frames.send(self._control, wire.encode(setup.dump()))
            self._await_answer()
        except VerifierError:
            self.close()
            raise

    def is_running(self) -> bool:
        """Say whether the server is there still. Where it has ended, all its workers have."""
        return self._process.poll() is None

    def worker(self) -> SandboxWorker:
        """Return a new worker. Raises OSError where the server is gone."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self._control, [b"w"], [theirs.fileno()])
            except OSError:
                ours.close()
                raise
        return SandboxWorker(ours)

    def close(self) -> None:
        """Kill the server and all its workers. Safe to call twice."""
        self._control.close()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _await_answer(self) -> None:
        if not _is_readable(self._control, _START_SECONDS):
            raise VerifierError(f"the fork server did not start within {_START_SECONDS} s")
        try:
            answer = wire.decode(frames.receive(self._control))
        except (OSError, EOFError, ValueError) as error:
            raise VerifierError("the fork server ended before it was ready") from error
        if answer:
            raise VerifierError(said(Complaint(*answer)))


def _is_readable(connection: socket.socket, seconds: float) -> bool:
    """Wait so long for something to read, be it the end; unlike `select`, with any number of files open."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(1e3 * seconds))
