"""`tts runs`: the run folders below a folder, with state, score and cost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tts.cli.streams import harmless, tell

if TYPE_CHECKING:
    from tts.report.listing import Listed

EXIT_SOME_UNREADABLE = 1


def runs(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where to look. (default: runs)")] = Path("runs"),
) -> None:
    """List the runs in a folder, the latest last: state, problems, candidates, score, tokens, time of drawing.

    A benchmark's recipes are listed one by one. Results are a table on a terminal, JSON lines where stdout is piped.
    Exit code 1: some folders cannot be read.
    """
    from tts.cli.output import PLAIN, Terminal, write_json
    from tts.errors import RunFolderError, UsageError
    from tts.report.listing import listed
    from tts.runs.opening import run_folders

    if not folder.is_dir():
        raise UsageError(f"DIR must be a folder with runs in it, got {folder}, which is none")
    found: list[Listed] = []
    seen: set[Path] = set()  # DIR may be a benchmark's, whose runs are folders in it, too
    num_unreadable = 0
    for path in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
        try:
            runs = [run for run, *_ in run_folders([path]) if (run / "run.json").exists() and run not in seen]
            seen.update(runs)
            found += map(listed, runs)
        except RunFolderError as error:
            num_unreadable += 1
            tell(str(error))
    found.sort(key=lambda run: run.began or "")  # those of one second stay as they were
    stdout = Terminal()
    if stdout.is_terminal:
        for line in _table(found, stdout.width):
            stdout.print(line, **PLAIN)
    else:
        for run in found:
            write_json(run)
    if num_unreadable:
        raise typer.Exit(EXIT_SOME_UNREADABLE)


def _table(found: list[Listed], width: int) -> list[str]:
    from tts.cli.layout import table
    from tts.report.wording import UNKNOWN, percent_range

    heads = (("run",), ("state", "problems"), ("accuracy", "pass@1"), ("candidates", "tokens", "time"))
    rows = []
    for run in found:
        figures = (run.accuracy, run.pass_at_1)
        scores = [UNKNOWN if one is None else percent_range(one.lower, one.upper) for one in figures]
        minutes, seconds = divmod(round(run.seconds), 60)
        took = f"{minutes // 60}:{minutes % 60:02}:{seconds:02}" if minutes >= 60 else f"{minutes}:{seconds:02}"
        cost = (f"{run.candidates:,}", f"{run.tokens:,}", took)
        rows.append([harmless(run.run), run.state, f"{run.problems:,}", *scores, *cost])
    return table(heads, rows, width)
