"""Standard input that can be waited for, and be left when the run is interrupted."""

from __future__ import annotations

import io
import os
import select
import stat
import sys
import threading
import time
from typing import BinaryIO

SILENT_SECONDS = 5.0
NOTICE_SECONDS = 1.0
POLL_SECONDS = 0.1


class _Raw(io.RawIOBase):
    """File descriptor 0, read in moments; looks ended once `stop` is set."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return 0

    def isatty(self) -> bool:
        return os.isatty(0)

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._stop.is_set():
            if select.select([0], [], [], POLL_SECONDS)[0]:
                block = os.read(0, len(buffer))
                buffer[: len(block)] = block
                return len(block)
        return 0


def open_stdin(stop: threading.Event) -> BinaryIO:
    """Return standard input as a binary stream whose reads end soon after `stop` is set."""
    return io.BufferedReader(_Raw(stop))


def is_piped() -> bool:
    """Whether standard input is a pipe, a socket or a file: not a terminal, not /dev/null, not closed."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISREG(mode)


def has_data(stream: BinaryIO) -> bool:
    """Wait for the first byte; False where the input ends without one, or stays silent for `SILENT_SECONDS`.

    Only for a recipe that names problems of its own: a program started by another often inherits a pipe that nobody
    writes to. `-` as PROBLEMS waits for as long as it takes.
    """
    deadline = time.monotonic() + SILENT_SECONDS
    notice = time.monotonic() + NOTICE_SECONDS
    while time.monotonic() < deadline:
        if select.select([0], [], [], POLL_SECONDS)[0]:
            return bool(stream.peek(1))  # type: ignore[attr-defined]
        if time.monotonic() > notice:
            notice = deadline
            print("tts: waiting for problems on standard input …", file=sys.stderr)
    print(
        "tts: standard input is open but silent; going on with the recipe's own problems "
        "(say `-` to wait for standard input)",
        file=sys.stderr,
    )
    return False
