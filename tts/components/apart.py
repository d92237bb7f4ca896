"""An engine in a process of its own: two models then compute at the same time, and two vLLM fit into one recipe.

How it works. `apart(SomeEngine)` is the same engine with the key `separate_process`: what it can be asked while it is
closed it answers itself; `open` starts a child that opens the real one and works by itself (`Loop`), and the two talk
over a pair of sockets. What goes to the child are calls, cancellations and what may be forgotten; what comes back are
replies, beside how many more calls the engine wants. A `Loop` knows nothing of processes: what serves a replica
elsewhere runs the same one.

Who dies. The child ends when its socket does, whatever it is doing, so it outlives a parent that was killed by no more
than a moment. It is in a session of its own: Ctrl-C reaches the parent, which closes it. A child that ends is an
EngineError. What the child prints goes to stderr, since stdout carries results only.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from multiprocessing.connection import Connection
from typing import Any, Literal, TypeAlias, cast

from pydantic import Field, PrivateAttr

from tts.components.component import Component
from tts.errors import EngineError, TTSError, described
from tts.protocols import Forgets, PluginHost, Sized
from tts.types import Completion, PluginReport, Request, RewardRequest, Rewards

CLOSING_SECONDS = 30.0
WORKING_SECONDS = 0.02
"""How long an engine that computes elsewhere is waited for before the next message is looked at."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What is known of an engine once it is open."""

    capabilities: frozenset[str]
    num_parameters: int | None
    num_free: int


@dataclass(frozen=True, slots=True)
class Told:
    """What came of calls; of `num_added` that had arrived, the engine wants `num_free` more."""

    replies: list[Completion | Rewards] = field(default_factory=list)
    num_added: int = 0
    num_free: int = 0
    num_generated_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Failed:
    """Why the engine cannot go on, or could not be opened."""

    reason: str


Message: TypeAlias = "tuple[str, tuple[Any, ...]]"
"""Name of an engine's method, and its arguments."""


class Loop:
    """Opens an engine and works on what `inbox` holds, until that is None; hands `send` what comes of it.

    What comes in together is all done before the next step.
    """

    def __init__(
        self,
        engine: Any,
        inbox: queue.SimpleQueue[list[Message] | None],
        send: Callable[[object], None],
    ) -> None:
        self._engine, self._inbox, self._send = engine, inbox, send
        self._num_added = self._num_in_flight = 0

    def run(self) -> None:
        """Work. Whatever the engine raises is sent as data."""
        try:
            with self._engine as engine:
                known = engine.num_parameters if isinstance(engine, Sized) else None
                self._send(Opened(engine.capabilities(), known, engine.num_free))
                while self._take():
                    self._work()
        except TTSError as error:
            self._send(Failed(str(error)))
        except BaseException as error:  # whatever it is, somebody must be told before this ends
            traceback.print_exc()
            self._send(Failed(described(error)))

    def _take(self) -> bool:
        """Do what the messages say; wait for one while there is nothing to work on. False: it is to end."""
        while self._num_in_flight == 0 or not self._inbox.empty():
            messages = self._inbox.get()
            if messages is None:
                return False
            for name, arguments in messages:
                self._do(name, arguments)
        return True

    def _do(self, name: str, arguments: tuple[Any, ...]) -> None:
        if name == "add":
            self._num_added += 1
            self._num_in_flight += 1
        if name == "forget" and not isinstance(self._engine, Forgets):
            return
        result = getattr(self._engine, name)(*arguments)
        if name == "plugin_report":
            self._send(result)

    def _work(self) -> None:
        replies = self._engine.step(WORKING_SECONDS)
        self._num_in_flight -= len(replies)
        written = getattr(self._engine, "num_generated_tokens", 0)
        self._send(Told(replies, self._num_added, self._engine.num_free, written))


class _Child:
    """The child, as its parent sees it."""

    def __init__(self, engine: Component, name: str) -> None:
        ours, theirs = socket.socketpair()
        self.name = name
        self._pipe = Connection(ours.detach())
        command = f"from tts.components.apart import serve; serve({theirs.fileno()})"
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", command],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=2,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        self._num_added = self.num_in_flight = 0
        try:
            self._send(pickle.dumps(engine))
            self.opened = cast("Opened", self._receive())
        except BaseException:
            self.close()
            raise
        self._told = Told(num_free=self.opened.num_free)

    @property
    def num_free(self) -> int:
        """How many more calls the engine wants, those that it has not heard of yet left out."""
        return max(0, self._told.num_free - (self._num_added - self._told.num_added))

    @property
    def num_generated_tokens(self) -> int:
        """Tokens generated, as far as was told."""
        return self._told.num_generated_tokens

    def tell(self, name: str, *arguments: object) -> None:
        """Have a method of the engine called."""
        if name == "add":
            self._num_added += 1
            self.num_in_flight += 1
        self._send((name, arguments))

    def step(self, patience_seconds: float) -> list[Any]:
        """Return what came; wait for the first at most that long."""
        replies: list[Completion | Rewards] = []
        while self.num_in_flight and self._pipe.poll(0.0 if replies else patience_seconds):
            self._told = cast("Told", self._receive())
            replies += self._told.replies
            self.num_in_flight -= len(self._told.replies)
        return replies

    def plugin_report(self) -> PluginReport | None:
        """Return what the plugin did; what else comes meanwhile is of calls that nobody waits for any more."""
        self._send(("plugin_report", ()))
        while isinstance(told := self._receive(), Told):
            pass
        return cast("PluginReport | None", told)

    def close(self) -> None:
        """End the child."""
        try:
            self._pipe.send(None)
            self._process.wait(CLOSING_SECONDS)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
        self._pipe.close()
        self._process.wait()

    def _send(self, message: object) -> None:
        try:
            self._pipe.send(message)
        except OSError as error:
            raise self._death() from error

    def _receive(self) -> object:
        try:
            message = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise self._death() from error
        if isinstance(message, Failed):
            raise EngineError(message.reason)
        return message

    def _death(self) -> EngineError:
        code = self._process.wait()
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return EngineError(
            f"the process of the engine `{self.name}` {how}. If memory ran out, lower its `batch_size`. What is on "
            "record stays: run the command again with the same --run DIR to go on"
        )


