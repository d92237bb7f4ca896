"""Whether the parts of a recipe fit together. Asked before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, cast

from tts.components import registry
from tts.components.component import Component, ComponentKind
from tts.errors import TTSError
from tts.protocols import BoundSelector, Engine, Sampler, Scorer
from tts.recipe.mistakes import Mistake, refusal
from tts.recipe.model import Recipe
from tts.recipe.tree import Node

Purpose = Literal["solve", "bench", "judge"]
"""What a recipe is for: to hand in answers, to measure, or to judge candidates that are there already."""


def check_fit(recipe: Recipe, root: Node, purpose: Purpose) -> None:
    """Raise a RecipeError with all that does not fit: a capability the engine lacks, a bound outside a benchmark.

    To judge stored candidates no engine is asked.
    """
    mistakes = [*(_unmet(recipe, root) if purpose != "judge" else ()), *_bound(recipe, root, purpose)]
    if mistakes:
        raise refusal(mistakes)


def _unmet(recipe: Recipe, root: Node) -> Iterator[Mistake]:
    """Yield what sampler and scorer need and the engine lacks."""
    try:
        available = recipe.engine.capabilities()
    except TTSError as error:
        yield Mistake(_find(root, "engine").place, f"`engine`: {error}")
        return
    engine = f"the engine `{_name('engines', recipe.engine)}` lacks: it has {', '.join(sorted(available)) or 'none'}"
    for kind, path, component in _asking(recipe):
        for capability in sorted(component.requires - available):
            needs = f"`{path}`: {_name(kind, component)} needs the capability `{capability}`"
            yield Mistake(_find(root, path).place, f"{needs}, which {engine}.{_engines_with(capability)}")


def _asking(recipe: Recipe) -> Iterator[tuple[ComponentKind, str, Sampler | Scorer]]:
    yield "samplers", "sampler", recipe.sampler
    if recipe.selector.scorer is not None:
        yield "scorers", "selector.scorer", recipe.selector.scorer


def _name(kind: ComponentKind, component: object) -> str:
    return registry.name_of(kind, cast("Component", component).__class__)


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
    if purpose == "solve" and isinstance(recipe.selector, BoundSelector):
        yield Mistake(
            _find(root, "selector").place,
            f"`selector` must work without the verdicts, got `{_name('selectors', recipe.selector)}`, an upper bound "
            "that is allowed in a benchmark only: use majority_vote, for instance",
        )


def _find(root: Node, path: str) -> Node:
    """Return the value at a dotted key, or the nearest above it (a default stands nowhere)."""
    node = root
    for key in path.split("."):
        if not isinstance(node.value, dict) or key not in node.value:
            break
        node = node.value[key]
    return node
