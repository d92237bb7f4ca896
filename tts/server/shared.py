"""One engine for several runs: what all of them ask goes into one batch, and every problem gets its turn.

How it works. The engine lives in a thread of its own, which opens it, feeds it and steps it. A run has a `Share` of it,
which looks like an engine: `add` and `cancel` leave an order here, `step` waits for replies. Requests wait by problem,
and when the engine has room, the problems take turns, one request each. So a problem with 64 candidates fills the
batch while it is alone, and delays another by no more than the request whose place that one takes.

An engine that cannot go on is an EngineError of every run that steps its share.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from tts.errors import EngineError, EngineLoadError, TTSError
from tts.pipeline.asking import Name
from tts.protocols import Engine, FindsOut, Forgets, RewardEngine, Sized
from tts.types import Completion, Message, Request, RewardRequest, Rewards, Spent

STEP_SECONDS = 0.005
"""How long an engine that computes elsewhere is waited for before the next order is looked at."""
CLOSING_SECONDS = 10.0
PLENTY = 1 << 20
"""Room for requests that wait here: how many there are is bounded by who asks."""

Call = Request | RewardRequest
Reply = Completion | Rewards


class SharedEngine:
    """An engine that works in a thread of its own for all that have a `share` of it."""

    def __init__(self, engine: Engine | RewardEngine) -> None:
        self.engine = engine
        self.error: TTSError | None = None
        self.num_waiting = 0
        self._orders: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._waiting: dict[str, deque[Call]] = {}
        self._turns: deque[str] = deque()
        self._owners: dict[Name, Share] = {}
        self._flying: set[Name] = set()
        self._ready = threading.Event()
        # by this name the command's end knows a model that may still be loading
        self._thread = threading.Thread(target=self._work, name="tts-drawing", daemon=True)

    def open(self, stop: threading.Event) -> None:
        """Open the engine, and wait for it until `stop` is set. Raises EngineLoadError."""
        self._thread.start()
        while not self._ready.wait(0.1) and not stop.is_set():
            pass
        if self.error is not None:
            raise EngineLoadError(str(self.error)) from self.error

    def close(self) -> None:
        """Close the engine, once it is open; what is in flight is lost."""
        self._orders.put(None)
        if self._ready.is_set():
            self._thread.join(CLOSING_SECONDS)

    def share(self) -> Share:
        """Return what looks like an engine of one's own."""
        return Share(self)

    def order(self, what: Callable[[], None]) -> None:
        """Have something done in the engine's thread."""
        self._orders.put(what)

    # --- in the engine's thread

    def _work(self) -> None:
        try:
            self.engine.open()
            self._ready.set()
            while self._take_orders():
                self._feed()
                if self._flying:
                    self._tell(self.engine.step(STEP_SECONDS))
        except BaseException as error:
            told = error if isinstance(error, TTSError) else EngineError(f"{type(error).__name__}: {error}")
            self.error = told
            for share in set(self._owners.values()):
                share.wake()
        finally:
            self._ready.set()
            self.engine.close()

    def _take_orders(self) -> bool:
        """Do what is ordered; wait for an order where there is nothing else to do. False: it is over."""
        is_idle = not self._flying and not self._turns
        with suppress(queue.Empty):
            while True:
                order = self._orders.get(is_idle)
                if order is None:
                    return False
                order()
                is_idle = False
        return True

    def _feed(self) -> None:
        """Fill the batch, one request of each problem in turn."""
        while self._turns and self.engine.num_free > 0:
            problem_id = self._turns.popleft()
            waiting = self._waiting[problem_id]
            call = waiting.popleft()
            self.num_waiting -= 1
            if waiting:
                self._turns.append(problem_id)
            else:
                del self._waiting[problem_id]
            self._flying.add((problem_id, call.key))
            self.engine.add(call)  # type: ignore[arg-type]  # an engine is asked for one kind alone

    def _tell(self, replies: list[Completion] | list[Rewards]) -> None:
        by_share: dict[Share, list[Reply]] = {}
        for reply in replies:
            name = (reply.problem_id, reply.key)
            self._flying.discard(name)
            share = self._owners.pop(name, None)
            if share is None:
                raise EngineError(f"the engine returned {reply.key} of problem {reply.problem_id!r} unasked")
            by_share.setdefault(share, []).append(reply)
        for share, told in by_share.items():
            share.tell(told)

    def add(self, share: Share, calls: list[Call]) -> None:
        """Let calls wait for their turns."""
        for call in calls:
            self._owners[call.problem_id, call.key] = share
            waiting = self._waiting.get(call.problem_id)
            if waiting is None:
                waiting = self._waiting[call.problem_id] = deque()
                self._turns.append(call.problem_id)
            waiting.append(call)
        self.num_waiting += len(calls)

    def cancel(self, problem_id: str, key: str) -> None:
        """Stop a call on its way; one that waits comes back at once."""
        if (problem_id, key) in self._flying:
            return self.engine.cancel(problem_id, key)
        waiting = self._waiting.get(problem_id, deque())
        call = next((one for one in waiting if one.key == key), None)
        if call is None:
            return None
        waiting.remove(call)
        self.num_waiting -= 1
        if not waiting:
            del self._waiting[problem_id]
            self._turns.remove(problem_id)
        cancelled: Reply = (
            Rewards(problem_id, key, (), 0, error="it was cancelled")
            if isinstance(call, RewardRequest)
            else Completion(problem_id, key, "", "cancelled", 0, 0)
        )
        return self._owners.pop((problem_id, key)).tell([cancelled])

    def leave(self, share: Share) -> None:
        """Cancel all that a share waits for; nobody takes it any more."""
        for name in [name for name, owner in self._owners.items() if owner is share]:
            self.cancel(*name)

    def forget(self, problem_id: str) -> None:
        """Tell the engine that no call of this problem will come any more."""
        if isinstance(self.engine, Forgets):
            self.engine.forget(problem_id)


