"""Whether the parts of a recipe fit together. Asked before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, cast

from tts.components import registry
from tts.components.component import Component, ComponentKind
from tts.components.slot import slots_of
from tts.errors import TTSError
from tts.protocols import AskingScorer, BoundSelector, Engine, Sampler, Scorer
from tts.recipe.mistakes import Mistake, refusal
from tts.recipe.model import Recipe
from tts.recipe.tree import Node

Purpose = Literal["solve", "bench", "judge"]
"""What a recipe is for: to hand in answers, to measure, or to judge candidates that are there already."""


def check_fit(recipe: Recipe, root: Node, purpose: Purpose) -> None:
    """Raise a RecipeError with all that does not fit: a capability the engine lacks, a bound outside a benchmark.

    To judge stored candidates no engine is asked.
    """
    mistakes = [] if purpose == "judge" else list(_unmet(recipe, root))
    if purpose == "solve" and isinstance(recipe.selector, BoundSelector):
        wanted = f"`selector` must work without the verdicts, got `{_name('selectors', recipe.selector)}`"
        advice = "an upper bound that is allowed in a benchmark only: use majority_vote, for instance"
        mistakes.append(Mistake(_find(root, "selector").place, f"{wanted}, {advice}"))
    if mistakes:
        raise refusal(mistakes)


def _unmet(recipe: Recipe, root: Node) -> Iterator[Mistake]:
    """Yield what sampler and scorer need and the engine lacks."""
    outer = cast("Component", recipe.engine)
    worker = next((inner for _, slot, inner in slots_of("engine", outer) if slot.inside), outer)
    if not hasattr(type(worker), "render"):  # what a reward engine has no use for
        name = _name("engines", worker)
        does, key = ("rates", "reward") if "rewards" in recipe.engine.capabilities() else ("runs programs", "runner")
        wanted = f"`engine` must be an engine that writes, got `{name}`, which {does}: put it where a `{key}` is wanted"
        yield Mistake(_find(root, "engine").place, wanted)
        return
    try:
        available = recipe.engine.capabilities()
    except TTSError as error:
        yield Mistake(_find(root, "engine").place, f"`engine`: {error}")
        return
    engine = f"the engine `{_name('engines', recipe.engine)}` lacks: it has {', '.join(sorted(available)) or 'none'}"
    asking: list[tuple[ComponentKind, str, Sampler | Scorer | AskingScorer]] = [("samplers", "sampler", recipe.sampler)]
    if recipe.selector.scorer is not None:
        asking.append(("scorers", "selector.scorer", recipe.selector.scorer))
    for place, needs, inner in recipe.needed_of_engines():
        if needs not in inner.capabilities():
            able = _engines_with(needs)
            message = (
                f"`{place}` must be an engine with the capability `{needs}`, got `{_name('engines', inner)}`.{able}"
            )
            yield Mistake(_find(root, place).place, message)
    for kind, path, component in asking:
        for capability in sorted(component.requires - available):
            needs = f"`{path}`: {_name(kind, component)} needs the capability `{capability}`"
            yield Mistake(_find(root, path).place, f"{needs}, which {engine}.{_engines_with(capability)}")


def _name(kind: ComponentKind, component: object) -> str:
    return registry.name_of(kind, cast("Component", component).__class__)


def _engines_with(capability: str) -> str:
    """Name the engines that have a capability, as far as they tell without their keys."""
    able = []
    for name in registry.names("engines"):
        try:
            engine = cast("Engine", registry.load("engines", name).model_construct())
            if capability in engine.capabilities():
                able.append(name)
        except Exception:
            continue
    return f" Engines that have it: {', '.join(able)}" if able else ""


def _find(root: Node, path: str) -> Node:
    """Return the value at a dotted key, or the nearest above it (a default stands nowhere)."""
    node = root
    for key in path.split("."):
        if not isinstance(node.value, dict) or key not in node.value:
            break
        node = node.value[key]
    return node
