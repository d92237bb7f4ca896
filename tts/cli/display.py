"""What a person sees: live progress on stderr, a line per problem, and the closing summary."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any, Self

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from tts.cli.output import PLAIN, clip, filled
from tts.errors import plural
from tts.pipeline import drawing
from tts.pipeline.outcomes import Outcome
from tts.pipeline.run import Run
from tts.protocols import SearchingSampler
from tts.report.wording import NBSP, interval, percent_range
from tts.types import PluginReport, RowError, Solution

MARKS = {"passed": ("✓", "green"), "failed": ("✗", "red"), "undecided": ("?", "yellow")}
FIRST_SECONDS, LONGEST_SECONDS = 5.0, 300.0  # between lines of progress in a log
MOST_SEARCHES = 6  # that have a line of their own below the bar
TRUNCATED_SHARE = 0.1  # above this share of truncated candidates a warning is due


def told(run: Run) -> str:
    """Return how far a run is, in one line: candidates, which the bar counts, problems, rate, running estimate."""
    if run.stop.is_set() and not run.complete:
        return "stopping …"
    rows, more = run.intake.num_rows, "" if run.intake.finished else "+"
    progress, per_problem = run.progress, run.recipe.sampler.num_candidates
    drawn = progress.num_candidates + progress.num_resumed
    if isinstance(run.recipe.sampler, SearchingSampler):  # how many candidates there will be is not known
        waits = f", waiting for {progress.waits_for}" if progress.waits_for not in ("", "engine") else ""
        drawn_parts = f"{len(progress.searches)} searches open, {progress.num_calls} calls{waits}, {drawn} candidates"
    else:
        drawn_parts = f"{drawn}/{rows * per_problem}{more} candidates"
    parts = [
        drawn_parts,
        f"{run.tally.num_problems + run.tally.num_row_errors}/{rows}{more} problems",
        f"{run.progress.tokens_per_second():.0f} tok/s" if run.progress.engine_ready else "loading …",
    ]
    if run.tally.num_graded:
        parts.append(f"acc. {percent_range(*run.tally.accuracy)}")
    return " · ".join(parts)


def searches(progress: drawing.Progress) -> Iterator[Text]:
    """Yield a line on the engines of searches, and one for each search that is open, at most `MOST_SEARCHES`."""
    spent = [
        f"{engine} {written} tokens written, {read} read" for engine, (written, read) in list(progress.tokens.items())
    ]
    lines = [f"  {' · '.join(spent)}"] if spent else []
    for search in progress.searches[:MOST_SEARCHES]:
        told = (
            f"{len(search.completions)} drawn",
            f"{search.num_steps} deep" if search.num_steps else "",
            f"{search.in_flight} on their way",
            f"{len(search.candidates)} handed in" if search.candidates else "",
        )
        lines.append(f"  {filled(search.problem.id, 14)} {' · '.join(filter(None, told))}")
    for line in lines:
        yield Text(line, style="dim", no_wrap=True, overflow="ellipsis")


class _Figures(ProgressColumn):
    """The figures beside the bar."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run

    def render(self, task: Task) -> Text:  # noqa: ARG002 - the signature is rich's
        """Return one line that fits beside a short bar."""
        return Text(told(self._run), no_wrap=True, overflow="ellipsis")


