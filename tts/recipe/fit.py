"""Whether the parts of a recipe fit together. Asked before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, cast

from tts import registry
from tts.errors import TTSError
from tts.protocols import Engine
from tts.recipe.mistakes import Mistake, refusal
from tts.recipe.model import Recipe
from tts.recipe.tree import Node

Purpose = Literal["solve", "bench"]


def check_fit(recipe: Recipe, root: Node, purpose: Purpose) -> None:
    """Raise a RecipeError with all that does not fit: a capability the engine lacks, a bound outside a benchmark."""
    mistakes = [*_unmet(recipe, root), *_bound(recipe, root, purpose)]
    if mistakes:
        raise refusal(mistakes)


def _unmet(recipe: Recipe, root: Node) -> Iterator[Mistake]:
    """Yield what sampler and scorer need and the engine lacks."""
    try:
        available = recipe.engine.capabilities()
    except TTSError as error:
        yield Mistake(_find(root, "engine").place, f"`engine`: {error}")
        return
    asking = {"sampler": recipe.sampler, "selector.scorer": recipe.selector.scorer}
    for path, component in asking.items():
        for capability in sorted(component.requires - available if component else ()):
            yield Mistake(
                _find(root, path).place,
                f"`{path}` needs the capability `{capability}`, which the engine lacks: it has "
                f"{', '.join(sorted(available)) or 'none'}.{_engines_with(capability)}",
            )


def _engines_with(capability: str) -> str:
    """Name the engines that have a capability, as far as they tell without their keys."""
    able = [name for name in registry.names("engines") if capability in _usual_capabilities(name)]
    return f" Engines that have it: {', '.join(able)}" if able else ""


def _usual_capabilities(name: str) -> frozenset[str]:
    try:
        engine = cast("Engine", registry.load("engines", name).model_construct())
        return engine.capabilities()
    except Exception:
        return frozenset()


def _bound(recipe: Recipe, root: Node, purpose: Purpose) -> Iterator[Mistake]:
    """Yield the use of a selector that needs the verdicts, outside a benchmark."""
    if purpose == "solve" and getattr(recipe.selector, "bound", False):
        yield Mistake(
            _find(root, "selector").place,
            "`selector` is a bound: it looks at the verdicts, so it is allowed in a benchmark only",
        )


def _find(root: Node, path: str) -> Node:
    """Return the value at a dotted key, or the nearest above it (a default stands nowhere)."""
    node = root
    for key in path.split("."):
        if not isinstance(node.value, dict) or key not in node.value:
            break
        node = node.value[key]
    return node
