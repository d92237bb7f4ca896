"""`tts grade` and `tts select`: verdicts and selections anew from stored candidates."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tts.cli.options import CostBudget, StoredProblems, TokenBudget
from tts.cli.solve import EXIT_SOME_FAILED, Overrides
from tts.cli.streams import tell

if TYPE_CHECKING:
    from rich.console import Console

    from tts.pipeline.rejudging import Rejudging

Runs = Annotated[
    list[Path], typer.Argument(metavar="RUN", help="Run folders, or files of candidates (with --problems).")
]
Write = Annotated[
    bool, typer.Option("--write", help="Put the result into the run folder, in the place of what was derived before.")
]


def grade(  # noqa: PLR0917 - typer's parameters are options; nobody passes them by position
    runs: Runs,
    problems: StoredProblems = None,
    overrides: Overrides = None,
    token_budget: TokenBudget = None,
    cost_budget: CostBudget = None,
    write: Write = False,
) -> None:
    """Judge stored candidates anew, by the run's own verifier or another (--set task.verifier…).

    One record a problem, as from `tts solve`, with `run` before it; the verdict of each candidate is in `tts show RUN
    ID` and in the files of `tts report --csv`. Nothing is drawn, and without --write nothing is changed. A scorer that
    asks a model is asked what is not on record; a budget counts what all scorers of these runs took. Exit codes are
    those of `tts solve`.
    """
    _rejudge(runs, problems, overrides or (), token_budget, cost_budget, write=write, afresh=True)


def select(  # noqa: PLR0917 - typer's parameters are options; nobody passes them by position
    runs: Runs,
    selector: Annotated[
        str | None, typer.Option("--selector", "-s", metavar="NAME", help="What chooses. (default: the run's own)")
    ] = None,
    scorer: Annotated[
        str | None, typer.Option("--scorer", metavar="NAME", help="What it ranks or weighs by, if it needs that.")
    ] = None,
    problems: StoredProblems = None,
    overrides: Overrides = None,
    token_budget: TokenBudget = None,
    cost_budget: CostBudget = None,
    write: Write = False,
) -> None:
    """Choose anew among stored candidates; verdicts that are stored are used as they are.

    One record a problem, as from `tts solve`, with `run` before it. Nothing is drawn, and without --write nothing is
    changed. A scorer that asks a model has that opened; what it asked is kept in the run folder, so that the next time
    asks nothing again; a budget counts what all scorers of these runs took, and nothing that was drawn. Exit codes are
    those of `tts solve`.
    """
    chosen = [] if selector is None else [f"selector={selector}"]
    chosen += [] if scorer is None else [f"selector.scorer={scorer}"]
    asked = [*chosen, *(overrides or ())]
    _rejudge(runs, problems, asked, token_budget, cost_budget, write=write, afresh=False)


def _rejudge(
    paths: Sequence[Path],
    problems: str | None,
    overrides: Sequence[str],
    token_budget: int | None,
    cost_budget: float | None,
    *,
    write: bool,
    afresh: bool,
) -> None:
    from tts.cli.interrupt import stop_on_signals
    from tts.cli.output import Terminal
    from tts.pipeline.cap import Budget
    from tts.pipeline.rejudging import Rejudging
    from tts.runs.opening import open_stored

    stop, stdout = threading.Event(), Terminal()
    budget = Budget(token_budget, cost_budget)
    runs = open_stored(paths, problems, overrides)
    rejudgings = [Rejudging(run, afresh, stop, budget=budget, others=tuple(runs)) for run in runs]
    with stop_on_signals(stop, "what is left will be derived later" if write else "nothing is changed") as signals:
        try:
            for rejudging in rejudgings:
                _show(rejudging, overrides, stdout, stop, write=write)
        finally:
            for rejudging in rejudgings:
                rejudging.run.close()
    if signals:
        tell("interrupted; nothing that was drawn is changed")
        raise typer.Exit(128 + signals[0])
    if any(rejudging.num_failed for rejudging in rejudgings):
        raise typer.Exit(EXIT_SOME_FAILED)


def _show(
    rejudging: Rejudging, overrides: Sequence[str], stdout: Console, stop: threading.Event, *, write: bool
) -> None:
    from tts.cli.display import header_line, result_line
    from tts.cli.output import PLAIN, Terminal, write_outcome
    from tts.errors import plural
    from tts.report.wording import NBSP, interval, percent_range

    stderr = Terminal(stderr=True)
    if stdout.is_terminal:
        stdout.print(header_line())
    for outcome in rejudging.write_back(overrides) if write else rejudging.outcomes():
        if stdout.is_terminal:
            stdout.print(result_line(outcome, stdout.width))
        else:
            write_outcome(outcome, stderr, run=str(rejudging.run.path))
        if stop.is_set():
            return
    if stop.is_set():
        return

    # the summary
    tally, run = rejudging.tally, rejudging.run
    selector = run.recipe.resolved()["selector"]["name"]
    for note in (*run.notes, *tally.notes()):
        stderr.print(f"note: {note}", **PLAIN)
    if tally.num_graded:
        one_draw, selected = tally.estimates()
        told = "; ".join(
            f"{name} {percent_range(one.lower, one.upper)} "
            f"(95 % interval {interval(one.interval_low, one.interval_high)})"
            for name, one in ((selector, selected), ("single candidate", one_draw))
        )
        stderr.print(f"{run.path}: {plural(tally.num_graded, 'problem')} graded: {told.replace(NBSP, ' ')}", **PLAIN)
    else:
        stderr.print(f"{run.path}: {plural(tally.num_problems, 'problem')}, none with a reference", **PLAIN)
