"""The course of `tts bench`: plan, draw arm by arm, analyse, show."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from tts.bench.folder import PAGE, BenchArm, BenchFolder, Plan
from tts.bench.plan import Asked, new_plan, plan_again
from tts.cli import source
from tts.cli.display import LiveProgress
from tts.cli.findings import records, show
from tts.cli.output import PLAIN, record, write_json
from tts.cli.solve import check_engine
from tts.pipeline.intake import Turn
from tts.pipeline.outcomes import Outcome
from tts.pipeline.run import Run, open_run
from tts.report.analyse import Options, analyse
from tts.report.data import Report
from tts.report.spread import check_measure
from tts.runs import job
from tts.runs.opening import open_stored
from tts.runs.stored import Stored
from tts.types import RowError

QUICKSTART_LIMIT = 12
"""Problems of the quickstart where neither recipe nor problems are named: what a small computer does in minutes."""


ONE_AFTER_ANOTHER = (
    "The recipes ran one after the other, not interleaved: what else the machine did meanwhile is in the ratio of "
    "their tokens per second (--turns 4 lets them take turns)."
)
TAKING_TURNS = "The recipes took {} turns, each drawing its share of the problems in a turn, in an order that changed."


class ArmStop(threading.Event):
    """The end of one arm: its own, which no other arm hears of, or the whole benchmark's."""

    def __init__(self, everything: threading.Event) -> None:
        super().__init__()
        self._everything = everything

    def is_set(self) -> bool:
        """Tell whether either has been set."""
        return super().is_set() or self._everything.is_set()


class StoppedError(Exception):
    """The user has interrupted the command; everything drawn is on disk."""


