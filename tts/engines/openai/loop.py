"""An event loop in a thread of its own, which other threads hand work to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
END_SECONDS = 10.0
"""How long the end of what is on its way may take."""


class Loop:
    """Runs from the start until `end`."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="tts-openai")
        self._thread.start()

    def post(self, what: Callable[..., object], *arguments: Any) -> None:
        """Call something in the loop's thread, in the order in which it was posted."""
        self._loop.call_soon_threadsafe(what, *arguments)

    def task(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a coroutine; only within the loop's thread."""
        return self._loop.create_task(coroutine)

    def run(self, coroutine: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """Return what a coroutine returns, or raise what it raises."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout)

    def end(self, close: Callable[[], Awaitable[None]]) -> None:
        """Cancel every task, call `close`, end the thread."""

        async def stop() -> None:
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await close()

        try:
            self.run(stop(), END_SECONDS)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(END_SECONDS)
            if not self._thread.is_alive():
                self._loop.close()
