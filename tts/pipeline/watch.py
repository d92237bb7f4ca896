"""Ends the turn of a search that neither awaits nor returns: an exception is raised in the thread that it runs in.

It reaches pure Python alone. A loop in C, or one that swallows every exception, goes on; it is named once, so that
whoever looks at the screen knows what holds the run up.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable


class Stuck(BaseException):
    """Raised inside a search that neither awaits nor returns; `except Exception` does not catch it."""


class Watch:
    """Watches the turns of one thread, at most `seconds` each; `told` is called with what could not be ended."""

    def __init__(self, seconds: float, told: Callable[[str], None]) -> None:
        self._seconds, self._told = seconds, told
        self._lock = threading.Lock()
        self._began: float | None = None
        self._warned = False
        self._thread = 0
        self._name = ""
        self._over = threading.Event()
        threading.Thread(target=self._run, name="tts-watch", daemon=True).start()

    def enter(self, name: str) -> None:
        """Note that a turn begins in this thread; `name` says whose."""
        self._thread, self._name, self._warned = threading.get_ident(), name, False
        self._began = time.monotonic()

    def leave(self) -> None:
        """Note that it is over."""
        with self._lock:
            self._began = None

    def close(self) -> None:
        """Stop watching."""
        self._over.set()

    def _run(self) -> None:
        while not self._over.wait(min(1.0, self._seconds / 4)):
            with self._lock:
                if self._began is None:
                    continue
                over = time.monotonic() - self._began - self._seconds
                if over > 0 and not self._warned:
                    self._warned = True
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread), ctypes.py_object(Stuck))
                elif over > self._seconds:
                    self._told(f"{self._name} neither awaits nor returns and cannot be ended: press Ctrl-C twice")
                    self._began = None
