"""Test-time scaling: draw many candidates from a language model, choose one, check it, and count the cost.

    recipe = tts.load_recipe("quickstart", ["sampler.num_candidates=4"])
    with tts.open_problems("problems.jsonl") as rows, tts.open_run(recipe, rows, "runs/mine") as run:
        for outcome in run.outcomes():
            ...

The names below are imported when they are first used; `import tts` alone is light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tts.version import __version__

if TYPE_CHECKING:
    from tts.components.component import Component
    from tts.components.slot import Slot
    from tts.pipeline.outcomes import Outcome, Solved
    from tts.pipeline.run import Run, open_run
    from tts.problems import open_problems
    from tts.recipe import Recipe, load_recipe, recipe_schema, shipped_recipes

_HOMES = {
    "Component": "tts.components.component",
    "Outcome": "tts.pipeline.run",
    "Recipe": "tts.recipe",
    "Run": "tts.pipeline.run",
    "Slot": "tts.components.slot",
    "Solved": "tts.pipeline.run",
    "load_recipe": "tts.recipe",
    "open_problems": "tts.problems",
    "open_run": "tts.pipeline.run",
    "recipe_schema": "tts.recipe",
    "shipped_recipes": "tts.recipe",
}

__all__ = [
    "Component",
    "Outcome",
    "Recipe",
    "Run",
    "Slot",
    "Solved",
    "__version__",
    "load_recipe",
    "open_problems",
    "open_run",
    "recipe_schema",
    "shipped_recipes",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
