"""The host's end of the fork server and of its workers: sockets and one child process."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tts.errors import VerifierError
from tts.sandbox.inside import frames, wire
from tts.sandbox.inside.settings import Setup

_BOOT = "import socket, sys; sys.path.insert(0, sys.argv[1]); from inside import server; del sys.path[0]; "
_BOOT += "server.main(socket.socket(fileno=int(sys.argv[2])))"
_START_SECONDS = 60
_MAX_REPLY = 2**26


class WorkerLostError(Exception):
    """A worker ended, or did not answer in time."""


class SandboxWorker:
    """One worker of the server: answers a request at a time. One thread at a time may use it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def ask(self, request: bytes, seconds: float) -> Any:
        """Return the answer to `request`. Raises WorkerLostError where none comes within `seconds`."""
        deadline = time.monotonic() + seconds
        try:
            self._connection.settimeout(seconds)
            frames.send(self._connection, request)
            return wire.decode(self._receive(deadline))
        except (OSError, ValueError) as error:
            raise WorkerLostError(str(error) or type(error).__name__) from error

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

    def __init__(self, setup: Setup, python: str, wrapper: Sequence[str] = ()) -> None:
        self._control, theirs = socket.socketpair()
        folder = str(Path(__file__).parent)
        command = [*wrapper, python, "-I", "-S", "-c", _BOOT, folder, str(theirs.fileno())]
        with theirs:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL if not os.environ.get("TTS_DEBUG_SANDBOX") else None,
                env={},
                cwd="/",
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        frames.send(self._control, wire.encode(setup.dump()))
        complaint = self._answer()
        if complaint:
            self.close()
            raise VerifierError(complaint)

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

    def _answer(self) -> str:
        if not _is_readable(self._control, _START_SECONDS):
            return f"the fork server did not start within {_START_SECONDS} s"
        try:
            return str(wire.decode(frames.receive(self._control)))
        except (OSError, EOFError, ValueError):
            return "the fork server ended before it was ready"


def _is_readable(connection: socket.socket, seconds: float) -> bool:
    """Wait so long for something to read, be it the end; unlike `select`, with any number of files open."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(1e3 * seconds))
