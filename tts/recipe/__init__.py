"""Recipes: one YAML file is one job. YAML → validated, frozen `Recipe`, or one readable error with every mistake."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tts.recipe.build import build
from tts.recipe.fit import Purpose, check_fit
from tts.recipe.layers import find, override, read, shipped_recipes
from tts.recipe.model import Difference, Recipe, differences, only_later_stages
from tts.recipe.schema import recipe_schema

__all__ = [
    "Difference",
    "Purpose",
    "Recipe",
    "differences",
    "load_recipe",
    "only_later_stages",
    "recipe_schema",
    "shipped_recipes",
]


def load_recipe(name_or_path: str | Path, overrides: Sequence[str] = (), *, purpose: Purpose = "solve") -> Recipe:
    """Read and check a whole recipe; nothing is loaded.

    `name_or_path` is a file, else the name of a shipped recipe; each override is `dotted.key=value`. Raises
    RecipeError, whose text lists every mistake with its file and line, ready for a terminal.
    """
    path = find(str(name_or_path))
    layers = read(path)
    changed = override(layers.root, overrides)
    recipe = build(changed.root, [*layers.mistakes, *changed.mistakes]).named(path.stem, str(path))
    check_fit(recipe, changed.root, purpose)
    return recipe
