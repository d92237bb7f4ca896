"""The course of `tts bench`: settle, draw arm by arm, analyse, show."""

from __future__ import annotations

import shlex
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from tts.bench.folder import PAGE, BenchFolder
from tts.bench.settings import BenchArm, BenchSettings, resolve
from tts.cli import source
from tts.cli.display import LiveProgress
from tts.cli.findings import records, show
from tts.cli.layout import say
from tts.cli.output import Terminal, command, record, write_json
from tts.cli.solve import check_engine
from tts.errors import plural
from tts.pipeline.cap import ALL, Amount, Budget
from tts.pipeline.intake import Turn
from tts.pipeline.outcomes import Outcome
from tts.pipeline.run import open_run
from tts.problems.taking import Taking
from tts.report.analyse import Options, analyse
from tts.report.data import Report
from tts.report.scope import arms_of, distinct_names
from tts.report.spread import check_measure
from tts.runs import job
from tts.runs.call_log import SCORER_FILE as SCORER_CALLS
from tts.runs.lending import lend
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
    """One benchmark, from settings to page.

    `num_failed` counts bad rows, and problems with missing candidates or without an answer. Its folder can be gone on
    with where the benchmark has `started` to draw, or is `resumed`.
    """

    settings: BenchSettings

    def __init__(self, asked: BenchSettings, path: Path | None, budget: Budget) -> None:
        self.asked, self.budget = asked, budget
        self._claimed = None if path else job.claim_path("bench")
        self.folder = BenchFolder(path or self._claimed or Path())
        self.stop = threading.Event()
        self.started = False
        self.num_failed = 0
        self.resumed = False
        self._stderr = Terminal(stderr=True)
        self._notes: list[str] = []
        self._incomplete = set[str]()

    def prepare(self) -> None:
        """Decide what is to be done, and check it before anything is written. Raises UsageError."""
        stored = self.folder.settings()
        self.resumed = stored is not None
        self.settings = resolve(self.asked, stored, self.folder.path)
        arms = self.settings.arms
        for arm in arms:
            check_engine(arm.recipe)
            self.budget.check(arm.recipe)
        check_measure(self.settings.embeddings, self.settings.perplexity)
        if arms:  # what is wrong with stored runs or names is said before anything is drawn
            runs = self._open_stored()
            for run in runs:
                run.close()
            stored_arms = [(arm.runs[0].name, arm.runs[0].line or arm.runs[0].path.name) for arm in arms_of(runs)]
            drawn = dict.fromkeys((arm.recipe.name, arm.called) for arm in arms)
            distinct_names([*stored_arms, *drawn], self.settings.baseline)
        if not self.resumed and self.asked.ks:
            self._tell_numbers()

    def _tell_numbers(self) -> None:
        """Tell how many candidates are drawn, whatever a recipe says."""
        arms = self.settings.arms
        pools = sorted({str(arm.recipe.sampler.num_candidates) for arm in arms if not arm.line})
        if pools:
            numbers = " and ".join(pools)
            self._tell(f"candidates drawn of each problem: {numbers}, as --k asks, whatever a recipe says")
        for line in dict.fromkeys(arm.line for arm in arms if arm.line):
            made = ", ".join(str(arm.recipe.sampler.num_candidates) for arm in arms if arm.line == line)
            self._tell(f"{line}: a run of its own for k = {made}, since its candidates influence each other")
        for sentence in self.settings.without:
            self._tell(sentence)

    # --- drawing

    def draw(self, *, as_json: bool) -> None:
        """Draw what is missing of every arm, turn by turn, one arm after the other. Raises StoppedError, TTSError."""
        first = self._first_source() if self.settings.arms else None
        self._check_stop()
        arms, num_turns, limit = self.settings.arms, self.settings.turns, self.settings.limit
        if arms:
            self.folder.write_settings(self.settings)
            self.started = True
        course = self.settings.course
        drawing = [arm for arm, lender in course if lender is None]
        for turn in [Turn(number, num_turns) for number in range(num_turns)]:
            for arm in drawing[:: -1 if turn.number % 2 else 1]:
                assert first is not None
                if len(arms) > 1:
                    part = f", turn {turn.number + 1} of {num_turns}" if num_turns > 1 else ""
                    self._tell_arm(arm, part)
                self._draw_arm(arm, self._source_of(arm, first, turn), turn, as_json=as_json)
        for arm, lender in course:
            if lender is not None:
                assert first is not None
                self._tell_arm(arm, f", of the candidates of {lender.name}")
                lend(
                    self.folder.arm(lender.name),
                    self.folder.arm(arm.name),
                    arm.recipe,
                    scored=lender.scores_like(arm),
                )
                rows = source.Source(first.spec, None, first.taking)
                self._draw_arm(arm, rows, Turn(0, 1), as_json=as_json, lender=lender)
                self._notes.append(
                    f"{arm.name} chooses among the candidates of {lender.name}, drawn once and counted for both."
                )
        if limit is not None:
            self._notes.append(f"The first {plural(limit, 'problem')}, as --limit says.")
        if len(drawing) > 1:
            self._notes.append(ONE_AFTER_ANOTHER if num_turns == 1 else TAKING_TURNS.format(num_turns))

    def _tell_arm(self, arm: BenchArm, part: str) -> None:
        arms = self.settings.arms
        what = "run" if any(one.line for one in arms) else "recipe"
        self._tell(f"{what} {arms.index(arm) + 1} of {len(arms)}: {arm.name}{part}")

    def _first_source(self) -> source.Source:
        """Return the problems of the first arm to draw; where nothing at all was named, a few of the quickstart's."""
        arm = self.settings.course[0][0]
        found = self._choose(arm)
        unasked = not self.resumed and self.asked.names_nothing and not self.asked.limit
        if not unasked or found.spec != arm.recipe.problems:
            return found
        self.settings = replace(self.settings, limit=QUICKSTART_LIMIT)
        self._tell(f"the first {QUICKSTART_LIMIT} of the quickstart's problems; --limit N takes more or fewer")
        return self._choose(arm)

    def _choose(self, arm: BenchArm) -> source.Source:
        stored = job.stored(self.folder.arm(arm.name))
        named = self.asked.problems or (None if stored else self.settings.problems) or ()
        arguments = (named,) if isinstance(named, str) else named
        return source.choose(arguments, arm.recipe, stored, Taking(self.settings.limit), self.stop)

    def _source_of(self, arm: BenchArm, first: source.Source, turn: Turn) -> source.Source:
        """Return an arm's problems: the first arm's, unless each recipe has its own.

        After the first turn the arm's folder has them all.
        """
        first_arm = self.settings.course[0][0]
        own = first_arm.recipe.problems
        if turn.number > 0:
            return source.Source(first.spec, None, first.taking)
        if arm is first_arm:
            return first
        if first.spec == own and arm.recipe.problems != own:
            return self._choose(arm)
        return source.Source(first.spec, self.folder.rows_of(first_arm.name), first.taking)

    def _draw_arm(
        self, arm: BenchArm, rows: source.Source, turn: Turn, *, as_json: bool, lender: BenchArm | None = None
    ) -> None:
        path, limit, stop = self.folder.arm(arm.name), self.settings.limit, ArmStop(self.stop)
        is_last = turn.number == turn.total - 1
        is_first = arm is self.settings.course[0][0]
        silent = not (is_first and is_last)  # a later arm has the same bad rows, a last turn all
        part = turn if turn.total > 1 else None
        with (
            open_run(
                arm.recipe,
                rows.rows,
                path,
                spec=rows.spec,
                limit=limit,
                stop=stop,
                turn=part,
                token_budget=self.budget.tokens,
                cost_budget=self.budget.cost,
                spent_before=self._spent_by_others(arm),
            ) as work,
            LiveProgress(work, self._stderr),
        ):
            for outcome in work.outcomes():
                if not silent:
                    self._tell_error(outcome, as_json=as_json)
        if not work.complete:
            raise StoppedError
        if is_last:
            num_incomplete = work.tally.num_incomplete
            self.num_failed += num_incomplete + work.tally.num_abstained + (0 if silent else work.tally.num_row_errors)
            if num_incomplete:
                self._incomplete.add(arm.name)
                owner = lender if lender is not None and lender.name in self._incomplete else arm
                again = ["tts", "solve", "--run", str(self.folder.arm(owner.name)), "--retry-errors"]
                self._tell(
                    f"{arm.name}: drawing or judging stayed incomplete for {plural(num_incomplete, 'problem')}; "
                    f"draw failed candidates anew with: {shlex.join(again)}; then go on with: "
                    f"{shlex.join(['tts', 'bench', '--run', str(self.folder.path)])}"
                )

    def _spent_by_others(self, arm: BenchArm) -> Amount:
        """Return what all other arms took; what an arm only borrowed is counted once."""
        total = Amount()
        for one, lender in self.settings.course:
            path = self.folder.arm(one.name)
            if one is not arm:
                total.add(self.budget.spent(one.recipe, path))
            if lender is not None and (path / "candidates.jsonl").exists():
                lent = set(ALL) - ({SCORER_CALLS} if not lender.scores_like(one) else set())
                total.add(self.budget.spent(one.recipe, self.folder.arm(lender.name), lent, opening=False), -1)
        return total

    def _tell_error(self, outcome: Outcome, *, as_json: bool) -> None:
        if isinstance(outcome, RowError):
            self._tell(f"line {outcome.line}: {outcome.message}")
            if not as_json and not sys.stdout.isatty():
                write_json(record(outcome))

    # --- findings

    def report(self, *, as_json: bool) -> Report:
        """Analyse all arms, write report.json and the page."""
        settings = self.settings
        options = Options(
            ks=settings.ks,
            embeddings=settings.embeddings,
            perplexity=settings.perplexity,
            candidates=settings.candidates,
            baseline=settings.baseline,
            notes=tuple(self._notes),
            axis=settings.axis,
        )
        columns = (TextColumn("analysing"), BarColumn(bar_width=12), MofNCompleteColumn())
        hidden = not self._stderr.is_terminal
        runs = self._open_stored()
        num_stored = len(runs)
        for arm, run in zip(
            settings.arms, open_stored([self.folder.arm(arm.name) for arm in settings.arms]), strict=True
        ):
            run.line = arm.line
            runs.append(run)
        try:
            self.num_failed += sum(len(run.waiting_ids) for run in runs[:num_stored])
            for error in [error for run in runs[:num_stored] for error in run.errors]:
                self.num_failed += 1
                self._tell_error(error, as_json=as_json)
            with Progress(*columns, console=self._stderr, transient=True, disable=hidden) as progress:
                bar = progress.add_task("problems", total=sum(len(run.asked_ids) for run in runs))

                def advance() -> None:
                    self._check_stop()
                    progress.advance(bar)

                report = analyse(runs, options, advance=advance)
        finally:
            for run in runs:
                run.close()
        if not settings.arms:  # nothing was drawn that could be gone on with, had there been no report
            self.folder.write_settings(settings)
        self.folder.write_report(report, command())
        return report

    def abandon(self) -> None:
        """Remove the folder that was made for this benchmark, if nothing came into it."""
        if self._claimed is not None:
            with suppress(OSError):
                self._claimed.rmdir()

    def _open_stored(self) -> list[Stored]:
        settings = self.settings
        return open_stored(list(map(Path, settings.stored)), settings.stored_problems, settings.judged_by)

    def _check_stop(self) -> None:
        if self.stop.is_set():
            raise StoppedError

    def show(self, report: Report, *, as_json: bool) -> None:
        """Print the report: one JSON object, JSON lines, or tables."""
        stdout = Terminal()
        if as_json:
            write_json(report)
        elif stdout.is_terminal:
            show(report, stdout)
        else:
            for line in records(report):
                write_json(line)
        for warning in report.warnings:
            say(self._stderr, f"warning: {warning}")
        self._tell(f"everything is in {self.folder.path}; the page is {self.folder.path / PAGE}")

    def _tell(self, message: str) -> None:
        say(self._stderr, f"tts: {message}")
