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

What holds: a candidate is on disk before it is handed out, so that a crash loses only what is in flight; its seed comes
from (run seed, problem id, index) alone, so that neither order nor batching nor a crash changes it; every request comes
back exactly once, and a completion that nobody asked for ends the run; memory holds the problems in flight, not those
that are done.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tts.errors import EngineError, EngineLoadError
from tts.pipeline.calls import call_seed
from tts.pipeline.intake import Intake
from tts.pipeline.outcomes import Drawn, shortfall
from tts.protocols import Engine, GuidingSampler, OneShotSampler, PluginHost
from tts.runs.candidates import candidate_of
from tts.runs.files import AppendFile
from tts.runs.ledger import Superseded, ledger
from tts.types import Candidate, Completion, Message, Order, Problem, ProblemRow, Request, RowError

IDLE_SECONDS = 0.05  # how long to wait for a new input row while nothing is in flight


def candidate_seed(run_seed: int, problem_id: str, index: int) -> int:
    """Return the seed of a candidate that is drawn in one go: its key is its index."""
    return call_seed(run_seed, problem_id, str(index))


@dataclass(slots=True)
class _Pending:
    number: int
    row: ProblemRow
    candidates: dict[int, Candidate]
    began: float
    awaited: dict[str, Request] = field(default_factory=dict)
    unasked: tuple[int, ...] = ()


@dataclass(slots=True)
class Progress:
    """Counters for the display; written by the drawing thread, read by any.

    `loading`: whether the engine is being opened. `opened_at` and `ended_at` are on the monotonic clock: when the
    engine was ready, and when drawing ended. Of searches it counts those that are open, the calls that came back, and
    names the engine that most calls wait for.
    """

    num_candidates: int = 0
    num_tokens: int = 0
    num_resumed: int = 0
    loading: bool = False
    num_open: int = 0
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
    to the candidates that are drawn anew. `opened` is called once the engine is.
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
    _pending: dict[str, _Pending] = field(default_factory=dict)
    _requests: Iterator[Request] = field(default_factory=lambda: iter(()))
    _num_rows: int = 0
    _is_open: bool = False

    def run(self, intake: Intake) -> Iterator[Drawn]:
        """Yield bad rows as they are read and problems as they complete. Ends early once `stop` is set.

        The engine is opened when the first request needs it. Raises EngineError where it cannot go on.
        """
        try:
            while not self.stop.is_set():
                yield from self._fill(intake)
                if self._pending:
                    yield from self._step()
                elif intake.exhausted:
                    return
        finally:
            self.progress.ended_at = time.monotonic()

    def _fill(self, intake: Intake) -> Iterator[Drawn]:
        """Give the engine requests while it wants them and there are any."""
        while not self.stop.is_set() and (not self._is_open or self.engine.num_free > 0):
            request = next(self._requests, None)
            if request is not None:
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

    def _open(self) -> None:
        if not self._is_open:
            if isinstance(self.sampler, GuidingSampler) and isinstance(self.engine, PluginHost):
                self.engine.host(self.sampler.plugin)
            with self.progress.opening():
                self.engine.open()
            self._is_open = True
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
        missing = tuple(index for index in range(self.sampler.num_candidates) if index not in candidates)
        pending = _Pending(self._num_rows, row, candidates, time.monotonic())
        if missing:
            seeds = tuple(candidate_seed(self.run_seed, problem.id, index) for index in missing)
            requests = list(self.sampler.requests(Order(problem, self.messages(problem), missing, seeds)))
            pending.awaited = {request.key: request for request in requests}
            if len(pending.awaited) != len(requests) or not pending.awaited.keys() <= set(map(str, missing)):
                raise EngineError(f"sampler {type(self.sampler).__name__} asked for other candidates than ordered")
            pending.unasked = tuple(index for index in missing if str(index) not in pending.awaited)
            self._requests = iter(requests)
        if not pending.awaited:
            return self._drawn(pending, resumed=not missing)
        self._pending[problem.id] = pending
        return None

    def _step(self) -> Iterator[Drawn]:
        """Let the engine work, record what it finished, yield the problems that are complete with it."""
        finished = self.engine.step()
        self.progress.num_tokens = self.engine.num_generated_tokens
        candidates = [self._taken(completion) for completion in finished]
        if candidates:
            self.file.append(*candidates)
            self.progress.num_candidates += len(candidates)
        for problem_id in dict.fromkeys(candidate.problem_id for candidate in candidates):
            if not self._pending[problem_id].awaited:
                yield self._drawn(self._pending.pop(problem_id), resumed=False)

    def _taken(self, completion: Completion) -> Candidate:
        """Return the candidate of a completion, which is no longer awaited."""
        pending = self._pending.get(completion.problem_id)
        request = pending.awaited.pop(completion.key, None) if pending else None
        if pending is None or request is None:
            raise EngineError(f"the engine returned {completion.key} of problem {completion.problem_id!r} unasked")
        tags = self.engine.thinking_tags
        candidate = candidate_of(completion, int(completion.key), request.seed, request.sampler, tags)
        pending.candidates[candidate.index] = candidate
        return candidate

    def _drawn(self, pending: _Pending, *, resumed: bool) -> Drawn:
        candidates = tuple(pending.candidates[index] for index in sorted(pending.candidates))
        return Drawn(
            pending.number,
            pending.row,
            candidates,
            ledger([*candidates, *self.superseded.get(pending.row.problem.id, ())]),
            error=shortfall(candidates, pending.unasked),
            wall_seconds=None if resumed else time.monotonic() - pending.began,
        )