class LiveProgress(Progress):
    """A progress bar over candidates that reads the run's own counters at every refresh.

    Where stderr is no terminal but a file or a pipe, the same is written there as a line with the time, now and then:
    after `FIRST_SECONDS`, then at intervals that double, up to `LONGEST_SECONDS`.
    """

    def __init__(self, run: Run, console: Console) -> None:
        columns = (SpinnerColumn(), BarColumn(bar_width=12), _Figures(run), TimeRemainingColumn(compact=True))
        self._run = run
        self._ended = threading.Event()
        super().__init__(
            *columns, console=console, transient=True, refresh_per_second=5, disable=not console.is_terminal
        )
        self.add_task("candidates", total=None)

    def __enter__(self) -> Self:
        if self.disable:
            threading.Thread(target=self._log, name="tts-progress", daemon=True).start()
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        self._ended.set()
        super().__exit__(*error)

    def _log(self) -> None:
        pause = FIRST_SECONDS
        while not self._ended.wait(pause):
            self.console.print(f"tts: {time.strftime('%H:%M:%S')} {told(self._run)}{self._left()}", **PLAIN)
            pause = min(2 * pause, LONGEST_SECONDS)

    def _left(self) -> str:
        """Return the time that is left at the rate of this session; "" where that cannot be told yet."""
        run, progress = self._run, self._run.progress
        if isinstance(run.recipe.sampler, SearchingSampler):
            return ""
        missing = (
            run.intake.num_rows * run.recipe.sampler.num_candidates - progress.num_candidates - progress.num_resumed
        )
        if not run.intake.finished or not progress.num_candidates or missing <= 0:
            return ""
        seconds = missing * progress.seconds_drawing() / progress.num_candidates
        return f" · about {seconds / 60:,.0f} min left" if seconds >= 90 else f" · about {seconds:.0f} s left"

    def get_renderables(self) -> Iterable[RenderableType]:
        """Bring the bar up to date and draw it."""
        if self.tasks:
            run = self._run
            per_problem, done = (
                run.recipe.sampler.num_candidates,
                run.progress.num_candidates + run.progress.num_resumed,
            )
            if isinstance(run.recipe.sampler, SearchingSampler):
                per_problem, done = 1, run.tally.num_problems + run.tally.num_row_errors
            total = run.intake.num_rows * per_problem if run.intake.finished else None
            self.update(self.tasks[0].id, completed=done, total=total)
        yield from super().get_renderables()
        yield from searches(self._run.progress)


def header_line() -> Text:
    """Return what stands above the problems' lines."""
    return Text(f"  {'problem':<14} {'answer':<16} {'votes':>6}  question", style="dim")


def result_line(outcome: Outcome, width: int) -> Text:
    """Return one problem's line: mark, id, answer with its votes, what was right, the question as far as it fits."""
    if isinstance(outcome, RowError):
        name = f"line {outcome.line}" + ("" if outcome.problem_id is None else f" ({outcome.problem_id})")
        return Text(f"! {name}: {outcome.message}", style="red")
    solution = outcome.solution
    answer = "(no answer)" if solution.selection.answer is None else solution.selection.answer
    is_graded = solution.verdict.reason != "no_reference"
    mark, style = MARKS[solution.verdict.status] if is_graded else ("·", "")
    line = Text(f"{mark} ", style=style)
    line.append(f"{filled(solution.problem_id, 14)} ", style="bold")
    line.append(f"{filled(answer, 16)} ")
    line.append(f"{_share(solution):>6}  ", style="dim")
    if solution.error:
        line.append(clip(solution.error, max(20, 3 * width)), style="red")
    else:
        right = outcome.row.reference.answer
        if solution.verdict.status == "failed" and right is not None:
            line.append(f"right: {clip(right, 16)}  ", style="bold")
        line.append(clip(outcome.row.problem.prompt, max(0, width - line.cell_len)), style="dim")
    return line


def _share(solution: Solution) -> str:
    """Return how many of the candidates stand behind the answer, such as 5/8."""
    weights = solution.selection.weights
    votes = max(weights, default=0.0)
    counted = weights and all(weight == int(weight) for weight in weights)
    return f"{votes:.0f}/{solution.counts.num_candidates}" if counted else f"{votes:.2f}" if weights else "–"


