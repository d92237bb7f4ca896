"""What lives between `open` and `close`: one event loop in a thread of its own, and a task for each request.

    the caller's thread:  add, cancel ── call_soon_threadsafe ──► the loop's thread: a task a request, in `Client.ask`
                          step ◄──────────── queue ─────────────┘

Cancelling a task closes its stream, and so tells the server; what came so far is the completion. A task may ask for
several candidates at once (`choices_per_request`): then it is a list of requests that want the same, and the server's
choice i is the completion of the i-th. The caller's thread owns nothing that the loop writes but the queue.

What attempts took that broke off is not known: they are counted for the most that it can be, as the run's cap does.
"""

from __future__ import annotations

import asyncio
import queue
import random
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tts.engines.asked import AskedIds, asked_ids_of, may_be_spaced, together
from tts.engines.openai.answer import Answer, Choice, completion_of
from tts.engines.openai.bodies import body_of, text_of
from tts.engines.openai.client import Client, RefusedError, Server
from tts.engines.openai.keys import OpenAIKeys
from tts.engines.openai.loop import Loop
from tts.engines.openai.probes import Found, Probes, common
from tts.engines.openai.tokens import Tokens
from tts.engines.slots import SlotQueue
from tts.errors import EngineError
from tts.plugins.esamp.settings import ESampSettings
from tts.runs.ledger import WASTED, WASTED_READ, most_read
from tts.types import Completion, FinishReason, Message, Request

Name = tuple[str, str]
MOST_HOMES = 100_000
"""Of how many problems it is remembered on which server they are."""


@dataclass(eq=False, slots=True)
class _Job:
    """Requests that one request to the server serves. `open` are those whose completion is yet to come."""

    requests: tuple[Request, ...]
    open: set[Name] = field(default_factory=set)
    answer: Answer = field(default_factory=Answer)
    task: asyncio.Task[None] | None = None
    num_broken: int = 0
    asked_ids: tuple[AskedIds, ...] = ()


