"""Draws by searches: begins them as the engines have room, drives them together, hands a problem on when it is over.

The next problem begins while no call waits for what draws candidates, and fewer than one batch of them wait for other
engines: so the batch stays full and few problems are open. A candidate is in its file when the search hands it in; the
line that says that a search is over comes after them.

A problem that is cancelled (`cancels`) ends at once: its calls are given up, and a run that goes on draws it anew.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from tts.errors import CallError, MisuseError
from tts.pipeline.calls import Search, begin
from tts.pipeline.cap import Cap
from tts.pipeline.drawing import IDLE_SECONDS, Progress
from tts.pipeline.driver import Driver, Reads
from tts.pipeline.intake import Intake
from tts.pipeline.outcomes import CANCELLED, Drawn, shortfall
from tts.protocols import Engine, SearchingSampler
from tts.runs.call_log import CallLog
from tts.runs.files import AppendFile
from tts.types import Candidate, Message, Problem, ProblemRow, RowError


@dataclass(slots=True)
class _Open:
    number: int
    row: ProblemRow
    began: float
    search: Search
    cancelled: bool = False


@dataclass(slots=True)
class Searching:
    """One searching sampler over the engines of its recipe, by their places; the first one draws candidates.

    `recorded` maps a problem's id to the byte offset of each candidate that was handed in, `log` holds the calls. All
    engines are opened when the first search needs them, and `opened` is called then; `told` says what the user should
    know. `cap` holds what may be spent; `cancels` are problems to be given up, put there by any thread.
    """

    engines: Mapping[str, Engine]
    sampler: SearchingSampler
    messages: Callable[[Problem], tuple[Message, ...]]
    reads: Reads
    run_seed: int
    file: AppendFile
    log: CallLog
    recorded: Mapping[str, Mapping[int, int]]
    stop: threading.Event
    opened: Callable[[], None] = lambda: None
    told: Callable[[str], None] = lambda _: None
    progress: Progress = field(default_factory=Progress)
    cap: Cap = field(default_factory=Cap)
    cancels: deque[str] = field(default_factory=deque)
    _cancelled: set[str] = field(default_factory=set)
    _open: dict[str, _Open] = field(default_factory=dict)
    _driver: Driver | None = None
    _num_rows: int = 0

    def run(self, intake: Intake) -> Iterator[Drawn]:
        """Yield bad rows as they are read and problems as their searches end. Ends early once `stop` is set.

        Raises EngineError where an engine cannot go on, CapReachedError where the cap allows no more, OtherSearchError
        where the record does not fit.
        """
        try:
            while not self.stop.is_set():
                yield from self._cancel()
                yield from self._fill(intake)
                if self._driver is not None and (self._open or self._driver.is_asking):  # what was given up is paid for
                    self._driver.step()
                    self._note_progress(self._driver)
                    yield from self._ended()
                elif intake.exhausted:
                    return
        finally:
            self.progress.ended_at = time.monotonic()
            if self._driver is not None:
                self._driver.close()

    def _note_progress(self, driver: Driver) -> None:
        progress = self.progress
        progress.num_tokens = self._policy.num_generated_tokens
        progress.num_calls, progress.num_open = driver.num_replies, len(self._open)
        progress.waits_for = max(self.engines, key=driver.num_working)

    @property
    def _policy(self) -> Engine:
        return next(iter(self.engines.values()))

    def _fill(self, intake: Intake) -> Iterator[Drawn]:
        """Begin searches while there is room for their calls."""
        while not self.stop.is_set() and self._has_room():
            row = intake.take(0.0 if self._open else IDLE_SECONDS)
            if row is None:
                return
            number, self._num_rows = self._num_rows, self._num_rows + 1
            if isinstance(row, RowError):
                yield Drawn(number, row)
            elif row.problem.id in self.log.ended:
                yield self._recalled(number, row)
            elif row.problem.id in self._cancelled:
                self._cancelled.discard(row.problem.id)
                yield Drawn(number, row, error=CANCELLED)
            else:
                self._begin(number, row)
                yield from self._ended()

    def _cancel(self) -> Iterator[Drawn]:
        """Give up problems."""
        while self.cancels:
            problem_id = self.cancels.popleft()
            open_ = self._open.get(problem_id)
            if open_ is None or open_.search.root is None:
                self._cancelled.add(problem_id)  # it may be yet to come
                continue
            open_.cancelled = True
            open_.search.root.end(error=CallError(CANCELLED))
        yield from self._ended()

    def _has_room(self) -> bool:
        if self._driver is None:
            return True
        policy, *others = self.engines
        num_elsewhere = sum(map(self._driver.num_queued, others))
        room = self._policy.num_free
        return not self._driver.num_queued(policy) and room > 0 and num_elsewhere <= room

    def _recalled(self, number: int, row: ProblemRow) -> Drawn:
        """Return a problem whose search was over before."""
        problem_id = row.problem.id
        candidates = tuple(self._candidates(problem_id).values())
        self.progress.num_resumed += len(candidates)
        error = self.log.ended[problem_id] or shortfall(candidates)
        return Drawn(number, row, candidates, error=error, spent=self.log.spent(problem_id))

    def _candidates(self, problem_id: str) -> dict[int, Candidate]:
        places = self.recorded.get(problem_id, {})
        return {index: self.file.read(places[index], Candidate) for index in sorted(places)}

    def _begin(self, number: int, row: ProblemRow) -> None:
        problem, driver = row.problem, self._opened_driver()
        candidates = self._candidates(problem.id)
        self.progress.num_resumed += len(candidates)
        search = Search(
            host=driver,
            problem=problem,
            messages=self.messages(problem),
            label=self.sampler.label,
            thinking_tags=self._policy.thinking_tags,
            run_seed=self.run_seed,
            num_candidates=self.sampler.num_candidates,
            most_calls=self.sampler.most_calls,
            candidates=candidates,
            recorded=self.log.take(problem.id),
            may_differ=problem.id in self.log.retried,
        )
        self._open[problem.id] = _Open(number, row, time.monotonic(), search)
        begin(search, self.sampler.search)
        driver.run_ready()

    def _opened_driver(self) -> Driver:
        if self._driver is None:
            with self.progress.opening():
                for engine in self.engines.values():
                    engine.open()
            if not self.stop.is_set():  # else nobody waits any more, and the folder may be closed
                self.opened()
                self.progress.opened_at = time.monotonic()
            self._driver = Driver(self.engines, self.log, self._record, self.reads, self.told, cap=self.cap)
        return self._driver

    def _record(self, candidate: Candidate) -> None:
        self.file.append(candidate)
        self.progress.num_candidates += 1

    def _ended(self) -> Iterator[Drawn]:
        """Hand on the problems whose searches are over."""
        for problem_id in [one for one, open_ in self._open.items() if open_.search.over]:
            open_ = self._open.pop(problem_id)
            search = open_.search
            error = search.error
            if error is None and not search.candidates:
                error = MisuseError("the search ended without a candidate")
            told = None if error is None else f"{type(error).__name__}: {error}"
            candidates = tuple(search.candidates[index] for index in sorted(search.candidates))
            if open_.cancelled:
                told = CANCELLED
                self.log.retry(problem_id)
            else:
                self.log.end(problem_id, told)
            yield Drawn(
                open_.number,
                open_.row,
                candidates,
                error=told or shortfall(candidates),
                wall_seconds=time.monotonic() - open_.began,
                spent=self.log.spent(problem_id),
            )