def summary_table(run: Run) -> Table:
    """Return the closing table: what single candidates score, what the selection scores, and what it cost."""
    tally = run.tally
    table = Table("", show_edge=False, pad_edge=False, box=None)
    for column in ("", "95 % interval", "problems"):
        table.add_column(column, justify="right")
    sampler = run.recipe.sampler
    most = "at most " if isinstance(sampler, SearchingSampler) else ""
    selected = f"{run.recipe.resolved()['selector']['name']} of {most}{sampler.num_candidates}"
    for name, value in zip(("pass@1 (single candidate)", selected), tally.estimates(), strict=True):
        figure = percent_range(value.lower, value.upper)
        bounds = interval(value.interval_low, value.interval_high)
        texts = (text.replace(NBSP, " ") for text in (figure, bounds))
        table.add_row(name, *texts, str(value.num_problems), style="bold")
    return table


def notes(run: Run) -> list[str]:
    """Return the lines under the table: counts, cost, and warnings that a careful colleague would give."""
    tally = run.tally
    if not run.intake.num_rows:  # interrupted before the first
        return []
    gone = f", {tally.num_abandoned} abandoned" if tally.num_abandoned else ""
    lines = [
        f"problems: {tally.num_problems} ({tally.num_abstained} unanswered); candidates: {tally.num_candidates} "
        f"({tally.num_truncated} truncated, {tally.num_no_answer} without an answer, {tally.num_errors} failed{gone})",
        f"tokens: {tally.completion_tokens} written, {tally.prompt_tokens} read{_speed(run)}",
    ]
    if tally.candidate_tokens != tally.completion_tokens:
        lines.append(f"tokens in the candidates handed in, each counted for itself: {tally.candidate_tokens}")
    num_waiting = run.progress.num_resumed + run.progress.num_candidates - tally.num_candidates
    if num_waiting > 0:  # interrupted
        lines.append(f"drawn beside these, kept, and not judged yet: {plural(num_waiting, 'candidate')}")
    lines += tally.notes()
    if run.plugin is not None:
        lines += plugin_lines(run.plugin)
    if len(tally.credit) > 1:
        lines += [
            f"{name}: {plural(credit.num_candidates, 'candidate')}, {credit.num_passed} passed, "
            f"{credit.num_selected} selected, {credit.num_tokens} tokens in them"
            for name, credit in sorted(tally.credit.items(), key=by_number)
        ]
    if tally.num_truncated > TRUNCATED_SHARE * max(1, tally.num_candidates):
        share = 100 * tally.num_truncated / tally.num_candidates
        lines.append(
            f"warning: {share:.0f} % of the candidates were cut by the length limit and count as wrong; raise "
            f"sampler.max_tokens (now {run.recipe.sampler.max_tokens})"
        )
    if tally.num_graded and tally.num_graded < tally.num_problems:
        lines.append(f"without a reference answer, so not graded: {tally.num_problems - tally.num_graded}")
    return lines


def by_number(item: tuple[str, object]) -> list[tuple[int, str]]:
    """Return what sorts names as people do: `budget_sweep/5` comes before `budget_sweep/4096`."""
    return [(int(part) if part.isdecimal() else 0, part) for part in re.split(r"(\d+)", item[0])]


def _speed(run: Run) -> str:
    """Return the speed of this time's drawing; of a resumed run, how many tokens were written in it."""
    progress = run.progress
    if not progress.num_tokens:
        return ""
    part = f"{progress.num_tokens} this time, " if progress.num_resumed else ""
    return f"; {part}{progress.tokens_per_second():.0f} tok/s over {progress.seconds_drawing():.1f} s"


def plugin_lines(report: PluginReport) -> list[str]:
    """Return what a plugin did, a few figures a line, and its warnings."""
    figures = {name: value for name, value in report.figures.items() if value is not None}
    told = [f"{name.replace('_', ' ')} {value:,.4g}" for name, value in figures.items()]
    rows = [", ".join(told[start : start + 5]) for start in range(0, len(told), 5)]
    return [f"{report.name}: {row}" for row in rows] + [f"warning: {warning}" for warning in report.warnings]
