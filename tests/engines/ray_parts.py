"""What the tests of replicas share: replicas on threads of this process, which can be killed and stopped."""

from __future__ import annotations

import itertools
import pickle
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any

from tts.engines.ray.places import Places
from tts.engines.ray.replica import Replica, Told
from tts.engines.replay import ReplayEngine
from tts.errors import EngineError
from tts.types import Completion, Decoding, Guidance, Message, Request

MESSAGES = (Message("user", "What is 6*7?"),)
DECODING = Decoding(max_tokens=24)


def requests(num_problems: int, each: int = 8, *, guided: bool = False) -> list[Request]:
    return [
        Request(
            f"p{number}",
            str(index),
            MESSAGES,
            DECODING,
            index,
            "s",
            Guidance(f"p{number}", each, 0.25) if guided else None,
        )
        for number in range(num_problems)
        for index in range(each)
    ]


class Remote:
    """A method whose `remote` returns a future."""

    def __init__(self, method: Any) -> None:
        self.remote = method


class Actor:
    """A replica on threads. Killed, its polls say so; stopped, they never come back."""

    def __init__(self, engine: Any, linger_seconds: float, versions: dict[str, str] | None) -> None:
        self.replica = Replica(pickle.loads(pickle.dumps(engine)), linger_seconds)
        self.num_stolen, self._versions = 0, versions
        self.dead = self.stopped = False
        self._polls: list[Future[Told | str]] = []
        self.submit, self.collect = Remote(self._submit), Remote(self._collect)
        self.plugin_report, self.close = Remote(self.replica.plugin_report), Remote(self.replica.close)

    def _submit(self, *arguments: Any) -> None:
        if not self.dead and not self.stopped:
            self.replica.submit(*arguments)

    def _collect(self, told: int, patience: float) -> Future[Told | str]:
        poll: Future[Told | str] = Future()
        self._polls = [one for one in self._polls if not one.done()] + [poll]

        def work() -> None:
            found = self.replica.collect(told, patience)
            if self._versions is not None and found.hello is not None:
                object.__setattr__(found.hello, "versions", self._versions)
            if not self.dead and not self.stopped:
                self._set(poll, found)

        if self.dead:
            poll.set_result("its process died")
        elif not self.stopped:
            threading.Thread(target=work, daemon=True).start()
        return poll

    @staticmethod
    def _set(poll: Future[Told | str], found: Told | str) -> None:
        if not poll.done():
            poll.set_result(found)

    def kill(self) -> None:
        self.dead = True
        for poll in self._polls:
            self._set(poll, "its process died")
        threading.Thread(target=self.replica.close, daemon=True).start()


class Threads:
    """A cluster of such replicas. `versions` are what the replicas say in turn, where they do not say their own."""

    def __init__(self, engine: Any, linger_seconds: float = 0.0, versions: Iterable[dict[str, str]] = ()) -> None:
        self._engine, self._linger, self._versions = engine, linger_seconds, iter(versions)
        self.actors: list[Actor] = []

    def start(self) -> Actor:
        self.actors.append(Actor(self._engine, self._linger, next(self._versions, None)))
        return self.actors[-1]

    @property
    def alive(self) -> list[Actor]:
        return [actor for actor in self.actors if not actor.dead]

    def ready(self, polls: Sequence[Future[Any]], seconds: float) -> list[Future[Any]]:
        return list(wait(polls, seconds, FIRST_COMPLETED).done)

    def result(self, poll: Future[Told | str]) -> Told | str:
        return poll.result()

    def end(self, actor: Actor) -> None:
        actor.kill()

    def close(self) -> None:
        for actor in self.alive:
            actor.kill()


def places(cluster: Threads, num: int = 2, hang_seconds: float = 20.0, start_seconds: float = 20.0) -> Places:
    made = Places(cluster, num, hang_seconds=hang_seconds, start_seconds=start_seconds)
    made.open()
    return made


def draw(driven: Any, wanted: Iterable[Request], each_step: Any = lambda _: None) -> list[Completion]:
    """Draw them all as the pipeline does; `each_step` gets what is there after each step."""
    left, done, num_flying = iter(wanted), list[Completion](), 0
    while True:
        while driven.num_free > 0 and (request := next(left, None)) is not None:
            driven.add(request)
            num_flying += 1
        if not num_flying:
            return done
        finished = driven.step(0.05)
        num_flying -= len(finished)
        done += finished
        each_step(done)


LIVES = itertools.count()


class Marked(ReplayEngine):
    """Says in each completion which engine drew it. Dies when it is given a call of a problem called `poison …`."""

    def open(self) -> None:
        super().open()
        object.__setattr__(self, "_life", float(next(LIVES)))

    def add(self, request: Any) -> None:
        if request.problem_id.startswith("poison"):
            raise EngineError("poisoned")
        super().add(request)

    def step(self, patience_seconds: float = 0.1) -> list[Any]:
        found = super().step(patience_seconds)
        for one in found:
            object.__setattr__(one, "engine_stats", {"life": object.__getattribute__(self, "_life")})
        return found


def replay(kind: type[ReplayEngine] = ReplayEngine, **keys: Any) -> ReplayEngine:
    return kind(script=["It is \\boxed{42}.", "no", "\\boxed{41}"], **keys)
