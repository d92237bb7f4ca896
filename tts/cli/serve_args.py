"""`tts serve-args`: the command that serves a recipe's model by vLLM, with ESamp inside."""

from __future__ import annotations

import shlex

import typer

from tts.cli.solve import Overrides, RecipeName


def serve_args(recipe: RecipeName = None, overrides: Overrides = None) -> None:
    """Print the command line of vLLM's OpenAI-compatible server for a recipe.

    Clients choose per request with `vllm_xargs`: esamp_beta, esamp_group, esamp_group_size, top_n_sigma,
    first_token_temperature, first_token_top_k, and tts_id, a name. A wrong value is answered with HTTP 400.
    `GET /esamp?tts_id=NAME` tells what was done to a request, `GET /esamp` and `/metrics` (tts_esamp_…) the totals.
    There is a distiller for each request that can run at once (`num_slots`), as far as memory allows.
    """
    from tts.cli.serving import serve_command, server_slots
    from tts.errors import RecipeError, UsageError
    from tts.recipe import load_recipe
    from tts.runs.job import DEFAULT_RECIPE
    from tts.samplers.esamp import ESamp

    name, asked = recipe or DEFAULT_RECIPE, overrides or []
    wanted = load_recipe(name, asked)
    words = serve_command(wanted)
    for place, override in enumerate(asked):
        try:
            without = load_recipe(name, [*asked[:place], *asked[place + 1 :]])
            is_idle = without.hash() != load_recipe(name, asked).hash() and serve_command(without) == words
        except (RecipeError, UsageError):  # then it does something
            continue
        if is_idle:
            raise UsageError(f"`--set {override}` changes nothing that the server is told: leave it out")
    if isinstance(wanted.sampler, ESamp):
        typer.echo(f"esamp: {server_slots(wanted).why}", err=True)
    print(shlex.join(words))
