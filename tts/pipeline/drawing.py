"""Draws: feeds the engine with the sampler's requests, keeps it full, and records each candidate as it arrives.

How it works. `run` is a loop in the drawing thread, and one turn of it is: fill, step, hand out.

1. Fill. While the engine wants more (`num_free`), the next request goes in. When a problem's requests are used up, the
   next row is taken from the intake: a bad row is handed out at once; of a problem all that an earlier session recorded
   is read back, the sampler is asked for what is missing, and it becomes pending with the keys that it waits for. So as
   many problems are in flight as fill the engine, and no more are begun. The engine is opened when the first request
   needs it: a run that has everything loads no model.
2. Step. The engine works for a moment and returns completions, of any problems, in any order.
3. Hand out. They become candidates (the only place where they do, `runs/candidates.py`) and are appended to the file in
   one write, before anybody learns of them. Then each problem that waits for nothing more is yielded whole.

A problem that is cancelled (`cancels`) asks no more, and what is on its way for it is cancelled in the engine. What
comes back cut short is no candidate but has been paid for: it is set aside (superseded.jsonl), so that a run which goes
on draws it.

What holds: a candidate is on disk before it is handed out, so that a crash loses only what is in flight; its seed comes
from (run seed, problem id, index) alone, so that neither order nor batching nor a crash changes it; every request comes
back exactly once, and a completion that nobody asked for ends the run; memory holds the problems in flight, not those
that are done.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from tts.components.component import Component
from tts.errors import EngineError, EngineLoadError
from tts.pipeline.calls import Search, call_seed
from tts.pipeline.cap import Cap
from tts.pipeline.intake import Intake
from tts.pipeline.outcomes import CANCELLED, Drawn, shortfall
from tts.protocols import Engine, Forgets, GuidingSampler, OneShotSampler, PluginHost, Sampler, SearchingSampler
from tts.runs.candidates import candidate_of
from tts.runs.files import AppendFile
from tts.runs.ledger import POLICY, Superseded, ledger
from tts.types import Candidate, Completion, Message, Order, Problem, ProblemRow, Request, RowError

IDLE_SECONDS = 0.05  # how long to wait for a new input row while nothing is in flight


def num_wanted(sampler: Sampler, row: ProblemRow) -> int:
    """Return how many candidates of a problem are drawn: as many as its sampler says, or fewer if its row does."""
    return sampler.num_candidates if row.num_candidates is None else min(row.num_candidates, sampler.num_candidates)


def lowered(sampler: SearchingSampler, row: ProblemRow) -> SearchingSampler:
    """Return the sampler with no more candidates and tokens than a problem's row allows.

    Searches of the recipe's own engines stay so: only the numbers are others.
    """
    asked = {"num_candidates": row.num_candidates, "max_tokens": row.max_tokens}
    less = {key: value for key, value in asked.items() if value is not None and value < getattr(sampler, key)}
    return sampler.model_copy(update=less) if less and isinstance(sampler, Component) else sampler


def requests_of(
    sampler: OneShotSampler, row: ProblemRow, messages: tuple[Message, ...], indices: tuple[int, ...], run_seed: int
) -> dict[str, Request]:
    """Return what asks for these candidates of a problem, by key. Raises EngineError where it is something else.

    The seed of a candidate that is drawn in one go is that of its index.
    """
    name, most = row.seed_name or row.problem.id, row.max_tokens
    seeds = tuple(call_seed(run_seed, name, str(index)) for index in indices)
    requests = list(sampler.requests(Order(row.problem, messages, indices, seeds)))
    by_key = {request.key: request for request in requests}
    if len(by_key) != len(requests) or not by_key.keys() <= set(map(str, indices)):
        raise EngineError(f"sampler {type(sampler).__name__} asked for other candidates than ordered")
    if most is None:
        return by_key
    return {
        key: replace(one, decoding=replace(one.decoding, max_tokens=min(most, one.decoding.max_tokens)))
        for key, one in by_key.items()
    }


@dataclass(slots=True)
class _Pending:
    number: int
    row: ProblemRow
    candidates: dict[int, Candidate]
    began: float
    awaited: dict[str, Request] = field(default_factory=dict)
    unasked: tuple[int, ...] = ()
    cut: list[Candidate] | None = None
    """Once it is cancelled: what came back cut short."""


@dataclass(slots=True)
class Progress:
    """Counters for the display; written by the drawing thread, read by any.

    `loading`: whether the engine is being opened. `opened_at` and `ended_at` are on the monotonic clock: when the
    engine was ready, and when drawing ended. Of searches it has those that are open, the tokens written and read by
    each engine so far, in earlier sessions too, counts the calls that came back, and names the engine that most calls
    wait for.
    """

    num_candidates: int = 0
    num_tokens: int = 0
    num_resumed: int = 0
    loading: bool = False
    searches: tuple[Search, ...] = ()
    tokens: Mapping[str, Sequence[int]] = field(default_factory=dict)
    num_calls: int = 0
    waits_for: str = ""
    opened_at: float | None = None
    ended_at: float | None = None

    @contextmanager
    def opening(self) -> Iterator[None]:
        """Note that engines are being opened; what they raise is an EngineLoadError."""
        self.loading = True
        try:
            yield
        except EngineError as error:
            raise EngineLoadError(str(error)) from error
        finally:
            self.loading = False

    @property
    def engine_ready(self) -> bool:
        """Whether the engine has been opened."""
        return self.opened_at is not None

    def seconds_drawing(self) -> float:
        """Return the seconds since the engine was ready, loading not included; 0 before."""
        return 0.0 if self.opened_at is None else (self.ended_at or time.monotonic()) - self.opened_at

    def tokens_per_second(self) -> float:
        """Return the tokens generated per second of drawing; 0 before the first."""
        return self.num_tokens / max(self.seconds_drawing(), 1e-9)


@dataclass(slots=True)
class Drawing:
    """One sampler drawing from one engine into one candidates file.

    `recorded` maps a problem's id to the byte offset of each candidate that an earlier session recorded, `superseded`
    to the candidates that are drawn anew. `opened` is called once the engine is. `cap` holds what may be spent;
    `cancels` are problems to be given up, put there by any thread, and `set_aside` records what came of them half.
    """

    engine: Engine
    sampler: OneShotSampler
    messages: Callable[[Problem], tuple[Message, ...]]
    run_seed: int
    file: AppendFile
    recorded: Mapping[str, Mapping[int, int]]
    superseded: Mapping[str, Sequence[Superseded]]
    stop: threading.Event
    opened: Callable[[], None] = lambda: None
    progress: Progress = field(default_factory=Progress)
    cap: Cap = field(default_factory=Cap)
    cancels: deque[str] = field(default_factory=deque)
    set_aside: Callable[[Candidate], None] = lambda _: None
    _cancelled: set[str] = field(default_factory=set)
    _held: Request | None = None  # the next one, which does not fit below the cap now
    _pending: dict[str, _Pending] = field(default_factory=dict)
    _requests: Iterator[Request] = field(default_factory=lambda: iter(()))
    _num_rows: int = 0
    _is_open: bool = False
    _forgetful: Forgets | None = None

    def run(self, intake: Intake) -> Iterator[Drawn]:
        """Yield bad rows as they are read and problems as they complete. Ends early once `stop` is set.

        The engine is opened when the first request needs it. Raises EngineError where it cannot go on, CapReachedError
        where the cap allows no more and what was asked has come.
        """
        try:
            while not self.stop.is_set():
                yield from self._cancel()
                yield from self._fill(intake)
                if self._held is not None and self.cap.is_idle:
                    raise self.cap.reached()
                if self._pending:
                    yield from self._step()
                elif intake.exhausted:
                    return
        finally:
            self.progress.ended_at = time.monotonic()

    def _fill(self, intake: Intake) -> Iterator[Drawn]:
        """Give the engine requests while it wants them and there are any."""
        while not self.stop.is_set() and (not self._is_open or self.engine.num_free > 0):
            request, self._held = self._held or next(self._requests, None), None
            if request is not None:
                if not self.cap.reserve(POLICY, request):
                    self._held = request
                    return
                self._open()
                if self.stop.is_set():
                    return
                self.engine.add(request)
                continue
            row = intake.take(0.0 if self._pending else IDLE_SECONDS)
            if row is None:
                return
            drawn = Drawn(self._num_rows, row) if isinstance(row, RowError) else self._begin(row)
            self._num_rows += 1
            if drawn is not None:
                yield drawn

    def _cancel(self) -> Iterator[Drawn]:
        """Give up problems: those that wait for nothing are handed out at once."""
        while self.cancels:
            problem_id = self.cancels.popleft()
            pending = self._pending.get(problem_id)
            if pending is None:
                self._cancelled.add(problem_id)  # it may be yet to come
                continue
            waiting = [self._held, *self._requests] if self._held is not None else [*self._requests]
            unasked = {request.key for request in waiting if request.problem_id == problem_id}
            self._held, self._requests = None, iter([one for one in waiting if one.problem_id != problem_id])
            pending.cut, pending.unasked = [], (*pending.unasked, *map(int, unasked))
            for key in unasked:
                del pending.awaited[key]
            for key in pending.awaited:
                self.engine.cancel(problem_id, key)
            if not pending.awaited:
                yield self._drawn(self._pending.pop(problem_id), resumed=False)

    def _open(self) -> None:
        if not self._is_open:
            if isinstance(self.sampler, GuidingSampler) and isinstance(self.engine, PluginHost):
                self.engine.host(self.sampler.plugin)
            self.cap.check()
            with self.progress.opening():
                self.engine.open()
            self._is_open = True
            self._forgetful = self.engine if isinstance(self.engine, Forgets) else None
            if not self.stop.is_set():  # else nobody waits any more, and the folder may be closed
                self.opened()
                self.progress.opened_at = time.monotonic()

    def _begin(self, row: ProblemRow) -> Drawn | None:
        """Order what is missing of one problem; return it at once where nothing is."""
        problem = row.problem
        candidates = {
            index: self.file.read(offset, Candidate) for index, offset in self.recorded.get(problem.id, {}).items()
        }
        self.progress.num_resumed += len(candidates)
        missing = tuple(index for index in range(num_wanted(self.sampler, row)) if index not in candidates)
        pending = _Pending(self._num_rows, row, candidates, time.monotonic())
        if missing and problem.id in self._cancelled:
            self._cancelled.discard(problem.id)
            pending.cut, pending.unasked = [], missing
            missing = ()
        if missing:
            pending.awaited = requests_of(self.sampler, row, self.messages(problem), missing, self.run_seed)
            pending.unasked = tuple(index for index in missing if str(index) not in pending.awaited)
            self._requests = iter(list(pending.awaited.values()))
        if not pending.awaited:
            return self._drawn(pending, resumed=not missing)
        self._pending[problem.id] = pending
        return None

    def _step(self) -> Iterator[Drawn]:
        """Let the engine work, record what it finished, yield the problems that are complete with it."""
        finished = self.engine.step()
        self.progress.num_tokens = self.engine.num_generated_tokens
        taken = [self._taken(completion) for completion in finished]
        candidates = [candidate for candidate in taken if candidate is not None]
        if candidates:
            self.file.append(*candidates)
            self.progress.num_candidates += len(candidates)
        for problem_id in dict.fromkeys(completion.problem_id for completion in finished):
            if not self._pending[problem_id].awaited:
                if self._forgetful is not None:
                    self._forgetful.forget(problem_id)
                yield self._drawn(self._pending.pop(problem_id), resumed=False)

    def _taken(self, completion: Completion) -> Candidate | None:
        """Return the candidate of a completion, which is no longer awaited; None where cancelling cut it short."""
        pending = self._pending.get(completion.problem_id)
        request = pending.awaited.pop(completion.key, None) if pending else None
        if pending is None or request is None:
            raise EngineError(f"the engine returned {completion.key} of problem {completion.problem_id!r} unasked")
        self.cap.settle(POLICY, completion)
        tags = self.engine.thinking_tags
        candidate = candidate_of(completion, int(completion.key), request.seed, request.sampler, tags)
        if pending.cut is not None and completion.finish_reason == "cancelled":
            self.set_aside(candidate)
            pending.cut.append(candidate)
            return None
        pending.candidates[candidate.index] = candidate
        return candidate

    def _drawn(self, pending: _Pending, *, resumed: bool) -> Drawn:
        candidates = tuple(pending.candidates[index] for index in sorted(pending.candidates))
        is_cut = pending.cut is not None
        return Drawn(
            pending.number,
            pending.row,
            candidates,
            ledger([*candidates, *(pending.cut or ()), *self.superseded.get(pending.row.problem.id, ())]),
            error=CANCELLED if is_cut else shortfall(candidates, pending.unasked),
            wall_seconds=None if resumed else time.monotonic() - pending.began,
        )
