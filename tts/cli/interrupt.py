"""Ends before the end: Ctrl-C, once for good order, twice for at once; a time limit; a reader that has gone."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


@contextmanager
def stop_on_signals(stop: threading.Event, meanwhile: str = "what was drawn is being kept") -> Iterator[list[int]]:
    """Set `stop` on the first SIGINT or SIGTERM, leave at once on the second; yield the list of signals received.

    `meanwhile` is told of what was done so far.
    """
    received: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        if received:
            os._exit(128 + number)
        received.append(number)
        stop.set()
        os.write(sys.stderr.fileno(), f"\ntts: stopping; {meanwhile} (once more: stop at once)\n".encode())

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def stop_after(seconds: float | None, stop: threading.Event) -> Iterator[threading.Event]:
    """Set `stop` once the seconds have passed (None: never); yield the event that tells whether they have."""
    reached = threading.Event()

    def end() -> None:
        reached.set()
        stop.set()

    timer = None if seconds is None else threading.Timer(seconds, end)
    if timer is not None:
        timer.daemon = True
        timer.start()
    try:
        yield reached
    finally:
        if timer is not None:
            timer.cancel()


def leave_closed_pipe() -> NoReturn:
    """Leave quietly because nobody reads stdout any more (`| head`); nothing may be flushed into it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)
