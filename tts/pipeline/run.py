"""The order of the stages, and nothing else: input → drawing → judging → run folder → outcomes.

Three threads share the work, so that none waits for another's slowest moment: one reads the input, one drives the
engine and records candidates, and the caller's own judges and hands out.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from tts.errors import EngineLoadError, RunFolderError, RunWriteError
from tts.pipeline.asking import sizes
from tts.pipeline.cap import Amount, Budget, Cap
from tts.pipeline.drawing import Drawing, Progress
from tts.pipeline.intake import Intake, Turn
from tts.pipeline.judge import FAILED, SELECTION_FAILED, unjudged
from tts.pipeline.judges import Evaluators
from tts.pipeline.outcomes import CANCELLED, Drawn, Outcome, Solved, solution_of
from tts.pipeline.scoring import PLACE, Scoring
from tts.pipeline.searching import Searching
from tts.pipeline.tally import Tally
from tts.problems.rows import from_python, judgeable
from tts.problems.sources import Specs
from tts.protocols import (
    AskingScorer,
    Engine,
    FindsOut,
    MeasuresWhenAsked,
    OneShotSampler,
    Opens,
    PluginHost,
    Sandboxed,
    SearchingSampler,
    SendsAgain,
)
from tts.recipe import Recipe
from tts.runs import job
from tts.runs.call_log import FILE as CALLS
from tts.runs.call_log import SCORER_FILE as SCORER_CALLS
from tts.runs.call_log import CallLog
from tts.runs.folder import RunFolder, read_job
from tts.runs.judgements import DerivedFiles
from tts.runs.ledger import POLICY, added, priced, superseded
from tts.runs.records import Session
from tts.types import (
    JSON,
    Candidate,
    InputRow,
    Judged,
    Message,
    PluginReport,
    Problem,
    ProblemRow,
    RowError,
)

QUEUE_SIZE = 64  # problems drawn and not yet judged; a slow verifier makes the drawing wait


class Run:
    """One recipe over one input, in one prepared run folder. Iterate over `outcomes()` once.

    `rows` None: the rows that the folder holds are all. Setting `stop` (from any thread or signal handler) ends the
    iteration soon, with everything that was drawn on disk. `complete` tells whether it came to its end. With a `turn`
    it comes to its end after that turn's share of the rows; a later turn goes on. What `cap` holds is never passed.
    `engines` stand in for the recipe's own, place by place.
    """

    def __init__(
        self,
        recipe: Recipe,
        rows: Iterable[InputRow] | None,
        folder: RunFolder,
        *,
        stop: threading.Event | None = None,
        turn: Turn | None = None,
        cap: Cap | None = None,
        engines: Mapping[str, Engine] | None = None,
    ) -> None:
        self.recipe = recipe
        self.engines = engines or recipe.engines()
        self.cap = cap or Cap()
        self.folder = folder
        self.stop = stop or threading.Event()
        self.tally = Tally()
        self.progress = Progress()
        self.complete = False
        self.notes: list[str] = []
        self.plugin: PluginReport | None = None
        self.capabilities: tuple[str, ...] | None = None
        noted = read_job(folder.path)
        self._num_parameters = noted.num_parameters if noted else {}
        self.evaluators = Evaluators(recipe, self._note_sandbox)
        supported = None if rows is None else (self._supported(row) for row in rows)
        self.turn = turn
        self._recorded = folder.recorded()
        for name, places in self._recorded.items():
            if max(places) >= recipe.sampler.num_candidates:
                raise RunFolderError(
                    f"{folder.path / 'candidates.jsonl'} holds candidate {max(places)} of problem {name!r}, of which "
                    f"the recipe draws {recipe.sampler.num_candidates}. The file was changed from outside"
                )
        self._derived = DerivedFiles(folder, scored=recipe.selector.scorer is not None)
        sampler, scorer = recipe.sampler, recipe.selector.scorer
        self._scoring = (
            Scoring(recipe, scorer, CallLog(folder[SCORER_CALLS], with_ids=False))
            if isinstance(scorer, AskingScorer)
            else None
        )
        self._log = (
            CallLog(
                folder[CALLS],
                with_ids="prefix" in sampler.requires,
                handed_in={name: len(places) for name, places in self._recorded.items()},
            )
            if isinstance(sampler, SearchingSampler)
            else None
        )
        if not all(self._derived.is_of(name, self._num_wanted(name)) for name in self._recorded):
            folder.forget_derived()  # they were judged while candidates were missing (`tts grade --write`)
            self._derived = DerivedFiles(folder, scored=recipe.selector.scorer is not None)
        self.intake = Intake(supported, folder["problems.jsonl"], self.stop, turn)
        self._cancels: deque[str] = deque()
        self._tried: set[str] = set()
        self._abandoned = threading.Event()
        self._queue: queue.Queue[Drawn | BaseException | None] = queue.Queue(QUEUE_SIZE)

    def outcomes(self, *, keep_order: bool = False) -> Iterator[Outcome]:
        """Yield one outcome per input row as soon as it is known; with `keep_order` in the order of the input.

        Raises EngineError, ProblemsError or RunFolderError where the run cannot go on, CapReachedError where the next
        call might cost too much; what was done is kept.
        """
        drawing = threading.Thread(target=self._draw, name="tts-drawing", daemon=True)
        began = time.time()
        self.intake.start()
        drawing.start()
        try:
            outcomes = ((drawn.number, self._outcome(drawn)) for drawn in self._received())
            yield from _in_order(outcomes) if keep_order else (outcome for _, outcome in outcomes)
            if not self.stop.is_set():
                self.folder.write_summary(self.tally.summary())
                if self.plugin is not None:
                    rate = {"tokens_per_second": self.progress.tokens_per_second(), "warnings": self.plugin.warnings}
                    self.folder.write_job(statistics={self.plugin.name: {**self.plugin.figures, **rate}})
                self.complete = True
        finally:
            self.stop.set()
            self._abandoned.set()
            while drawing.is_alive() and not self.progress.loading:  # a model that is loading is not waited for
                drawing.join(0.1)
            self.intake.close()
            self.evaluators.close()
            with suppress(*(() if self.complete else (RunWriteError,))):  # what ended the run is the error to tell
                self.folder.note_session(
                    Session(
                        began=began,
                        ended=time.time(),
                        complete=self.complete,
                        num_candidates=self.progress.num_candidates,
                        num_tokens=self.progress.num_tokens,
                        drawing_seconds=self.progress.seconds_drawing(),
                        plugin=self.plugin,
                        capabilities=self.capabilities,
                        turn=self.turn.number if self.turn else None,
                        host=job.host(),
                        versions=job.versions(),
                    )
                )

    def cancel(self, problem_id: str) -> None:
        """Give a problem up, from any thread: its calls are cancelled, and its outcome soon comes with an error.

        It is in no figure, and a run that goes on draws what is missing of it. One that is done is not touched; one
        that is yet to be read is not drawn.
        """
        self._cancels.append(problem_id)

    def _num_wanted(self, problem_id: str) -> int:
        """Return how many candidates a problem has once it is drawn; -1: what is there may not be all."""
        if self._log is None:
            return self.recipe.sampler.num_candidates
        return len(self._recorded[problem_id]) if self._log.of(problem_id).over else -1

    def _supported(self, row: InputRow) -> InputRow:
        """Return the row, or an error in its place where no task knows its kind, or cannot read its answer."""
        if isinstance(row, RowError):
            return row
        if row.problem.kind in self.evaluators.tasks:
            return judgeable(row, self.evaluators.tasks[row.problem.kind].verifier)
        message = (
            f"no task handles problems of kind {row.problem.kind!r}; there are: {', '.join(self.evaluators.tasks)}"
        )
        return RowError(row.line, row.problem.id, "unsupported_kind", message)

    # --- the drawing thread

    def _draw(self) -> None:
        scorer = self.recipe.selector.scorer
        try:
            if scorer is not None and isinstance(self._policy, MeasuresWhenAsked):
                self._policy.measure(scorer.requires)
            for place, engine in self.engines.items():
                if isinstance(engine, SendsAgain):
                    engine.ask_before_sending_again(partial(self.cap.again, place))
                if isinstance(engine, FindsOut):
                    self.cap.open(place, engine.opening)
            for drawn in self._drawing().run(self.intake):
                self._send(drawn)
            self._take_plugin_report()
            self._send(None)
        except BaseException as error:
            self._send(error)
        finally:
            for engine in self.engines.values():
                engine.close()

    @property
    def _policy(self) -> Engine:
        return self.engines[POLICY]

    def _drawing(self) -> Drawing | Searching:
        """Return what draws: requests made at once alone, or all that converses with engines."""
        recipe, sampler, file = self.recipe, self.recipe.sampler, self.folder["candidates.jsonl"]
        assert isinstance(sampler, OneShotSampler | SearchingSampler)
        log = self._log if self._scoring is None else self._log or self._scoring.log
        if log is not None:
            return Searching(
                engines=self.engines,
                slots=recipe.engines(),
                sampler=sampler,
                messages=self._messages,
                reads=self.evaluators.read,
                run_seed=recipe.seed,
                file=file,
                log=log,
                recorded=self._recorded,
                superseded=superseded(self.folder.path),
                scoring=self._scoring,
                is_scored=self._derived.has,
                stop=self.stop,
                opened=self._opened,
                told=self.notes.append,
                progress=self.progress,
                cap=self.cap,
                cancels=self._cancels,
                set_aside=self._set_aside,
            )
        assert isinstance(sampler, OneShotSampler)
        return Drawing(
            engine=self._policy,
            sampler=sampler,
            messages=self._messages,
            run_seed=recipe.seed,
            file=file,
            recorded=self._recorded,
            superseded=superseded(self.folder.path),
            opened=self._opened,
            stop=self.stop,
            progress=self.progress,
            cap=self.cap,
            cancels=self._cancels,
            set_aside=self._set_aside,
        )

    def _set_aside(self, candidate: Candidate) -> None:
        self.folder["superseded.jsonl"].append(candidate)

    def _messages(self, problem: Problem) -> tuple[Message, ...]:
        """Return what to send. What could not be judged here is not drawn: the error comes before the first token."""
        self.evaluators.open(problem.kind)
        return self.evaluators.tasks[problem.kind].messages(problem)

    def _opened(self) -> None:
        """Note what the engines can do here; some of it is not known before they are open.

        Raises EngineLoadError where the recipe needs what one turns out not to do.
        """
        recipe, engines = self.recipe, self.engines
        self.capabilities = tuple(sorted(self._policy.capabilities()))
        found = sizes(engines)
        if self._scoring is not None and POLICY in found:  # what a scorer asks of it is charged to the scorer's place
            found.setdefault(PLACE, found[POLICY])
        self._num_parameters = {**self._num_parameters, **found}
        known = {"num_parameters": self._num_parameters} if self._num_parameters else {}
        self.folder.write_job(capabilities=self.capabilities, **known)
        tried = {
            place: engine
            for place, engine in engines.items()
            if isinstance(engine, FindsOut) and place not in self._tried and engine.found()
        }
        self._tried |= tried.keys()
        if tried:
            before, opening = read_job(self.folder.path), {place: engine.opening for place, engine in tried.items()}
            for place, spent in opening.items():
                self.cap.open(place, spent)
            self.folder.write_job(
                found={place: engine.found() for place, engine in engines.items() if isinstance(engine, FindsOut)},
                opening=added([before.opening if before else {}, opening]),
            )
        refuse_lacking(recipe, engines)

    def _note_sandbox(self, judge: Opens) -> None:
        """Note what the sandbox found to hold."""
        if isinstance(judge, Sandboxed):
            self.folder.write_job(sandbox=judge.protection())

    def _take_plugin_report(self) -> None:
        engine = self._policy
        if isinstance(engine, PluginHost):
            self.plugin = engine.plugin_report()

    def _send(self, item: Drawn | BaseException | None) -> None:
        """Hand an item to the caller's thread, unless it has gone."""
        while not self._abandoned.is_set():
            try:
                return self._queue.put(item, timeout=0.1)
            except queue.Full:
                continue
        return None

    # --- the caller's thread

    def _received(self) -> Iterator[Drawn]:
        while not self.stop.is_set():
            try:
                item = self._queue.get(timeout=0.1)
            except queue.Empty:
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def _outcome(self, drawn: Drawn) -> Outcome:
        row = drawn.row
        if self._num_parameters:
            drawn = replace(drawn, spent=priced(drawn.spent, self._num_parameters))
        if isinstance(row, RowError):
            self.tally.num_row_errors += 1
            return row
        try:
            if drawn.error == CANCELLED:
                judged = unjudged(row.reference, drawn.candidates, "cancelled", CANCELLED)
            else:
                judged = self._judged(row, drawn)
        except RunFolderError:
            raise
        except Exception as error:
            why = f"{type(error).__name__} while judging: {error}"
            judged = unjudged(row.reference, drawn.candidates, FAILED, why)
        solution = solution_of(row, drawn, judged)
        if drawn.error == CANCELLED:
            self.tally.num_cancelled += 1
            return Solved(row, solution, drawn.candidates, judged)
        self.tally.add(solution, drawn.candidates, judged.verdicts, row.problem.cluster, judged.scores)
        return Solved(row, solution, drawn.candidates, judged)

    def _judged(self, row: ProblemRow, drawn: Drawn) -> Judged:
        judged = self._derived.read(row.problem.id)
        if judged is None:
            judged = self.evaluators.judge(row, drawn.candidates, scored=drawn.scored)
            if judged.verdict.reason != SELECTION_FAILED:  # which a later session may do better
                self._derived.write(row.problem.id, judged)
        return judged


