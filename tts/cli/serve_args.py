"""`tts serve-args`: the command that serves a recipe's model by vLLM, with ESamp inside."""

from __future__ import annotations

import shlex

from tts.cli.solve import Overrides, RecipeName


def serve_args(recipe: RecipeName = None, overrides: Overrides = None) -> None:
    """Print the command line of vLLM's OpenAI-compatible server for a recipe.

    Clients choose per request with `vllm_xargs`: esamp_beta, esamp_group, esamp_group_size, top_n_sigma,
    first_token_temperature, first_token_top_k. A wrong value is answered with HTTP 400.
    """
    from tts.cli.serving import serve_command
    from tts.errors import RecipeError, UsageError
    from tts.recipe import load_recipe
    from tts.runs.job import DEFAULT_RECIPE

    name, asked = recipe or DEFAULT_RECIPE, overrides or []
    words = serve_command(load_recipe(name, asked))
    for place, override in enumerate(asked):
        try:
            without = load_recipe(name, [*asked[:place], *asked[place + 1 :]])
            is_idle = without.hash() != load_recipe(name, asked).hash() and serve_command(without) == words
        except (RecipeError, UsageError):  # then it does something
            continue
        if is_idle:
            raise UsageError(f"`--set {override}` changes nothing that the server is told: leave it out")
    print(shlex.join(words))
