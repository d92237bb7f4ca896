"""`tts solve`: problems in, answers out."""

from __future__ import annotations

import shlex
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tts.cli.options import CostBudget, TimeLimit, TokenBudget, read_seconds, read_shard
from tts.cli.streams import ReaderLeftError, tell
from tts.errors import EngineError, EngineLoadError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from tts.pipeline.run import Run
    from tts.recipe import Recipe

EXIT_SOME_FAILED = 1
EXIT_UNFINISHED = 3


def recipe_names(incomplete: str) -> list[str]:
    """Return the shipped recipes that begin so, for the shell's completion."""
    from tts.recipe import shipped_recipes

    return [name for name in shipped_recipes() if name.startswith(incomplete)]


Problems = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[PROBLEMS]...",
        help="JSONL files, problem sets' names, hf://owner/name, - for stdin, or one question in quotes. "
        "Default: what is piped in, else the recipe's own problems.",
    ),
]
RecipeName = Annotated[
    str | None,
    typer.Option(
        "--recipe", "-r", help="A recipe's file or shipped name. (default: quickstart)", autocompletion=recipe_names
    ),
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a recipe key; repeatable.")
]
Limit = Annotated[int | None, typer.Option("--limit", metavar="N", min=1, help="Take only the first N problems.")]
RunPath = Annotated[
    Path | None,
    typer.Option(
        "--run", metavar="DIR", help="The run folder; resumed where it exists. (default: a new one in ./runs)"
    ),
]


def solve(  # noqa: PLR0917 - typer's parameters are options; nobody passes them by position
    problems: Problems = None,
    recipe: RecipeName = None,
    overrides: Overrides = None,
    run: RunPath = None,
    limit: Limit = None,
    shuffle: Annotated[
        bool, typer.Option("--shuffle", help="Take the problems in a random order, which the recipe's seed decides.")
    ] = False,
    ids: Annotated[
        list[str] | None, typer.Option("--id", metavar="ID", help="Take only the problem with this id; repeatable.")
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="I/N",
            help="Take every N-th of these rows, from row I on (0 is the first): each of N processes reads the whole "
            "input, and `tts merge` makes one run of theirs.",
        ),
    ] = None,
    time_limit: TimeLimit = None,
    token_budget: TokenBudget = None,
    cost_budget: CostBudget = None,
    keep_order: Annotated[bool, typer.Option("--keep-order", help="Results in the order of the input.")] = False,
    retry_errors: Annotated[bool, typer.Option("--retry-errors", help="Draw failed candidates of --run anew.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan and its token budget; draw nothing.")
    ] = False,
) -> None:
    """Draw candidates for each problem, choose one answer, check it.

    Results are JSON lines where stdout is piped, a table on a terminal. Exit code 0: every problem has an answer;
    1: some ended as error records or without an answer; 2: the command, the recipe or the input is wrong, or the model
    cannot be loaded; 3: the run broke off (a time limit or budget that is reached, too) and can be resumed; 130, 143:
    interrupted.
    """
    from tts.cli import source
    from tts.cli.interrupt import stop_after, stop_on_signals
    from tts.cli.plan import print_plan
    from tts.pipeline.cap import Budget
    from tts.pipeline.run import open_run
    from tts.problems.taking import Taking
    from tts.runs import job

    stop, seconds = threading.Event(), read_seconds(time_limit)
    stored = job.stored(run)
    resolved = job.recipe_of(stored, recipe, overrides or ())
    asked = Taking(limit, shuffle, tuple(dict.fromkeys(ids or ())), read_shard(shard))
    if dry_run:
        named = source.specs(problems) or (stored.problems if stored else resolved.problems)
        return print_plan(
            resolved, named, asked, lambda: source.choose(problems or (), resolved, stored, asked, stop), run
        )
    check_engine(resolved)
    Budget(token_budget, cost_budget).check(resolved)
    rows = source.choose(problems or (), resolved, stored, asked, stop)
    path = run or job.claim_path(resolved.name)
    resume = shlex.join(["tts", "solve", "--run", str(path)])
    with (
        closing(rows),
        stop_on_signals(stop) as signals,
        stop_after(seconds, stop) as out_of_time,
        open_run(
            resolved,
            rows.rows,
            path,
            spec=rows.spec,
            limit=limit,
            shuffle=rows.taking.shuffle,
            ids=rows.taking.ids,
            shard=rows.taking.shard,
            retry_errors=retry_errors,
            stop=stop,
            token_budget=token_budget,
            cost_budget=cost_budget,
        ) as work,
    ):
        try:
            _show(work, keep_order=keep_order)
        except Exception as error:
            note_resumable(error, resume)
            raise
        if signals:
            tell(f"interrupted; resume with: {resume}")
            raise typer.Exit(128 + signals[0])
        if out_of_time.is_set() and not work.complete:
            tell(f"the time limit of {time_limit} is reached; resume with: {resume}")
            raise typer.Exit(EXIT_UNFINISHED)
    tell(f"everything is in {path}")
    if work.tally.num_row_errors or work.tally.num_incomplete or work.tally.num_abstained:
        raise typer.Exit(EXIT_SOME_FAILED)
    return None


def note_resumable(error: Exception, resume: str) -> None:
    """Add how to go on to an error that ended a run, unless it would only come again."""
    if not isinstance(error, UsageError | EngineLoadError | ReaderLeftError):
        error.add_note(f"What was drawn is kept; resume with: {resume}")


def check_engine(recipe: Recipe) -> None:
    """Refuse a recipe one of whose engines, or whose sampler or selector, could not even be opened; writes nothing."""
    try:
        for part in (*recipe.engines().values(), recipe.sampler, recipe.selector):
            part.check()
    except EngineError as error:
        raise UsageError(str(error)) from error


def _show(run: Run, *, keep_order: bool) -> None:
    """Hand out the outcomes as they come, with live progress on a terminal, then the summary."""
    from tts.cli.display import LiveProgress, header_line, result_line
    from tts.cli.output import Terminal, write_outcome

    stdout, stderr = Terminal(), Terminal(stderr=True)
    with LiveProgress(run, stderr) as progress:
        is_first = stdout.is_terminal
        for outcome in run.outcomes(keep_order=keep_order):
            if stdout.is_terminal:
                progress.stop()
                if is_first:
                    stdout.print(header_line())
                is_first = False
                stdout.print(result_line(outcome, stdout.width))
                progress.start()
            else:
                write_outcome(outcome, stderr)
    print_figures(run, stdout if stdout.is_terminal else stderr)


def print_figures(run: Run, console: Console) -> None:
    """Print what a run came to: the closing table, and what there is to say beside it."""
    from tts.cli.display import notes, summary_table
    from tts.cli.output import PLAIN

    if run.tally.num_graded:
        console.print(summary_table(run))
    for note in notes(run):
        console.print(note, **PLAIN)