class Session:
    """An open engine."""

    def __init__(
        self, keys: OpenAIKeys, may: Callable[[str, str], bool] | None = None, esamp: ESampSettings | None = None
    ) -> None:
        self.keys, self._may = keys, may
        self._slots = SlotQueue(esamp)
        self._held: deque[Request] = deque()
        self._client = Client(keys, rng=random.Random(), clock=time.monotonic)
        arguments = keys.extra_body.get("chat_template_kwargs")
        self._tokens = Tokens(self._client, arguments if isinstance(arguments, dict) else {})
        self._loop = Loop()
        self._out: queue.SimpleQueue[Completion | EngineError] = queue.SimpleQueue()
        self._jobs: dict[Name, _Job] = {}
        self._flying: dict[Name, Request] = {}
        self._waiting: dict[Any, list[Request]] = {}
        self._homes: OrderedDict[str, Server] = OrderedDict()
        self._num_written = 0
        self.found = Found()

    def probe(self) -> None:
        """Find out what the servers can do. Raises EngineError where one does not answer as it should."""

        async def every() -> list[Found]:
            return await asyncio.gather(
                *(Probes(self._client, self.keys, server).run() for server in self._client.servers)
            )

        try:
            self.found = common(self._loop.run(every()))
        except RefusedError as error:
            raise EngineError(str(error)) from error

    def end(self) -> None:
        """Cancel what is on its way, close all connections, end the thread."""
        self._loop.end(self._client.close)

    def render(self, messages: tuple[Message, ...]) -> tuple[str, int]:
        """Return the prompt as the server renders it, and how many tokens it is. Raises RefusedError, EngineError."""

        async def ask() -> tuple[str, int]:
            if self.keys.route == "chat":
                ids = await self._tokens.prompt(self._client.pick, messages)
            else:
                ids = await self._tokens.text(self._client.pick, text_of(messages), whole=True)
            return await self._tokens.decoded(self._client.pick, ids), len(ids)

        return self._loop.run(ask())

    # --- the caller's thread

    @property
    def num_free(self) -> int:
        """How many more requests may be on their way; 0 while one waits for a distiller."""
        return (
            0 if self._held else max(0, self.keys.max_concurrency * self.keys.choices_per_request - len(self._flying))
        )

    @property
    def num_tokens(self) -> int:
        """Tokens written so far, those of unfinished answers as far as they came."""
        running = {id(job): job for job in list(self._jobs.values())}
        return self._num_written + sum(job.answer.num_pieces for job in running.values())

    def add(self, request: Request) -> None:
        """Take one request. Those that can go together wait for each other until the next step."""
        if self._held or not self._slots.lets_in(request):
            return self._held.append(request)
        self._slots.enter(request)
        self._flying[request.problem_id, request.key] = request
        most = self.keys.choices_per_request
        if most == 1 or request.prefix:
            self._loop.post(self._begin, _Job((request,)))
            return None
        kind = (request.problem_id, request.messages, request.decoding, request.guidance)
        group = self._waiting.setdefault(kind, [])
        group.append(request)
        if len(group) == most:
            self._flush(kind)
        return None

    def cancel(self, problem_id: str, key: str) -> None:
        """Stop one request."""
        self._flush()
        for request in self._held:
            if (request.problem_id, request.key) == (problem_id, key):
                self._held.remove(request)
                self._flying[problem_id, key] = replace(request, guidance=None)  # it was in no group yet
                return self._out.put(Completion(problem_id, key, "", "cancelled", 0, 0))
        self._loop.post(self._cancel, (problem_id, key))
        return None

    def step(self, patience_seconds: float) -> list[Completion]:
        """Return what finished; wait for the first at most that long."""
        self._flush()
        finished: list[Completion] = []
        while self._flying:
            try:
                got = self._out.get_nowait() if finished else self._out.get(timeout=patience_seconds)
            except queue.Empty:
                break
            if isinstance(got, EngineError):
                raise got
            self._slots.leave(self._flying.pop((got.problem_id, got.key)))
            finished.append(got)
        while self._held and self._slots.lets_in(self._held[0]):
            held, self._held = self._held, deque()
            self.add(held.popleft())
            self._held.extend(held)
        return finished

    def forget(self, problem_id: str) -> None:
        """Let go of what was kept for a problem."""
        self._loop.post(self._homes.pop, problem_id, None)

    def _flush(self, kind: Any = None) -> None:
        for one in [kind] if kind is not None else list(self._waiting):
            self._loop.post(self._begin, _Job(tuple(self._waiting.pop(one))))

    # --- the loop's thread

    def _begin(self, job: _Job) -> None:
        for request in job.requests:
            name = (request.problem_id, request.key)
            job.open.add(name)
            self._jobs[name] = job
        job.task = self._loop.task(self._serve(job))
        job.task.add_done_callback(lambda task: self._cancelled(job) if task.cancelled() else None)

    def _cancelled(self, job: _Job) -> None:  # maybe before it began
        for index in range(len(job.requests)):
            self._tell(job, index, "cancelled")

    def _cancel(self, name: Name) -> None:
        job = self._jobs.get(name)
        if job is None or job.task is None:
            return
        if len(job.open) == 1:
            job.task.cancel()
            return
        for index, request in enumerate(job.requests):  # the others of its kind go on
            if (request.problem_id, request.key) == name:
                self._tell(job, index, "cancelled")

    async def _serve(self, job: _Job) -> None:
        try:
            await self._ask(job)
            for index in range(len(job.requests)):
                self._tell(job, index)
        except RefusedError as error:
            job.answer = Answer()
            for index in range(len(job.requests)):
                self._tell(job, index, "error", str(error))
        except EngineError as error:
            self._out.put(error)
        except Exception as error:
            self._out.put(EngineError(f"the request could not be made ({type(error).__name__}: {error})"))

    async def _ask(self, job: _Job) -> None:
        """Fill a job's answer. Raises RefusedError, EngineError."""
        request = job.requests[0]
        manners = self.found.manners
        self._refuse(request)
        home = self._homes.get(request.problem_id)

        def pick() -> Server:
            nonlocal home
            home = self._client.pick(home, stays=request.guidance is not None and home is not None)
            self._homes[request.problem_id] = home
            self._homes.move_to_end(request.problem_id)
            if len(self._homes) > MOST_HOMES:
                self._homes.popitem(last=False)
            return home

        def answer() -> Answer:
            job.answer = Answer()
            return job.answer

        def broke(is_last: bool) -> bool:
            job.num_broken += 1
            may = self._may
            return is_last or may is None or all(may(one.problem_id, one.key) for one in job.requests)

        prompt_ids = None
        if request.prefix and manners.prefix == "ids":
            prompt_ids = list(await self._tokens.prompt(pick, request.messages))
            for piece in request.prefix:
                prompt_ids += piece.token_ids or await self._tokens.text(pick, piece.text)
        if request.decoding.ask_tokens and manners.asked == "ids":
            asked = request.decoding.ask_tokens
            job.asked_ids = tuple([await self._said_by(pick, text) for text in asked])
        body = body_of(
            self.keys,
            manners,
            request,
            num_choices=len(job.requests),
            prompt_ids=prompt_ids,
            asked_ids=job.asked_ids,
        )
        told = await self._client.ask(pick, body.path, body.content, answer, broke)
        if len(told.choices) < len(job.requests):
            raise RefusedError(f"{len(job.requests)} choices were asked for, and {len(told.choices)} came")

    def _refuse(self, request: Request) -> None:
        """Raise RefusedError where the request wants what this server does not do."""
        decoding = request.decoding
        if not self.found.manners.temperature and decoding.temperature != 1:
            raise RefusedError(f"the server takes no temperature, so it must be 1, got {decoding.temperature:g}")
        wanted = {
            "top_p": decoding.top_p < 1,
            "top_k": decoding.top_k > 0,
            "min_p": decoding.min_p > 0,
            "top_n_sigma": decoding.top_n_sigma > 0,
            "first_token": decoding.first_token is not None,
            "prefix": bool(request.prefix),
            "ask_tokens": bool(decoding.ask_tokens),
            "esamp": request.guidance is not None,
        }
        for name, is_wanted in wanted.items():
            if is_wanted and name not in self.found.capabilities:
                raise RefusedError(f"the server is not known to do `{name}`: {self.found.told.get(name, 'not tried')}")

    def _tell(self, job: _Job, index: int, finish_reason: FinishReason | None = None, error: str | None = None) -> None:
        """Hand out a completion, once."""
        request = job.requests[index]
        name = (request.problem_id, request.key)
        if name not in job.open:
            return
        job.open.discard(name)
        del self._jobs[name]
        stats: dict[str, float] = {}
        if job.num_broken:
            stats["broken_attempts"] = float(job.num_broken)
            stats[WASTED] = float(job.num_broken * request.decoding.max_tokens)
            stats[WASTED_READ] = float(job.num_broken * most_read(request)) if index == 0 else 0.0
        if error is not None:
            self._out.put(
                Completion(request.problem_id, request.key, "", "error", 0, 0, error=error, engine_stats=stats)
            )
            return
        completion = completion_of(
            request,
            job.answer,
            index,
            finish_reason=finish_reason,
            tags=self.keys.thinking_tags,
            with_token_logprobs=self.keys.record_token_logprobs,
            asked=_asked(request, job.answer.choices.get(index), job.asked_ids),
            stats=stats,
        )
        done = job.answer.choices.get(index)
        self._num_written += (done.pieces if done else 0) if completion.num_tokens is None else completion.num_tokens
        self._out.put(completion)

    async def _said_by(self, pick: Callable[[], Server], text: str) -> AskedIds:
        token_id = await self._tokens.token(pick, text, "ask_tokens")
        return asked_ids_of(token_id, await self._tokens.text(pick, f" {text}") if may_be_spaced(text) else ())


def _asked(request: Request, choice: Choice | None, asked_ids: Sequence[AskedIds]) -> tuple[float | None, ...] | None:
    """Return the log-probabilities of the texts that were asked for, as far as they were told."""
    asked = request.decoding.ask_tokens
    if not asked or choice is None or not choice.top:
        return None
    told = choice.top[0]  # by the token's text, or by its id where the server was started so
    ids: Sequence[AskedIds] = asked_ids or [()] * len(asked)
    names = [
        dict.fromkeys([text, *([f" {text}"] if may_be_spaced(text) else []), *(f"token_id:{one}" for one in said_by)])
        for text, said_by in zip(asked, ids, strict=True)
    ]
    return tuple(together(map(told.get, each)) for each in names)
