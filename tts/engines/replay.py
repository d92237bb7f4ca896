"""Replays completions from a run folder, a file or a script: for tests, examples and selecting anew."""

from __future__ import annotations

import heapq
import math
import time
import zlib
from collections import deque
from functools import lru_cache
from typing import Annotated, Any, ClassVar, NamedTuple, Self

from pydantic import Field, PrivateAttr, model_validator

from tts.components.component import Component, Section
from tts.components.slot import PathText
from tts.errors import EngineError
from tts.protocols import FILTERS
from tts.runs.completions import (
    Completions,
    MissingCompletionError,
    Script,
    ScriptedCompletions,
    StoredCompletions,
)
from tts.types import Completion, FinishReason, Message, Request, RewardRequest, Rewards


class Failure(Section):
    """One candidate that is to fail."""

    problem_id: str
    """The problem."""
    index: int = Field(ge=0)
    """Which of its candidates."""
    error: str = Field(default="scripted failure", min_length=1)
    """What the error candidate says."""


class ReplayEngine(Component):
    """Answers each request with a completion that exists already; where there is none, with an `error`.

    The decoding parameters change nothing: a completion is handed out as it is. So is one whose confidence is below the
    request's floor, unless it is `abandoned` on record.
    """

    source: PathText | None = None
    """A run folder, or a JSONL file of completions: rows with problem_id, text and any other key of a candidate."""

    script: Script | None = None
    """Completions by problem id (`*`: every other problem), or one list for all problems. Each is a text or a mapping
    with `text` and any other key of a candidate; candidate i gets number i, starting over after the last."""

    failures: Annotated[tuple[Annotated[Failure, Field(strict=False)], ...], Field(strict=False)] = ()
    """Candidates that are to fail whatever is stored for them."""

    rewards: Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], Field(strict=False)] = ()
    """What a reward model says: a step gets one of these, chosen by what it and the steps before it say."""

    crash_after: int | None = Field(default=None, ge=0)
    """Stop with an engine error after this many completions, as an engine that dies would."""

    delay_seconds: float = Field(default=0.0, ge=0)
    """How long each completion takes; those of one batch take it together."""

    batch_size: int = Field(default=256, ge=1)
    """How many requests are worked on together."""

    num_parameters: int | None = Field(default=None, ge=1)
    """How many parameters one token passes through, for the cost in FLOPs; null: that is not known."""

    circumstances: ClassVar[frozenset[str]] = frozenset(
        {"batch_size", "crash_after", "delay_seconds", "num_parameters"}
    )

    thinking_tags: ClassVar[None] = None
    """Completions on record come split already."""

    _playback: _Playback | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if self.source is None and self.script is None and self.rewards:
            return self
        if (self.source is None) == (self.script is None):
            raise ValueError(
                "exactly one of `source` and `script` must be given: where do the completions come from? One that only "
                "rates takes `rewards` alone"
            )
        return self

    def _completions(self) -> Completions:
        return StoredCompletions(self.source) if self.source is not None else ScriptedCompletions(self.script or {})

    def capabilities(self) -> frozenset[str]:
        """Return what changes nothing here (`seeds`, `top_p`, …), and what the completions bring of the rest.

        A script brings what all its completions have, a file what its first has; errors and cancelled ones do not
        count. Raises EngineError where the file cannot be read.
        """
        always = {"deterministic", "seeds", "stop_strings", "prefix"} | FILTERS
        return self._completions().capabilities | always | ({"rewards"} if self.rewards else set())

    def open(self) -> None:
        """Check the completions. Raises EngineError naming file and line of the first that is wrong."""
        self.close()
        self._playback = _Playback(self, self._completions())
        self._playback.completions.open()

    def close(self) -> None:
        """Close the file; what is in flight is forgotten."""
        if self._playback is not None:
            self._playback.completions.close()
        self._playback = None

    def render(self, messages: tuple[Message, ...]) -> tuple[str, int]:
        """Return the messages' contents, a blank line between them, and the number of their words."""
        prompt = "\n\n".join(message.content for message in messages)
        return prompt, _count_words(messages)

    @property
    def num_free(self) -> int:
        """How many more requests fit into the batch."""
        return max(0, self.batch_size - self._opened.num_in_flight)

    @property
    def num_generated_tokens(self) -> int:
        """Tokens of the completions handed out since `open`."""
        return self._opened.num_tokens

    def add(self, request: Request | RewardRequest) -> None:
        """Take one request."""
        self._opened.add(request)

    def step(self, patience_seconds: float = 0.1) -> list[Any]:
        """Return the completions whose time has come, in that order; wait for the first at most that long."""
        return self._opened.step(patience_seconds)

    def cancel(self, problem_id: str, key: str) -> None:
        """Stop one request; it comes back without text, because a completion is handed out whole or not at all."""
        self._opened.cancel(problem_id, key)

    @property
    def _opened(self) -> _Playback:
        playback = self._playback  # read once: pydantic looks private attributes up slowly
        if playback is None:
            raise EngineError("the replay engine must be opened before it is used")
        return playback


