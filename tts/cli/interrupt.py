"""Ends before the end: Ctrl-C and SIGTERM, once to stop in good order, twice to stop at once; and a time limit."""

from __future__ import annotations

import multiprocessing
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
        os.write(2, f"\ntts: stopping; {meanwhile} (once more: stop at once)\n".encode())

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


def leave(code: int) -> NoReturn:
    """End the process. A model that is still loading in a thread, which nothing can stop, is left where it is."""
    if any(thread.name == "tts-drawing" for thread in threading.enumerate()):
        for child in multiprocessing.active_children():
            child.terminate()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
