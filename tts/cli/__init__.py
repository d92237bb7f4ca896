"""The command line: one thin file per command. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from typing import Annotated

import typer

from tts.cli import (
    bench,
    components,
    doctor,
    export,
    merge,
    recipes,
    rejudge,
    report,
    runs,
    serve,
    serve_args,
    show,
    solve,
    streams,
)
from tts.cli.interrupt import leave
from tts.cli.options import Command
from tts.cli.streams import tell
from tts.errors import TTSError, UsageError
from tts.version import __version__

app = typer.Typer(
    name="tts",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: importing rich would double the time of `tts --help`
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Test-time scaling: draw many candidates from a language model, choose one, check it, "
    "and say what the extra compute bought.",
)
app.command("solve", short_help="Draw candidates, choose an answer, check it: rows in, rows out.")(solve.solve)
app.command("bench", short_help="What did the extra compute buy? Recipes compared, with figures.")(bench.bench)
app.command("grade", short_help="Verdicts on stored candidates anew; nothing is drawn.")(rejudge.grade)
app.command("select", short_help="Choose anew among stored candidates; nothing is drawn.")(rejudge.select)
app.command("merge", short_help="Shards of one input become one run.")(merge.merge)
app.command("show", short_help="A problem of a run in the terminal: prompt, candidates, verdicts.")(show.show)
app.command("runs", short_help="The runs below a folder, with state, score and cost.")(runs.runs)
app.command("report", short_help="One HTML page about stored runs; figures, CSV and JSON.")(report.report)
app.command("export", short_help="Candidates as a table: Parquet, CSV, JSON lines.")(export.export)
app.add_typer(recipes.app, name="recipes")
app.command("serve", short_help="Recipes behind an OpenAI-compatible URL.")(serve.serve)
app.command("serve-args", short_help="The command line of vLLM's server with ESamp in it.")(serve_args.serve_args)
app.command("doctor", short_help="What is installed and at hand, and how to get the rest.")(doctor.doctor)
for kind in components.HELP:
    app.command(kind, help=components.HELP[kind])(components.command(kind))
for group in (app, recipes.app):
    for one in group.registered_commands:
        one.cls = Command


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"tts {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def main() -> None:
    """Run the command line. Whatever goes wrong ends as one message on stderr and an exit code (see `tts.errors`).

    `TTS_TRACEBACK=1` in the environment lets an error that nobody expected through, with its traceback.
    """
    streams.prepare()
    code = 0
    try:
        try:
            app()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
        sys.stdout.flush()
    except streams.ReaderLeftError:
        streams.discard_stdout()
    except streams.OutputError as error:
        streams.discard_stdout()
        code = _told(error, str(error), error.exit_code)
    except TTSError as error:
        code = _told(error, str(error), error.exit_code)
    except Exception as error:
        if isinstance(error, OSError) and error.filename is not None:
            is_no_path = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO)
            wrong = TTSError if is_no_path else UsageError
            code = _told(error, f"{error.filename}: {error.strerror}", wrong.exit_code)
        elif os.environ.get("TTS_TRACEBACK"):
            raise
        else:
            code = _told(error, _unexpected(error), TTSError.exit_code)
    leave(code)


def _told(error: Exception, message: str, code: int) -> int:
    """Print an error and its notes; return the exit code."""
    for line in (f"error: {message}", *getattr(error, "__notes__", [])):
        tell(line)
    return code


def _unexpected(error: Exception) -> str:
    """Return what is said of an error that is nobody's message: what it is and where it comes from."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"unexpected {type(error).__name__}: {error} (in {place.name}, {place.filename}:{place.lineno}). This is a "
        "fault of a plugin or of tts; TTS_TRACEBACK=1 in the environment shows how it came about"
    )
