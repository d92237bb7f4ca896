"""The command line: one thin file per command. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from tts.cli import bench, doctor, recipes, rejudge, report, serve_args, solve
from tts.errors import TTSError
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
app.command("solve")(solve.solve)
app.command("bench")(bench.bench)
app.command("grade")(rejudge.grade)
app.command("select")(rejudge.select)
app.command("report")(report.report)
app.add_typer(recipes.app, name="recipes")
app.command("serve-args")(serve_args.serve_args)
app.command("doctor")(doctor.doctor)


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
    """Run the command line; errors of ours end as one message on stderr and their exit code."""
    try:
        app()
    except TTSError as error:
        print("\n".join([f"tts: error: {error}", *getattr(error, "__notes__", [])]), file=sys.stderr)
        sys.exit(error.exit_code)
