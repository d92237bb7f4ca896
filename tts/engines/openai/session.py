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
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from tts.engines.asked import AskedIds, asked_ids_of, may_be_spaced, together
from tts.engines.openai.answer import Answer, Choice, completion_of
from tts.engines.openai.bodies import CONTINUE, body_of
from tts.engines.openai.client import Client, RefusedError, Server
from tts.engines.openai.keys import OpenAIKeys
from tts.engines.openai.probes import Found, Probes, common, tokenized
from tts.engines.slots import SlotQueue
from tts.errors import EngineError
from tts.plugins.esamp.settings import ESampSettings
from tts.runs.ledger import WASTED, WASTED_READ, most_read
from tts.types import Completion, FinishReason, Message, Request

T = TypeVar("T")
Name = tuple[str, str]
MOST_HOMES = 100_000
"""Of how many problems it is remembered on which server they are."""
MOST_RENDERED = 1_000
"""How many prompts' token ids are kept."""


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
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="tts-openai")
        self._out: queue.SimpleQueue[Completion | EngineError] = queue.SimpleQueue()
        self._jobs: dict[Name, _Job] = {}
        self._flying: dict[Name, Request] = {}
        self._waiting: dict[Any, list[Request]] = {}
        self._homes: OrderedDict[str, Server] = OrderedDict()
        self._ids: OrderedDict[Any, tuple[int, ...]] = OrderedDict()
        self._num_written = 0
        self.found = Found()
        self._thread.start()

    def probe(self) -> None:
        """Find out what the servers can do. Raises EngineError where one does not answer as it should."""

        async def every() -> list[Found]:
            return await asyncio.gather(*(Probes(self._client, server).run() for server in self._client.servers))

        try:
            self.found = common(self._run(every()))
        except RefusedError as error:
            raise EngineError(str(error)) from error

    def end(self) -> None:
        """Cancel what is on its way, close all connections, end the thread."""

        async def stop() -> None:
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._client.close()

        try:
            self._run(stop(), 10.0)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10.0)
            if not self._thread.is_alive():
                self._loop.close()

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
            self._loop.call_soon_threadsafe(self._begin, _Job((request,)))
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
        self._loop.call_soon_threadsafe(self._cancel, (problem_id, key))
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
        self._loop.call_soon_threadsafe(self._homes.pop, problem_id, None)

    def _flush(self, kind: Any = None) -> None:
        for one in [kind] if kind is not None else list(self._waiting):
            self._loop.call_soon_threadsafe(self._begin, _Job(tuple(self._waiting.pop(one))))

    def _run(self, coroutine: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout)

    # --- the loop's thread

    def _begin(self, job: _Job) -> None:
        for request in job.requests:
            name = (request.problem_id, request.key)
            job.open.add(name)
            self._jobs[name] = job
        job.task = self._loop.create_task(self._serve(job))

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
        except asyncio.CancelledError:
            for index in range(len(job.requests)):
                self._tell(job, index, "cancelled")
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

        server = pick()
        prompt_ids = None
        if request.prefix and manners.prefix == "ids":
            prompt_ids = list(await self._rendered(server, request.messages))
            for piece in request.prefix:
                prompt_ids += piece.token_ids or await self._encoded(server, piece.text)
        if request.decoding.ask_tokens and manners.asked == "ids":
            job.asked_ids = tuple([await self._said_by(server, text) for text in request.decoding.ask_tokens])
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

    # --- tokens, where the server tells them

    async def _rendered(self, server: Server, messages: tuple[Message, ...]) -> tuple[int, ...]:
        told = [{"role": message.role, "content": message.content} for message in messages]
        how = (
            {"chat_template_kwargs": self.keys.extra_body["chat_template_kwargs"]}
            if ("chat_template_kwargs" in self.keys.extra_body)
            else {}
        )
        continues = CONTINUE if told and told[-1]["role"] == "assistant" else {}
        return await self._kept(server, messages, messages=told, **how, **continues)

    async def _encoded(self, server: Server, text: str) -> Sequence[int]:
        return await self._kept(server, text, prompt=text, add_special_tokens=False) if text else ()

    async def _said_by(self, server: Server, text: str) -> AskedIds:
        ids = await self._encoded(server, text)
        if len(ids) != 1:
            raise RefusedError(f"`ask_tokens` must be one token of this model each, got {text!r}, which is {len(ids)}")
        return asked_ids_of(ids[0], await self._encoded(server, f" {text}") if may_be_spaced(text) else ())

    async def _kept(self, server: Server, kind: Any, **what: Any) -> tuple[int, ...]:
        if kind not in self._ids:
            ids = await tokenized(self._client, server, **what)
            if ids is None:
                raise RefusedError(f"{server.url} does not tell the tokens of a text (its route /tokenize)")
            self._ids[kind] = tuple(ids)
            if len(self._ids) > MOST_RENDERED:
                self._ids.popitem(last=False)
        return self._ids[kind]


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
