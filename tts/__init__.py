"""Test-time scaling: draw many candidates from a language model, choose one, check it, and count the cost.

    recipe = tts.load_recipe("quickstart", ["sampler.num_candidates=4"])
    with tts.open_problems("problems.jsonl") as rows, tts.open_run(recipe, rows, "runs/mine") as run:
        for outcome in run.outcomes():
            ...

All types (`tts.types`), protocols (`tts.protocols`) and errors (`tts.errors`, `TTSError` above all) are names of the
package, and so are the few below. They are imported when they are first used; `import tts` alone is light.
"""

from importlib import import_module

from tts.version import __version__ as __version__

TYPE_CHECKING = (
    False  # type checkers take the name for true; importing `typing` for it would take longer than all the rest
)
if TYPE_CHECKING:
    from typing import Any

    from tts.components.component import Component as Component
    from tts.components.slot import Slot as Slot
    from tts.errors import *  # noqa: F403 - whatever is public there is public here
    from tts.pipeline.outcomes import Outcome as Outcome
    from tts.pipeline.outcomes import Solved as Solved
    from tts.pipeline.run import Run as Run
    from tts.pipeline.run import open_run as open_run
    from tts.problems import open_problems as open_problems
    from tts.protocols import *  # noqa: F403 - as above
    from tts.recipe import Recipe as Recipe
    from tts.recipe import load_recipe as load_recipe
    from tts.recipe import recipe_schema as recipe_schema
    from tts.recipe import shipped_recipes as shipped_recipes
    from tts.types import *  # noqa: F403 - as above

_HOMES = {
    "Component": "tts.components.component",
    "Slot": "tts.components.slot",
    **dict.fromkeys(("Outcome", "Solved"), "tts.pipeline.outcomes"),
    **dict.fromkeys(("Run", "open_run"), "tts.pipeline.run"),
    "open_problems": "tts.problems",
    **dict.fromkeys(("Recipe", "load_recipe", "recipe_schema", "shipped_recipes"), "tts.recipe"),
}


def _public() -> "dict[str, Any]":
    """Return what the modules of types, protocols and errors define, by name; of the errors the classes alone."""
    found: dict[str, Any] = {}
    for home in map(import_module, ("tts.types", "tts.protocols", "tts.errors")):
        own = [name for name, value in vars(home).items() if getattr(value, "__module__", None) == home.__name__]
        if home.__name__ == "tts.errors":
            own = [name for name in own if isinstance(getattr(home, name), type)]
        found |= {name: getattr(home, name) for name in (*own, *vars(home).get("__annotations__", ()))}
    return found


def __getattr__(name: str) -> "Any":
    if name == "__all__":
        return sorted({*_HOMES, *_public(), "__version__"})
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name.startswith("_") or name not in (public := _public()):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return public[name]


def __dir__() -> list[str]:
    return list(__getattr__("__all__"))
