"""Recipes: one YAML file is one job. YAML → validated, frozen `Recipe`, or one readable error with every mistake."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tts.recipe.build import build
from tts.recipe.fit import Purpose, check_fit
from tts.recipe.layers import Layers, find, override, read, shipped_recipes
from tts.recipe.model import Difference, Recipe, changes_no_candidate, differences, only_later_stages
from tts.recipe.schema import component_schema, recipe_schema
from tts.recipe.tree import Place, from_plain

__all__ = [
    "Difference",
    "Purpose",
    "Recipe",
    "changes_no_candidate",
    "component_schema",
    "differences",
    "load_recipe",
    "only_later_stages",
    "rebuild_recipe",
    "recipe_schema",
    "shipped_recipes",
]


def load_recipe(name_or_path: str | Path, overrides: Sequence[str] = (), *, purpose: Purpose = "solve") -> Recipe:
    """Read and check a whole recipe; nothing is loaded.

    `name_or_path` is a file, else the name of a shipped recipe; each override is `dotted.key=value`. Raises
    RecipeError, whose text lists every mistake with its file and line, ready for a terminal.
    """
    path = find(str(name_or_path))
    return _checked(read(path), overrides, purpose).named(path.stem, str(path))


def rebuild_recipe(
    resolved: dict[str, Any],
    overrides: Sequence[str] = (),
    *,
    name: str = "",
    purpose: Purpose = "solve",
    where: str = "resolved recipe",
) -> Recipe:
    """Return the recipe that `Recipe.resolved()` gave; `where` says where that stands.

    Raises RecipeError where it does not fit this version.
    """
    layers = Layers(from_plain(resolved, Place(where)), [])
    return _checked(layers, overrides, purpose, on_record=True).named(name)


def _checked(layers: Layers, overrides: Sequence[str], purpose: Purpose, *, on_record: bool = False) -> Recipe:
    changed = override(layers.root, overrides)
    recipe = build(changed.root, [*layers.mistakes, *changed.mistakes], on_record=on_record)
    check_fit(recipe, changed.root, purpose)
    return recipe
