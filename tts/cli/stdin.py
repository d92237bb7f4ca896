"""Standard input that can be waited for, and be left when the run is interrupted."""

from __future__ import annotations

import io
import os
import select
import stat
import threading
import time
from typing import BinaryIO

from tts.cli.streams import tell

NOTICE_SECONDS = 1.0
POLL_SECONDS = 0.1


class _Raw(io.RawIOBase):
    """File descriptor 0, read in moments; looks ended once `stop` is set. Says once that it waits for a first byte."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._notice_due: float | None = time.monotonic() + NOTICE_SECONDS

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
                self._notice_due = None
                return len(block)
            if self._notice_due is not None and time.monotonic() > self._notice_due:
                self._notice_due = None
                tell("waiting for problems on standard input … (`< /dev/null` where there are none)")
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