def refuse_lacking(recipe: Recipe, engines: Mapping[str, Engine]) -> None:
    """Raise EngineLoadError where the recipe needs what one of its open engines turned out not to do."""
    scorer, own = recipe.selector.scorer, recipe.engines()
    of_policy = recipe.sampler.requires | (scorer.requires if scorer is not None else frozenset())
    needed = [(POLICY, one, recipe.engine) for one in sorted(of_policy)]
    for place, capability, component in (*needed, *recipe.needed_of_engines()):
        engine = engines[next(name for name, one in own.items() if one is component)]
        if isinstance(engine, FindsOut) and capability not in engine.capabilities():
            why = engine.found().get(capability, "no server does that")
            raise EngineLoadError(f"the recipe needs `{capability}` of `{place}`, which is not to be had: {why}")


@contextmanager
def open_run(
    recipe: Recipe,
    rows: Iterable[InputRow | Mapping[str, JSON]] | None,
    path: Path | str,
    *,
    spec: Specs = "-",
    limit: int | None = None,
    shuffle: bool = False,
    ids: tuple[str, ...] = (),
    shard: tuple[int, int] | None = None,
    retry_errors: bool = False,
    stop: threading.Event | None = None,
    turn: Turn | None = None,
    token_budget: int | None = None,
    cost_budget: float | None = None,
    spent_before: Amount | None = None,
    engines: Mapping[str, Engine] | None = None,
) -> Iterator[Run]:
    """Open (or resume) the run folder at `path` for this recipe and yield the run; the folder is locked meanwhile.

    `rows` are those of `open_problems`, or plain dicts with the keys that a line of a problem file has.
    `spec`, `limit`, `shuffle`, `ids` and `shard` are noted as where the rows come from (see `tts.problems.taking`).
    `retry_errors` draws candidates that failed anew, and a `turn` no more than its share of the rows (see `Run`).
    `token_budget` caps the tokens that all engines write together, `cost_budget` what all tokens cost by the prices
    among the engines' keys; what the folder holds already counts, and so does `spent_before`. `engines` stand in for
    the recipe's own.
    Raises RunFolderError where the folder belongs to another recipe or writer, UsageError where a price is missing.
    """
    budget = Budget(token_budget, cost_budget)
    budget.check(recipe)
    with RunFolder(Path(path)) as folder:
        job.prepare(folder, recipe, spec, limit, rows_come=rows is not None, shuffle=shuffle, ids=ids, shard=shard)
        job.redraw(folder, recipe, retry_errors=retry_errors)
        spent = budget.spent(recipe, folder.path)
        spent.add(spent_before or Amount())
        run = Run(
            recipe,
            None if rows is None else from_python(rows, recipe.task.kind),
            folder,
            stop=stop,
            turn=turn,
            cap=budget.cap(recipe, spent),
            engines=engines,
        )
        try:
            yield run
        finally:  # `outcomes` closes them, too; but nobody may have asked for any
            run.intake.close()
            run.evaluators.close()


def _in_order(numbered: Iterator[tuple[int, Outcome]]) -> Iterator[Outcome]:
    """Hold outcomes back until all before them have come."""
    waiting: dict[int, Outcome] = {}
    due = 0
    for number, outcome in numbered:
        waiting[number] = outcome
        while due in waiting:
            yield waiting.pop(due)
            due += 1
