"""Draws by conversation: begins problems as the engines have room, drives them together, hands on those that are over.

How it works. A problem is a search first, then, where the recipe's scorer asks models, a second one over its
candidates; then it is handed on. A sampler that draws each candidate in one go is the simplest search: it asks for all
of them, and each is in its file when it comes. All searches share one driver, and so the engines.

The next problem begins while no call waits for what draws candidates, and fewer than one batch of them wait for other
engines: so the batch stays full and few problems are open. A candidate is in its file when the search hands it in; the
line that says that a search is over comes after them.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tts.errors import CallError, MisuseError, described
from tts.pipeline.calls import Search, SearchCalls, begin
from tts.pipeline.cap import Cap
from tts.pipeline.drawing import IDLE_SECONDS, Progress, lowered, num_wanted, requests_of
from tts.pipeline.driver import Driver
from tts.pipeline.intake import Intake
from tts.pipeline.judge import Scored
from tts.pipeline.outcomes import CANCELLED, Drawn, shortfall
from tts.pipeline.reading import Reads
from tts.pipeline.scoring import Scoring
from tts.protocols import Engine, FindsOut, GuidingSampler, OneShotSampler, PluginHost, SearchingSampler
from tts.runs.call_log import CallLog
from tts.runs.candidates import candidate_of
from tts.runs.files import AppendFile
from tts.runs.ledger import Superseded, added, ledger
from tts.types import Candidate, Completion, Message, Problem, ProblemRow, RowError, Spent

MOST_OPEN = 64  # problems that are begun while what draws candidates is not open, since nothing is drawn


@dataclass(slots=True)
class _Open:
    """A problem on its way. `drawing` is over, or None where an earlier session drew all; then comes `scoring`."""

    number: int
    row: ProblemRow
    began: float
    drawing: Search | None
    candidates: tuple[Candidate, ...] = ()
    error: str | None = None
    scoring: Search | None = None
    cancelled: bool = False


@dataclass(slots=True)
class Searching:
    """One sampler over the engines of its recipe, by their places; the first one draws candidates.

    `slots` are the engines that the recipe itself holds, where others stand in for them.

    `recorded` maps a problem's id to the byte offset of each candidate that was handed in, `superseded` to those that
    are drawn anew; `log` holds the calls of a search (a sampler that draws in one go has none). `scoring` asks the
    recipe's scorer about the problems for which `is_scored` does not say that it was asked. All engines are opened when
    the first candidate is to be drawn, and `opened` is called then; where there is nothing to draw, each when the
    scorer asks it. `told` says what the user should know, `cap` holds what may be spent; `cancels` are problems to be
    given up, put there by any thread, and `set_aside` records what came half of one that asks for all at once.
    """

    engines: Mapping[str, Engine]
    sampler: SearchingSampler | OneShotSampler
    messages: Callable[[Problem], tuple[Message, ...]]
    reads: Reads
    run_seed: int
    file: AppendFile
    log: CallLog
    recorded: Mapping[str, Mapping[int, int]]
    stop: threading.Event
    slots: Mapping[str, object] = field(default_factory=dict)
    superseded: Mapping[str, Sequence[Superseded]] = field(default_factory=dict)
    scoring: Scoring | None = None
    is_scored: Callable[[str], bool] = lambda _: False
    opened: Callable[[], None] = lambda: None
    told: Callable[[str], None] = lambda _: None
    progress: Progress = field(default_factory=Progress)
    cap: Cap = field(default_factory=Cap)
    cancels: deque[str] = field(default_factory=deque)
    set_aside: Callable[[Candidate], None] = lambda _: None
    _cancelled: set[str] = field(default_factory=set)
    _open: dict[str, _Open] = field(default_factory=dict)
    _driver: Driver = field(init=False)
    _num_rows: int = 0

    def run(self, intake: Intake) -> Iterator[Drawn]:
        """Yield bad rows as they are read and problems as their searches end. Ends early once `stop` is set.

        Raises EngineError where an engine cannot go on, CapReachedError where the cap allows no more, OtherSearchError
        where the record does not fit.
        """
        self._driver = Driver(
            self.engines,
            self._record,
            self.reads,
            self.told,
            slots=self.slots,
            opens=self._open_engine,
            cap=self.cap,
        )
        self.progress.tokens = self._driver.tokens
        self._count(self.log.spent)
        if self.scoring is not None and self.scoring.log is not self.log:
            self._count(self.scoring.log.spent)
        try:
            while not self.stop.is_set():
                yield from self._cancel()
                yield from self._fill(intake)
                if self._open or self._driver.is_asking:  # what was given up is paid for
                    self._driver.step()
                    self._note_progress()
                    yield from self._ended()
                elif intake.exhausted:
                    return
        finally:
            self.progress.ended_at = time.monotonic()
            self._driver.close()

    def _note_progress(self) -> None:
        progress, driver = self.progress, self._driver
        if self._is_open:
            progress.num_tokens = self._policy.num_generated_tokens
        progress.num_calls = driver.num_replies
        under_way = [one.scoring or one.drawing for one in self._open.values()]
        progress.searches = tuple(search for search in under_way if search is not None and not search.over)
        progress.waits_for = max(self.engines, key=driver.num_working)

    def _count(self, on_record: Mapping[str, Spent]) -> None:
        """Tell, as spent, what earlier sessions took."""
        for place, spent in on_record.items():
            self._driver.count(place, spent.written_tokens, spent.prompt_tokens)

    @property
    def _policy(self) -> Engine:
        return next(iter(self.engines.values()))

    @property
    def _is_open(self) -> bool:
        return next(iter(self.engines)) in self._driver.opened

    def _fill(self, intake: Intake) -> Iterator[Drawn]:
        """Begin problems while there is room for their calls."""
        while not self.stop.is_set() and self._has_room():
            row = intake.take(0.0 if self._open else IDLE_SECONDS)
            if row is None:
                return
            number, self._num_rows = self._num_rows, self._num_rows + 1
            if isinstance(row, RowError):
                yield Drawn(number, row)
            elif row.problem.id in self._cancelled and not self.log.of(row.problem.id).over:
                self._cancelled.discard(row.problem.id)
                yield Drawn(number, row, error=CANCELLED)
            else:
                self._begin(number, row)
                yield from self._ended()

    def _cancel(self) -> Iterator[Drawn]:
        """Give up problems."""
        while self.cancels:
            problem_id = self.cancels.popleft()
            one = self._open.get(problem_id)
            if one is None:
                self._cancelled.add(problem_id)  # it may be yet to come
                continue
            one.cancelled = True
            if one.scoring is not None:
                one.scoring.log.retry(problem_id)
            for search in (one.drawing, one.scoring):
                if search is not None and search.root is not None and not search.over:
                    search.root.end(error=CallError(CANCELLED))
        yield from self._ended()

    def _has_room(self) -> bool:
        policy, *others = self.engines
        room = self._policy.num_free if self._is_open else MOST_OPEN - len(self._open)
        num_elsewhere = sum(map(self._driver.num_queued, others))
        return not self._driver.num_queued(policy) and room > 0 and num_elsewhere <= room

    def _begin(self, number: int, row: ProblemRow) -> None:
        """Begin what is left to do for a problem."""
        problem = row.problem
        places = self.recorded.get(problem.id, {})
        candidates = {index: self.file.read(places[index], Candidate) for index in sorted(places)}
        self.progress.num_resumed += len(candidates)
        one = self._open[problem.id] = _Open(number, row, time.monotonic(), None)
        if isinstance(self.sampler, SearchingSampler):
            if not self.log.of(problem.id).over:
                one.drawing = self._begin_search(self.sampler, row, candidates)
        else:
            self._count(ledger([*candidates.values(), *self.superseded.get(problem.id, ())]))
            if len(candidates) < num_wanted(self.sampler, row):
                one.drawing = self._begin_draws(self.sampler, row, candidates)
        if one.drawing is None:  # an earlier session drew them all
            one.candidates = tuple(candidates.values())
            one.error = self.log.of(problem.id).error or shortfall(one.candidates)
            self._begin_scoring(one)

    def _begin_search(self, sampler: SearchingSampler, row: ProblemRow, candidates: dict[int, Candidate]) -> Search:
        problem, sampler = row.problem, lowered(sampler, row)
        search = self._search(
            row,
            candidates,
            label=sampler.label,
            num_candidates=sampler.num_candidates,
            most_calls=sampler.most_calls,
            recorded=self.log.take(problem.id),
            may_differ=self.log.of(problem.id).again,
        )
        begin(search, sampler.search)
        self._driver.run_ready()
        return search

    def _begin_draws(self, sampler: OneShotSampler, row: ProblemRow, candidates: dict[int, Candidate]) -> Search:
        """Begin the search of a sampler that asks for each of the missing candidates once, all at once."""
        num_candidates = num_wanted(sampler, row)
        missing = tuple(index for index in range(num_candidates) if index not in candidates)
        by_key = requests_of(sampler, row, self.messages(row.problem), missing, self.run_seed)

        def keep(reply: Completion) -> None:
            request = by_key[reply.key]
            candidate = candidate_of(reply, int(reply.key), request.seed, request.sampler, self._policy.thinking_tags)
            if reply.finish_reason == "cancelled" and search.over:  # the problem was given up
                self.set_aside(candidate)
            else:
                search.candidates[candidate.index] = candidate
                self._record(candidate)

        async def draw_all(_: Problem, calls: SearchCalls) -> None:
            for pending in [calls.draw(request) for request in by_key.values()]:
                await pending

        search = self._search(
            row,
            candidates,
            label="",
            num_candidates=num_candidates,
            most_calls=len(by_key),
            recorded={},
            keep=keep,
        )
        begin(search, draw_all)
        self._driver.run_ready()
        return search

    def _search(self, row: ProblemRow, candidates: dict[int, Candidate], **keys: Any) -> Search:
        """Return a search that draws; all engines are open then."""
        self._open_all()
        return Search(
            host=self._driver,
            problem=row.problem,
            messages=self.messages(row.problem),
            thinking_tags=self._policy.thinking_tags,
            run_seed=self.run_seed,
            candidates=candidates,
            log=self.log,
            seed_name=row.seed_name,
            **keys,
        )

    def _begin_scoring(self, one: _Open) -> None:
        problem = one.row.problem
        wanted = self.scoring is not None and one.candidates and not one.cancelled
        if wanted and self.scoring is not None and not self.is_scored(problem.id):
            one.scoring = self.scoring.begin(self._driver, one.row, self.messages(problem), one.candidates)
            self._driver.run_ready()

    def _open_all(self) -> None:
        """Open what is not open yet, before the first candidate is drawn: so what cannot be loaded is found early."""
        closed = [place for place in self.engines if place not in self._driver.opened]
        if not closed:
            return
        if isinstance(self.sampler, GuidingSampler) and isinstance(self._policy, PluginHost):
            self._policy.host(self.sampler.plugin)
        for place in closed:
            self._open_engine(place)
        self._driver.opened.update(closed)
        if not self.stop.is_set():  # else nobody waits any more, and the folder may be closed
            self.opened()
            self.progress.opened_at = time.monotonic()

    def _open_engine(self, place: str) -> None:
        self.cap.check()
        engine = self.engines[place]
        with self.progress.opening():
            engine.open()
        if isinstance(engine, FindsOut) and not self.stop.is_set():
            self.opened()

    def _record(self, candidate: Candidate) -> None:
        self.file.append(candidate)
        self.progress.num_candidates += 1

    def _ended(self) -> Iterator[Drawn]:
        """Hand on the problems that are over; of those whose candidates are all there, begin the scores."""
        for problem_id, one in list(self._open.items()):
            if one.drawing is not None and one.drawing.done and not one.candidates:
                self._end_drawing(one, one.drawing)
                self._begin_scoring(one)
            is_drawn = one.drawing is None or one.drawing.done
            if is_drawn and (one.scoring is None or one.scoring.done):
                del self._open[problem_id]
                self._driver.forget(problem_id)
                yield self._drawn(one)

    def _end_drawing(self, one: _Open, search: Search) -> None:
        """Take the candidates of a search that is over, and record its end."""
        problem_id, error = one.row.problem.id, search.error
        one.candidates = tuple(search.candidates[index] for index in sorted(search.candidates))
        if not isinstance(self.sampler, SearchingSampler):
            unasked = tuple(index for index in range(search.num_candidates) if index not in search.candidates)
            one.error = shortfall(one.candidates, unasked)
            return
        if error is None and not search.candidates:
            error = MisuseError("the search ended without a candidate")
        told = None if error is None else described(error)
        if one.cancelled:
            self.log.retry(problem_id)
        else:
            self.log.end(problem_id, told, len(one.candidates))
        one.error = told or shortfall(one.candidates)

    def _drawn(self, one: _Open) -> Drawn:
        problem_id, scored = one.row.problem.id, None
        spent: list[Mapping[str, Spent]] = []
        if isinstance(self.sampler, SearchingSampler):
            spent.append(self.log.let_go(problem_id).spent)
        else:
            spent.append(ledger([*one.candidates, *self.superseded.get(problem_id, ())]))
        if self.scoring is not None:
            spent.append(self.scoring.spent(problem_id))
            scored = Scored(()) if one.scoring is None else self.scoring.scored(one.scoring, one.candidates)
        wall = None if one.drawing is None else time.monotonic() - one.began
        return Drawn(
            one.number,
            one.row,
            one.candidates,
            added(spent),
            error=CANCELLED if one.cancelled else one.error,
            wall_seconds=wall,
            scored=scored,
        )
