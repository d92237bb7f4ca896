"""`tts recipes`: list, show, check, schema."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from tts.cli.solve import Overrides
from tts.cli.streams import tell

app = typer.Typer(no_args_is_help=True, help="List, show and check recipes; print their JSON Schema.")

Name = Annotated[str, typer.Argument(help="A recipe's file or shipped name.")]


@app.command("list")
def list_recipes() -> None:
    """List the shipped recipes."""
    from rich.table import Table

    from tts.cli.output import Terminal
    from tts.recipe import load_recipe, shipped_recipes

    table = Table("recipe", "what it is for", box=None, pad_edge=False)
    for name in shipped_recipes():
        table.add_row(name, load_recipe(name).description)
    Terminal().print(table)


@app.command()
def show(name: Name, overrides: Overrides = None) -> None:
    """Print a recipe as it will run: every key, defaults included."""
    import yaml

    from tts.cli.streams import spells_unicode
    from tts.recipe import load_recipe

    recipe = load_recipe(name, overrides or ())
    print(yaml.safe_dump(recipe.resolved(), sort_keys=False, allow_unicode=spells_unicode()), end="")


@app.command()
def check(
    names: Annotated[list[str], typer.Argument(help="Recipe files or shipped names.")], overrides: Overrides = None
) -> None:
    """Check recipes without loading anything; every mistake is named with its line. Exit code 2 where there is one."""
    from tts.errors import RecipeError
    from tts.recipe import load_recipe

    mistaken = False
    for name in names:
        try:
            recipe = load_recipe(name, overrides or ())
        except RecipeError as error:
            tell(f"error: {error}")
            mistaken = True
        else:
            print(f"{name}: good ({recipe.hash()[:12]})")
    if mistaken:
        raise typer.Exit(RecipeError.exit_code)


@app.command()
def schema() -> None:
    """Print the JSON Schema of recipes, for editors; installed plugins are part of it."""
    from tts.recipe import recipe_schema

    print(json.dumps(recipe_schema(), indent=2))
