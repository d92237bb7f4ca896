"""The recipes behind the URL: who is asked, how much may wait, and when a new folder begins.

How it works. Each recipe has a `Session`, an ordinary run whose rows are the requests (`tts.server.session`). The
engines are shared (`tts.server.shared`): one model serves all recipes, and problems take turns.

A run folder would grow for ever, so a session ends after `MOST_A_SESSION` requests and the next one takes over in a
folder of its own; what the old one still has to draw it draws to its end. The folders are temporary, and gone with
their session, unless they are to be kept.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from math import ceil
from pathlib import Path
from typing import Any

from tts.errors import RunFolderError, UsageError
from tts.pipeline.run import refuse_lacking
from tts.protocols import AskingRewardEngine, GuidingSampler, MeasuresWhenAsked, PluginHost
from tts.recipe import Recipe, rebuild_recipe
from tts.server.asking import Asked
from tts.server.metrics import Metrics
from tts.server.refusal import RefusalError
from tts.server.session import Session, Ticket
from tts.server.shared import SharedEngine
from tts.types import Problem, ProblemRow, Reference

MOST_A_SESSION = 2000
"""Requests whose records stand in one folder."""
MOST_WAITING = 512
ENDING_SECONDS = 30.0
KINDS = ("math", "text", "code")
"""Of problems that are whole in words; a choice has options, which a chat has no place for."""


class Service:
    """Recipes that are asked by name, over engines that they share. `kept` is where all runs are kept, if anywhere."""

    def __init__(
        self, recipes: Sequence[Recipe], *, kept: Path | None = None, most_waiting: int = MOST_WAITING
    ) -> None:
        self.recipes = {recipe.name: recipe for recipe in recipes}
        self.metrics = Metrics(self.recipes)
        self.began = int(time.time())
        self.failed: BaseException | None = None
        self._check(recipes)
        self._kept, self._most_waiting = kept, most_waiting
        self._engines: dict[tuple[type, str], SharedEngine] = {}
        self._sessions: dict[str, Session] = {}
        self._ending: list[Session] = []
        self._numbers, self._name = itertools.count(), secrets.token_hex(4)
        self._answered: deque[float] = deque(maxlen=64)
        self.num_waiting = 0
        self.ending = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def _check(self, recipes: Sequence[Recipe]) -> None:
        """Raise UsageError where these recipes cannot be served together."""
        first = recipes[0]
        if len(self.recipes) < len(recipes):
            raise UsageError(f"each recipe must have a name of its own, got {', '.join(one.name for one in recipes)}")
        for recipe in recipes:
            if recipe.task.kind not in KINDS:
                raise UsageError(
                    f"`{recipe.name}` must have a task whose problems are whole in words ({', '.join(KINDS)}), got "
                    f"{recipe.task.kind}: a chat has no place for options"
                )
            if _key(recipe.engine) != _key(first.engine):
                raise UsageError(
                    f"the recipes `{first.name}` and `{recipe.name}` must have the same `engine`, which serves both: "
                    "start another server for the other model"
                )
        plugins = {one.name: one.sampler.plugin for one in recipes if isinstance(one.sampler, GuidingSampler)}
        if len({repr(plugin) for plugin in plugins.values()}) > 1:
            raise UsageError(f"the samplers of {', '.join(plugins)} must have the same settings: one engine hosts them")

    def open(self, stop: threading.Event) -> None:
        """Open all engines, or until `stop` is set. Raises EngineLoadError, RunFolderError."""
        if self._kept is not None:
            try:
                self._kept.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise RunFolderError(f"cannot make the folder {self._kept}: {error.strerror}") from error
        for recipe in self.recipes.values():
            own = rebuild_recipe(recipe.resolved(), name=recipe.name)
            for engine in own.engines().values():
                if not isinstance(engine, AskingRewardEngine) and _key(engine) not in self._engines:
                    self._engines[_key(engine)] = SharedEngine(engine)
        policy = next(iter(self._engines.values())).engine
        scorers = [one.selector.scorer for one in self.recipes.values() if one.selector.scorer is not None]
        if isinstance(policy, MeasuresWhenAsked):
            policy.measure(frozenset[str]().union(*(scorer.requires for scorer in scorers)))
        guiding = [one.sampler for one in self.recipes.values() if isinstance(one.sampler, GuidingSampler)]
        if guiding and isinstance(policy, PluginHost):
            policy.host(guiding[0].plugin)
        for shared in self._engines.values():
            if not stop.is_set():
                shared.open(stop)
        for recipe in self.recipes.values() if not stop.is_set() else ():
            refuse_lacking(recipe, self._shares(recipe))

    def close(self) -> None:
        """Close all engines."""
        for shared in self._engines.values():
            shared.close()

    async def begin(self) -> None:
        """Take requests from now on, in the event loop that runs. `failed` tells whether that can be."""
        self._loop = asyncio.get_running_loop()
        for name in self.recipes:
            self._sessions[name] = self._session(name)
        for session in list(self._sessions.values()):
            await asyncio.to_thread(session.ready.wait)

    async def end(self) -> None:
        """Let all sessions end, and stop those that do not within `ENDING_SECONDS`."""
        sessions = [*self._sessions.values(), *self._ending]
        for session in sessions:
            session.end()
        await asyncio.to_thread(_join, sessions, ENDING_SECONDS)
        for session in sessions:
            session.stop.set()
        await asyncio.to_thread(_join, sessions, ENDING_SECONDS)

    # --- in the event loop

    @property
    def num_queued(self) -> int:
        """How many calls wait for room in the engines."""
        return sum(shared.num_waiting for shared in self._engines.values())

    def ask(self, asked: Asked) -> Ticket:
        """Begin to answer a request. Raises RefusalError where too many wait, or nothing can go on."""
        self.refuse_failed()
        if self.num_waiting >= self._most_waiting:
            self.metrics.count(asked.model, "busy")
            raise RefusalError(
                429, f"{self.num_waiting} requests are waiting already", retry_after=self._seconds_until_room()
            )
        session = self._sessions[asked.model]
        if session.num_asked >= MOST_A_SESSION:
            session.end()
            self._ending = [one for one in self._ending if one.thread.is_alive()] + [session]
            session = self._sessions[asked.model] = self._session(asked.model)
        assert self._loop is not None
        name = f"{self._name}-{next(self._numbers)}"
        ticket = Ticket(name, asked, self._loop.create_future(), session, time.monotonic())
        self.num_waiting += 1
        session.ask(ticket, self._row(ticket))
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Give up a request whose client has gone."""
        if not ticket.reply.done():
            ticket.reply.cancel()
            self._over(ticket, "gone")
            ticket.session.leave(ticket.name)

    def done(self, ticket: Ticket, told: dict[str, Any] | RefusalError) -> None:
        """Hand a reply to whoever waits for it."""
        if ticket.reply.done():
            return
        if isinstance(told, RefusalError):
            self._over(ticket, "failed")
            ticket.reply.set_exception(told)
        else:
            self._over(ticket, "answered")
            self._answered.append(time.monotonic())
            self.metrics.answered(ticket.asked.model, time.monotonic() - ticket.began, told)
            ticket.reply.set_result(told)

    def refuse_failed(self) -> None:
        """Raise RefusalError where nothing can be answered any more."""
        error = self.failed or next((one.error for one in self._engines.values() if one.error is not None), None)
        if error is not None:
            raise RefusalError(503, f"the server does not answer: it cannot go on: {error}")

    def fail(self, error: BaseException) -> None:
        """Answer nothing any more."""
        self.failed = self.failed or error

    def soon(self, what: Callable[..., object], *arguments: object) -> None:
        """Do something in the event loop, from any thread."""
        assert self._loop is not None
        with suppress(RuntimeError):  # the loop is over: nobody waits any more
            self._loop.call_soon_threadsafe(what, *arguments)

    def _over(self, ticket: Ticket, how: str) -> None:
        self.num_waiting -= 1
        self.metrics.count(ticket.asked.model, how)

    def _seconds_until_room(self) -> int:
        """Return the seconds in which, at the rate of late, half of those that wait are answered."""
        if len(self._answered) < 2:
            return 1
        each = (time.monotonic() - self._answered[0]) / len(self._answered)
        return max(1, min(60, ceil(each * self.num_waiting / 2)))

    def _row(self, ticket: Ticket) -> ProblemRow:
        """Return what is asked as a row. A question alone gets the recipe's prompt; a conversation is sent as it is."""
        asked = ticket.asked
        last, is_alone = asked.messages[-1], len(asked.messages) == 1
        kind = self.recipes[asked.model].task.kind
        problem = Problem(ticket.name, last.content, kind, () if is_alone else asked.messages, metadata=asked.caller)
        less = (asked.num_candidates, asked.max_tokens, asked.seed_name)
        return ProblemRow(problem, Reference(), ticket.session.num_asked + 1, *less)

    # --- sessions

    def _session(self, name: str) -> Session:
        recipe = rebuild_recipe(self.recipes[name].resolved(), name=name)
        return Session(self, recipe, self._shares(recipe))

    def _shares(self, recipe: Recipe) -> dict[str, Any]:
        return {
            place: engine if isinstance(engine, AskingRewardEngine) else self._engines[_key(engine)].share()
            for place, engine in recipe.engines().items()
        }

    @contextmanager
    def folder(self, name: str) -> Iterator[Path]:
        """Yield the run folder of a new session."""
        if self._kept is None:
            with tempfile.TemporaryDirectory(prefix="tts-serve-", ignore_cleanup_errors=True) as temporary:
                yield Path(temporary)
            return
        for number in itertools.count(1):
            path = self._kept / (name if number == 1 else f"{name}-{number}")
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                continue
            except OSError as error:
                raise RunFolderError(f"cannot make the run folder {path}: {error.strerror}") from error
            yield path
            return


def _key(engine: Any) -> tuple[type, str]:
    """Return what tells engines apart: two that say the same are one."""
    return type(engine), engine.model_dump_json()


def _join(sessions: Sequence[Session], seconds: float) -> None:
    until = time.monotonic() + seconds
    for session in sessions:
        session.thread.join(max(0.0, until - time.monotonic()))
