"""`tts serve`: recipes behind an OpenAI-compatible URL."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated

import typer

from tts.cli.solve import Overrides, check_engine, recipe_names
from tts.cli.streams import tell
from tts.errors import UsageError


def serve(  # noqa: PLR0917 - typer's parameters are options; nobody passes them by position
    recipe: Annotated[
        list[str] | None,
        typer.Option(
            "--recipe",
            "-r",
            help="A recipe's file or shipped name; repeatable, for recipes of one engine. Each is a model. "
            "(default: quickstart)",
            autocompletion=recipe_names,
        ),
    ] = None,
    overrides: Overrides = None,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port; 0: one that is free.")] = 8000,
    api_key: Annotated[
        str | None,
        typer.Option(
            "--api-key",
            envvar="TTS_API_KEY",
            help="The key that clients must bring; better in the environment, since others can see a command line.",
        ),
    ] = None,
    no_key: Annotated[
        bool, typer.Option("--no-key", help="Serve without a key also where others can reach the host.")
    ] = False,
    run: Annotated[
        Path | None,
        typer.Option("--run", metavar="DIR", help="Keep everything, in run folders below DIR. (default: nothing)"),
    ] = None,
    max_waiting: Annotated[
        int, typer.Option("--max-waiting", metavar="N", min=1, help="Requests that may wait; more are refused (429).")
    ] = 512,
) -> None:
    """Serve recipes by OpenAI's protocol: POST /v1/chat/completions, each recipe a model.

    A request is answered by what its recipe draws and chooses; all requests share one engine and its batches. Its
    `tts` says what the vote was and what it cost. A client may ask for fewer candidates
    (`"tts": {"num_candidates": 4}`), never for more. GET /v1/models, /health and /metrics (Prometheus) are there, too.
    Ctrl-C or SIGTERM: nothing new is taken, what is on its way is answered, then it ends with 130 or 143.
    """
    from tts.cli.interrupt import stop_on_signals
    from tts.recipe import load_recipe
    from tts.runs.job import DEFAULT_RECIPE
    from tts.server import process
    from tts.server.service import Service

    process.check()
    if api_key is not None and not api_key.strip():
        raise UsageError("`--api-key` must not be empty: leave it out, or unset TTS_API_KEY")
    if no_key and (api_key is not None or process.is_loopback(host)):
        why = "TTS_API_KEY or --api-key gives one" if api_key is not None else f"nobody else reaches {host}"
        raise UsageError(f"`--no-key` must be left out: {why}")
    if any(override.partition("=")[0] == "problems" for override in overrides or ()):
        raise UsageError("`--set problems` must be left out: a server's problems come from its clients")
    if api_key is None and not no_key and not process.is_loopback(host):
        raise UsageError(
            f"`--host {host}` lets others in: give a key in the environment variable TTS_API_KEY (or --api-key), or "
            "say --no-key"
        )
    recipes = [load_recipe(name, overrides or ()) for name in recipe or (DEFAULT_RECIPE,)]
    for one in recipes:
        check_engine(one)
    service = Service(recipes, kept=run, most_waiting=max_waiting)
    stop = threading.Event()
    listening = process.listen(host, port)
    with listening, stop_on_signals(stop, "what is on its way is being answered") as signals:
        tell("loading …")
        try:
            service.open(stop)
            if not stop.is_set():
                with process.running(service, listening, api_key, stop):
                    at = f"[{host}]" if ":" in host else host
                    tell(f"serving {', '.join(service.recipes)} at http://{at}:{listening.getsockname()[1]}/v1")
                    while not stop.is_set():
                        stop.wait(0.2)
        finally:
            service.close()
        if signals:
            raise typer.Exit(128 + signals[0])