class _Running(NamedTuple):
    """A request that is being worked on. They sort by due time, then by arrival, which is unique."""

    due: float
    arrival: int
    request: Request | RewardRequest
    reply: Completion | Rewards


class _Playback:
    """The requests in flight: `batch_size` of them run, first come first served, the others wait."""

    def __init__(self, engine: ReplayEngine, completions: Completions) -> None:
        self.completions = completions
        self.num_tokens = 0
        self._engine = engine
        self._failures = {(failure.problem_id, str(failure.index)): failure.error for failure in engine.failures}
        self._waiting: deque[Request | RewardRequest] = deque()
        self._running: list[_Running] = []
        self._num_started = 0
        self._num_finished = 0

    @property
    def num_in_flight(self) -> int:
        return len(self._waiting) + len(self._running)

    def add(self, request: Request | RewardRequest) -> None:
        self._waiting.append(request)

    def step(self, patience_seconds: float) -> list[Completion | Rewards]:
        while self._waiting and len(self._running) < self._engine.batch_size:
            request = self._waiting.popleft()
            self._run(request, *self._answer(request))
        if not self._running:
            return []
        left = self._left_before_crash()
        time.sleep(max(0.0, min(self._running[0].due - time.monotonic(), patience_seconds)))
        now = time.monotonic()
        finished: list[Completion | Rewards] = []
        while self._running and self._running[0].due <= now and len(finished) < left:
            finished.append(heapq.heappop(self._running).reply)
        self._num_finished += len(finished)
        self.num_tokens += sum(reply.num_tokens or 0 for reply in finished)
        return finished

    def cancel(self, problem_id: str, key: str) -> None:
        def is_meant(request: Request | RewardRequest) -> bool:
            return request.problem_id == problem_id and request.key == key

        requests = [*self._waiting, *(running.request for running in self._running)]
        self._waiting = deque(request for request in self._waiting if not is_meant(request))
        self._running = [running for running in self._running if not is_meant(running.request)]
        heapq.heapify(self._running)
        for request in filter(is_meant, requests):
            self._run(request, 0.0, _unwritten(request, "cancelled"))

    def _run(self, request: Request | RewardRequest, delay_seconds: float, reply: Completion | Rewards) -> None:
        running = _Running(time.monotonic() + delay_seconds, self._num_started, request, reply)
        heapq.heappush(self._running, running)
        self._num_started += 1

    def _left_before_crash(self) -> float:
        if self._engine.crash_after is None:
            return math.inf
        left = self._engine.crash_after - self._num_finished
        if left <= 0:
            raise EngineError(f"the replay engine stops after {self._num_finished} completions, as `crash_after` says")
        return left

    def _answer(self, request: Request | RewardRequest) -> tuple[float, Completion | Rewards]:
        """Return how long the request takes, and what comes of it."""
        if isinstance(request, RewardRequest):
            return self._engine.delay_seconds, self._rewards(request)
        failure = self._failures.get((request.problem_id, request.key))
        if failure is not None:
            return 0.0, _unwritten(request, "error", failure)
        try:
            found = self.completions.find(request.problem_id, request.key)
        except MissingCompletionError as missing:
            return 0.0, _unwritten(request, "error", str(missing))
        delay = self._engine.delay_seconds if found.delay_seconds is None else found.delay_seconds
        asked = request.decoding.ask_tokens
        return delay, found.completion(request.problem_id, request.key, _num_words(request), asked)

    def _rewards(self, request: RewardRequest) -> Rewards:
        """Return a value for each step: a function of the texts up to it."""
        values, so_far = self._engine.rewards, 0
        given = []
        for step in request.steps:
            so_far = zlib.crc32(step.encode("utf-8", "surrogatepass"), so_far)
            given.append(values[so_far % len(values)])
        return Rewards(request.problem_id, request.key, tuple(given), _num_words(request))


def _unwritten(
    request: Request | RewardRequest, finish_reason: FinishReason, error: str | None = None
) -> Completion | Rewards:
    if isinstance(request, RewardRequest):
        return Rewards(request.problem_id, request.key, (), 0, error=error or f"it was {finish_reason}")
    return Completion(request.problem_id, request.key, "", finish_reason, _num_words(request), 0, error=error)


def _num_words(request: Request | RewardRequest) -> int:
    """Return the words of a prompt and of what stands behind it."""
    behind = request.steps if isinstance(request, RewardRequest) else [piece.text for piece in request.prefix]
    return _count_words(request.messages) + sum(len(text.split()) for text in behind)


@lru_cache(maxsize=256)
def _count_words(messages: tuple[Message, ...]) -> int:
    """Return the words of a prompt; all candidates of a problem share one."""
    return sum(len(message.content.split()) for message in messages)
