"""One run that draws what is asked of one recipe, in one folder, for as long as rows come.

    event loop (a thread)                intake thread           drawing thread          session's thread
    ask ─ rows ───────────────────────►  rows → problems.jsonl ► a share of the engine ► judge ─┐
        ◄─ future, call_soon_threadsafe ───────────────────────────────────────────────────────┘

How it works. A recipe that is served is an ordinary run whose rows come from a queue: a request is a row, and its
outcome goes back to the future that waits under the row's id. Batching across requests, records and judging come with
that. Whoever leaves gives up what he asked for: the problem is cancelled, and so are its calls.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tts.pipeline.outcomes import CANCELLED, Outcome, Solved
from tts.pipeline.run import Run, open_run
from tts.recipe import Recipe
from tts.server import replies
from tts.server.asking import Asked
from tts.server.refusal import RefusalError
from tts.server.shared import Share
from tts.types import ProblemRow, RowError


class Host(Protocol):
    """Who begins sessions, and hears of them."""

    def folder(self, name: str) -> AbstractContextManager[Path]:
        """The run folder of a new session of the recipe called `name`."""

    def soon(self, what: Callable[..., object], *arguments: object) -> None:
        """Do something in the event loop, from any thread."""

    def done(self, ticket: Ticket, told: dict[str, Any] | RefusalError) -> None:
        """Hand a reply to whoever waits for it."""

    def fail(self, error: BaseException) -> None:
        """Answer nothing any more."""


@dataclass(eq=False, slots=True)
class Ticket:
    """A request on its way: what it asked, and where its reply comes."""

    name: str
    asked: Asked
    reply: asyncio.Future[dict[str, Any]]
    session: Session
    began: float


class Session:
    """A run that draws what is asked of one recipe, for as long as rows come."""

    def __init__(self, host: Host, recipe: Recipe, shares: Mapping[str, Any]) -> None:
        self.num_asked = 0
        self.stop, self.ready = threading.Event(), threading.Event()
        self._host, self._recipe, self._shares = host, recipe, shares
        self._rows: queue.SimpleQueue[ProblemRow | None] = queue.SimpleQueue()
        self._waiting: dict[str, Ticket] = {}
        self._run: Run | None = None
        self.thread = threading.Thread(target=self._work, name=f"tts-session-{recipe.name}", daemon=True)
        self.thread.start()

    # --- in the event loop

    def ask(self, ticket: Ticket, row: ProblemRow) -> None:
        """Put a row into the run."""
        self.num_asked += 1
        self._waiting[ticket.name] = ticket
        self._rows.put(row)

    def leave(self, name: str) -> None:
        """Give up what one asked for."""
        if self._waiting.pop(name, None) is not None and self._run is not None:
            self._run.cancel(name)
            self._wake()

    def end(self) -> None:
        """Take no more rows: the session ends once what it has is drawn."""
        self._rows.put(None)

    def _tell(self, name: str, told: dict[str, Any] | RefusalError) -> None:
        ticket = self._waiting.pop(name, None)
        if ticket is not None:
            self._host.done(ticket, told)

    def _fail(self, error: BaseException) -> None:
        self._host.fail(error)
        self._refuse_all(f"it cannot go on: {error}")

    def _refuse_all(self, why: str) -> None:
        for name in list(self._waiting):
            self._tell(name, RefusalError(503, f"the server does not answer: {why}"))

    # --- in its own threads

    def _work(self) -> None:
        try:
            with (
                self._host.folder(self._recipe.name) as folder,
                open_run(self._recipe, self._taken(), folder, stop=self.stop, engines=self._shares) as run,
            ):
                self._run = run
                run.evaluators.open(self._recipe.task.kind)  # before the first request, and not while it waits
                self.ready.set()
                for outcome in run.outcomes():
                    self._hand_out(run, outcome)
        except BaseException as error:
            self._host.soon(self._fail, error)
        else:
            self._host.soon(self._refuse_all, "it was stopped before the answer was there")
        finally:
            self.ready.set()

    def _taken(self) -> Iterator[ProblemRow]:
        """Yield the rows as they come. When the next one is wanted, the last one is on disk: it can be drawn."""
        for row in iter(self._rows.get, None):
            if row.problem.id in self._waiting:
                yield row
                self._wake()

    def _wake(self) -> None:
        for share in self._shares.values():
            if isinstance(share, Share):
                share.wake()

    def _hand_out(self, run: Run, outcome: Outcome) -> None:
        told: dict[str, Any] | RefusalError
        if isinstance(outcome, RowError):
            told, name = RefusalError(400, outcome.message, "messages"), outcome.problem_id or ""
        else:
            name = outcome.row.problem.id
            ticket = self._waiting.get(name)
            if ticket is None:
                return
            try:
                told = self._reply(run, ticket, outcome)
            except Exception as error:  # of a selector, which may be a plugin's
                told = RefusalError(500, f"there is no answer: {type(error).__name__}: {error}")
        self._host.soon(self._tell, name, told)

    def _reply(self, run: Run, ticket: Ticket, solved: Solved) -> dict[str, Any] | RefusalError:
        if solved.solution.error == CANCELLED:
            return RefusalError(503, "the server was stopped before the answer was there")
        choices = replies.choices_of(run.recipe.selector, solved, ticket.asked.num_choices)
        if not choices:
            why = solved.solution.error or "no candidate was drawn"
            return RefusalError(500, f"there is no answer: {why}")
        return replies.completion(ticket.name, ticket.asked.model, solved, choices)