class Benching:
    """One benchmark from its plan to its page. `num_failed` counts bad rows and problems with missing candidates."""

    plan: Plan

    def __init__(self, asked: Asked, path: Path | None) -> None:
        self.asked = asked
        self.folder = BenchFolder(path or job.default_path("bench"))
        self.stop = threading.Event()
        self.started = False
        self.num_failed = 0
        self._resumed = False
        self._stderr = Console(stderr=True)
        self._notes: list[str] = []

    # --- the plan

    def prepare(self) -> None:
        """Decide what is to be done, and check it before anything is written. Raises UsageError."""
        stored = self.folder.plan()
        self._resumed = stored is not None
        self.plan = new_plan(self.asked) if stored is None else plan_again(self.asked, stored, self.folder.path)
        for arm in self.plan.arms:
            check_engine(arm.recipe)
        check_measure(self.plan.embeddings, self.plan.perplexity)
        if stored is None and self.asked.ks and self.plan.arms:
            numbers = " and ".join(sorted({str(arm.recipe.sampler.num_candidates) for arm in self.plan.arms}))
            self._tell(f"drawing {numbers} candidates a problem, as --k asks, whatever a recipe says")

    # --- drawing

    def draw(self, *, as_json: bool) -> None:
        """Draw what is missing of every arm, turn by turn, one arm after the other. Raises StoppedError, TTSError."""
        first = self._first_source() if self.plan.arms else None
        arms, num_turns = self.plan.arms, self.plan.turns
        self.folder.write_plan(self.plan)
        self.started = True
        for turn in [Turn(number, num_turns) for number in range(num_turns)]:
            for arm in arms[:: -1 if turn.number % 2 else 1]:
                if len(arms) > 1:
                    part = f", turn {turn.number + 1} of {num_turns}" if num_turns > 1 else ""
                    self._tell(f"recipe {arms.index(arm) + 1} of {len(arms)}: {arm.name}{part}")
                self._draw_arm(arm, self._rows(arm, first, turn), turn, as_json=as_json)
        if self.plan.limit is not None:
            self._notes.append(f"The first {self.plan.limit} problems, as --limit says.")
        if len(arms) > 1:
            self._notes.append(ONE_AFTER_ANOTHER if num_turns == 1 else TAKING_TURNS.format(num_turns))

    def _rows(self, arm: BenchArm, first: source.Source | None, turn: Turn) -> source.Source:
        """Return an arm's problems; after the first turn its folder has them all."""
        assert first is not None
        if turn.number > 0:
            return source.Source(first.spec, None)
        return first if arm is self.plan.arms[0] else self._source_of(arm, self.plan.arms[0], first)

    def _first_source(self) -> source.Source:
        arm = self.plan.arms[0]
        found = self._choose(arm, self.plan.limit)
        if (
            not self._resumed
            and self.asked.names_nothing
            and not self.asked.limit
            and found.spec == arm.recipe.problems
        ):
            self.plan = replace(self.plan, limit=QUICKSTART_LIMIT)
            self._tell(f"the first {QUICKSTART_LIMIT} of the quickstart's problems; --limit N takes more or fewer")
            return self._choose(arm, QUICKSTART_LIMIT)
        return found

    def _choose(self, arm: BenchArm, limit: int | None) -> source.Source:
        stored = job.stored(self.folder.arm(arm.name))
        named = self.asked.problems or (None if stored else self.plan.problems)
        return source.choose(named, arm.recipe, stored, limit, self.stop)

    def _source_of(self, arm: BenchArm, first_arm: BenchArm, first: source.Source) -> source.Source:
        """Return a later arm's problems: the first arm's, unless each recipe has its own."""
        own = first_arm.recipe.problems
        if first.spec == own and arm.recipe.problems != own:
            return self._choose(arm, self.plan.limit)
        return source.Source(first.spec, self.folder.rows_of(first_arm.name))

    def _draw_arm(self, arm: BenchArm, rows: source.Source, turn: Turn, *, as_json: bool) -> None:
        path, stop = self.folder.arm(arm.name), ArmStop(self.stop)
        is_last = turn.number == turn.total - 1
        silent = arm is not self.plan.arms[0] or not is_last  # a later arm has the same bad rows, a last turn has all
        part = turn if turn.total > 1 else None
        with (
            open_run(arm.recipe, rows.rows, path, spec=rows.spec, limit=self.plan.limit, stop=stop, turn=part) as work,
            LiveProgress(work, self._stderr),
        ):
            for outcome in work.outcomes():
                if not silent:
                    self._tell_error(outcome, as_json=as_json)
        if not work.complete:
            raise StoppedError
        if is_last:
            self._count(work, arm, silent=silent)

    def _count(self, work: Run, arm: BenchArm, *, silent: bool) -> None:
        tally = work.tally
        self.num_failed += tally.num_incomplete + (0 if silent else tally.num_row_errors)
        if tally.num_incomplete:
            self._tell(
                f"{arm.name}: {tally.num_incomplete} problems could not be drawn or judged in full; "
                f"draw failed candidates anew with: tts solve --run {self.folder.arm(arm.name)} --retry-errors"
            )

    def _tell_error(self, outcome: Outcome, *, as_json: bool) -> None:
        if isinstance(outcome, RowError):
            self._tell(f"line {outcome.line}: {outcome.message}")
            if not as_json and not sys.stdout.isatty():
                write_json(record(outcome))

    # --- findings

    def report(self, *, as_json: bool) -> Report:
        """Analyse all arms, write report.json and the page."""
        plan = self.plan
        paths = [*map(Path, plan.stored), *(self.folder.arm(arm.name) for arm in plan.arms)]
        runs = open_stored(paths, plan.stored_problems)
        options = Options(
            ks=plan.ks,
            embeddings=plan.embeddings,
            perplexity=plan.perplexity,
            candidates=self.asked.candidates,
            notes=tuple(self._notes),
        )
        try:
            self._tell_stored_errors(runs[: len(plan.stored)], as_json=as_json)
            with self._analysing(sum(len(run.problem_ids) for run in runs)) as progress:
                report = analyse(runs, options, advance=lambda: self._advance(progress), check=self._check_stop)
        finally:
            for run in runs:
                run.close()
        self.folder.write_report(report)
        return report

    def _tell_stored_errors(self, runs: Sequence[Stored], *, as_json: bool) -> None:
        for run in runs:
            self.num_failed += len(run.errors)
            for error in run.errors:
                self._tell_error(error, as_json=as_json)

    @contextmanager
    def _analysing(self, num_problems: int) -> Iterator[Progress]:
        columns = (TextColumn("analysing"), BarColumn(bar_width=12), MofNCompleteColumn())
        shown = self._stderr.is_terminal
        with Progress(*columns, console=self._stderr, transient=True, disable=not shown) as progress:
            progress.add_task("problems", total=num_problems)
            yield progress

    def _advance(self, progress: Progress) -> None:
        self._check_stop()
        for task in progress.tasks:
            progress.advance(task.id)

    def _check_stop(self) -> None:
        if self.stop.is_set():
            raise StoppedError

    def show(self, report: Report, *, as_json: bool) -> None:
        """Print the report: one JSON object, JSON lines, or tables."""
        if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.encoding.lower().startswith("utf"):
            sys.stdout.reconfigure(errors="replace")
        stdout = Console()
        if as_json:
            write_json(report)
        elif stdout.is_terminal:
            show(report, stdout)
        else:
            for line in records(report):
                write_json(line)
        for warning in report.warnings:
            self._stderr.print(f"warning: {warning}", **PLAIN)
        self._tell(f"everything is in {self.folder.path}; the page is {self.folder.path / PAGE}")

    def _tell(self, message: str) -> None:
        self._stderr.print(f"tts: {message}", **PLAIN)
