"""`tts export`: candidates as a table for other tools."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from tts.cli.streams import tell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tts.report.export import Write

STDOUT = "-"


def export(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Run folders, or a folder of `tts bench`.")],
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="FILE", help="x.parquet, x.csv or x.jsonl; - writes JSON lines to stdout."),
    ] = None,
    push: Annotated[
        str | None,
        typer.Option(
            "--push",
            metavar="OWNER/NAME",
            help="Put the table as Parquet into this data set of the Hugging Face hub; a new one is private.",
        ),
    ] = None,
) -> None:
    """Write stored candidates as a table: a row a candidate.

    Columns: run, problem with reference, text, thinking, answer and its class, verdict, whether it was selected, score,
    tokens, log-probabilities, seed, sampler and more. What was not judged yet is null there. `datasets.load_dataset`
    reads all three; Parquet keeps the types.
    """
    from tts.errors import UsageError, plural
    from tts.report.export import rows
    from tts.report.hub import pusher
    from tts.runs.opening import run_folders
    from tts.runs.stored import StoredRun

    if to is None and push is None:
        raise UsageError("`--to` or `--push` must say where the table goes, as in --to candidates.parquet")
    put = None if push is None else pusher(push)
    folders = [path for path, *_ in run_folders(runs)]
    if not folders:
        raise UsageError(f"{runs[0]} is a benchmark in which nothing was drawn: give what it compares")
    opened = [StoredRun(path) for path in folders]
    with TemporaryDirectory(prefix="tts-") as temporary:
        pushed = Path(temporary) / "candidates.parquet"
        num_rows = num_unjudged = 0
        with _written(to) as write, _written(str(pushed) if push else None) as write_pushed:
            for run in opened:
                for row in rows(run):
                    write(row)
                    write_pushed(row)
                    num_rows += 1
                    num_unjudged += row["verdict"] is None
                run.close()
        if num_unjudged:
            tell(f"{plural(num_unjudged, 'candidate', of=num_rows)} not judged yet: `tts solve --run DIR` goes on")
        if put is not None:
            tell(f"{plural(num_rows, 'candidate')} are in {put(pushed)}")
    if to not in {None, STDOUT}:
        tell(f"{plural(num_rows, 'candidate')} are in {to}")


@contextmanager
def _written(to: str | None) -> Iterator[Write]:
    """Yield what writes a row there; None: nowhere."""
    from tts.cli.output import write_json
    from tts.report.export import table

    if to is None:
        yield lambda _: None
    elif to == STDOUT:
        yield write_json
    else:
        with table(Path(to)) as write:
            yield write
