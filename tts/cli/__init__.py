"""The command line: one thin file per command. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from tts.cli import bench, components, doctor, recipes, rejudge, report, runs, serve_args, show, solve
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
app.command("solve", short_help="Draw candidates, choose an answer, check it: rows in, rows out.")(solve.solve)
app.command("bench", short_help="What did the extra compute buy? Recipes compared, with figures.")(bench.bench)
app.command("grade", short_help="Verdicts on stored candidates anew; no model is needed.")(rejudge.grade)
app.command("select", short_help="Choose anew among stored candidates; no model is needed.")(rejudge.select)
app.command("show", short_help="A problem of a run in the terminal: prompt, candidates, verdicts.")(show.show)
app.command("runs", short_help="The runs below a folder, with state, score and cost.")(runs.runs)
app.command("report", short_help="One HTML page about stored runs; figures, CSV and JSON.")(report.report)
app.add_typer(recipes.app, name="recipes")
app.command("serve-args", short_help="The command line of vLLM's server with ESamp in it.")(serve_args.serve_args)
app.command("doctor", short_help="What is installed and at hand, and how to get the rest.")(doctor.doctor)
for kind in components.HELP:
    app.command(kind, help=components.HELP[kind])(components.command(kind))


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