class Share:
    """What one run sees of a shared engine: an engine, which is open already. Problems have ids of their own."""

    def __init__(self, shared: SharedEngine) -> None:
        self._shared = shared
        self._replies: queue.SimpleQueue[list[Reply]] = queue.SimpleQueue()
        self._added: list[Call] = []  # and not yet handed over: `step` does that, for all at once
        self._num_in_flight = 0
        self.num_generated_tokens = 0

    def tell(self, replies: list[Reply]) -> None:
        """Hand over what came."""
        self._replies.put(replies)

    def wake(self) -> None:
        """Let `step` return at once: there is something else to do."""
        self._replies.put([])

    def check(self) -> None:
        """Nothing is missing."""

    def open(self) -> None:
        """It is open."""

    def close(self) -> None:
        """Give up what is in flight."""
        self._shared.order(partial(self._shared.leave, self))

    def capabilities(self) -> frozenset[str]:
        """What the engine can do."""
        return self._shared.engine.capabilities()

    @property
    def thinking_tags(self) -> tuple[str, str] | None:
        """The engine's."""
        tags: tuple[str, str] | None = getattr(self._shared.engine, "thinking_tags", None)
        return tags

    def render(self, messages: tuple[Message, ...]) -> tuple[str, int]:
        """Return the prompt as the model reads it. Raises EngineError: the engine is busy in its own thread."""
        del messages
        raise EngineError("a shared engine renders no prompt")

    def found(self) -> Mapping[str, str]:
        """Return what was found out about the engine."""
        return self._shared.engine.found() if isinstance(self._shared.engine, FindsOut) else {}

    @property
    def opening(self) -> Spent:
        """Nothing: it was open."""
        return Spent(0, 0, 0)

    @property
    def num_parameters(self) -> int | None:
        """The engine's."""
        return self._shared.engine.num_parameters if isinstance(self._shared.engine, Sized) else None

    @property
    def num_free(self) -> int:
        """There is room to wait."""
        return PLENTY - self._num_in_flight

    def add(self, request: Call) -> None:
        """Take one request."""
        self._num_in_flight += 1
        self._added.append(request)

    def step(self, patience_seconds: float = 0.1) -> list[Reply]:
        """Return what came, and wait for the first at most that long. Raises EngineError where no more will come."""
        self._hand_over()
        came: list[Reply] = []
        until = time.monotonic() + patience_seconds if self._num_in_flight else 0.0
        with suppress(queue.Empty):
            came += self._replies.get(timeout=max(0.0, until - time.monotonic()))
            while True:
                came += self._replies.get_nowait()
        if self._shared.error is not None and not came:
            raise EngineError(str(self._shared.error)) from self._shared.error
        self._num_in_flight -= len(came)
        self.num_generated_tokens += sum(reply.num_tokens or 0 for reply in came)
        return came

    def cancel(self, problem_id: str, key: str) -> None:
        """Stop one request."""
        self._hand_over()
        self._shared.order(partial(self._shared.cancel, problem_id, key))

    def forget(self, problem_id: str) -> None:
        """Tell that no call of this problem will come any more."""
        self._shared.order(partial(self._shared.forget, problem_id))

    def _hand_over(self) -> None:
        if self._added:
            self._shared.order(partial(self._shared.add, self, self._added))
            self._added = []