class _Apart(Component):
    """What an engine that works in another process answers itself."""

    _child: _Child | None = PrivateAttr(default=None)

    def open(self) -> None:
        """Start the process, and open the engine there."""
        base = cast("type[Component]", self.stands_for)
        super().close()
        engine = base.model_construct(**{name: self.__dict__[name] for name in base.model_fields})
        for name in base.__private_attributes__:  # what it was told while it was closed: a plugin, what to measure
            setattr(engine, name, getattr(self, name))
        self._child = _Child(engine, base.__name__)

    def close(self) -> None:
        """End the process."""
        super().close()
        child, self._child = self._child, None
        if child is not None:
            child.close()

    def capabilities(self) -> frozenset[str]:
        """What the engine can do."""
        return self._child.opened.capabilities if self._child is not None else super().capabilities()  # type: ignore[misc]  # the engine's class stands behind this one

    @property
    def num_free(self) -> int:
        """How many more calls the engine wants."""
        return self._opened_child.num_free

    @property
    def num_generated_tokens(self) -> int:
        """Tokens generated since `open`, as far as was told."""
        return self._opened_child.num_generated_tokens

    def add(self, call: Request | RewardRequest) -> None:
        """Take one call."""
        self._opened_child.tell("add", call)

    def cancel(self, problem_id: str, key: str) -> None:
        """Stop one call."""
        self._opened_child.tell("cancel", problem_id, key)

    def forget(self, problem_id: str) -> None:
        """Free what was kept for a problem's later calls."""
        self._opened_child.tell("forget", problem_id)

    def step(self, patience_seconds: float = 0.1) -> list[Any]:
        """Return what finished; wait for the first at most that long."""
        return self._opened_child.step(patience_seconds)

    @property
    def _opened_child(self) -> _Child:
        if self._child is None:
            raise EngineError("the engine must be open; call `open()` first")
        return self._child


class _SizeTold(_Apart):
    """The same of one whose size is no key of its own."""

    @property
    def num_parameters(self) -> int | None:
        """How many parameters one token passes through; None while it is closed."""
        return None if self._child is None else self._child.opened.num_parameters


class _Hosting(_Apart):
    """The same of one that runs a sampler's plugin."""

    def plugin_report(self) -> PluginReport | None:
        """What the plugin did since `open`."""
        return None if self._child is None else self._child.plugin_report()


def may_be_apart(engine: type[Component]) -> bool:
    """Return whether it is an engine that computes in our process, so that it can do so in another."""
    return hasattr(engine, "step") and not hasattr(engine, "ask_before_sending_again")


@cache
def apart(engine: type[Component]) -> type[Component]:
    """Return an engine's class with the key `separate_process`, whose work is done in a process of its own."""
    mixins: list[type[Component]] = [_Hosting] if issubclass(engine, PluginHost) else []
    mixins += [_Apart] if "num_parameters" in engine.model_fields else [_SizeTold]
    parts = {
        "__module__": engine.__module__,
        "__doc__": engine.__doc__,
        "__annotations__": {"separate_process": Literal[True]},
        "separate_process": Field(default=True, description="That it works in a process of its own."),
        "stands_for": engine,
        "circumstances": engine.circumstances | {"separate_process"},
    }
    make: Callable[..., type[Component]] = type(engine)
    return make(engine.__name__, (*mixins, engine), parts)


def serve(file_descriptor: int) -> None:
    """Be the child: open the engine that comes first, and work until told to end, or until nobody is there."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe = Connection(file_descriptor)
    inbox: queue.SimpleQueue[list[Message] | None] = queue.SimpleQueue()

    def listen() -> None:
        try:
            while True:
                message = pipe.recv()
                inbox.put(None if message is None else [message])
        except (EOFError, OSError):  # the parent is gone, and whatever is being done is for nobody
            os._exit(1)

    engine = pickle.loads(pipe.recv())
    threading.Thread(target=listen, daemon=True).start()
    Loop(engine, inbox, pipe.send).run()
