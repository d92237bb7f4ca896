"""Name → class. A component is a built-in, an installed plugin (entry point `tts.samplers` etc.), or `module:Class`."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any, Final, Generic, Protocol, get_args

from tts import protocols
from tts.components.built_in import BUILT_IN
from tts.components.component import Component, ComponentKind, article, singular
from tts.errors import RegistryError, nearest

KINDS: Final[tuple[ComponentKind, ...]] = get_args(ComponentKind)

_PROTOCOLS: Final[Mapping[ComponentKind, tuple[type, ...]]] = {
    "engines": (protocols.Engine, protocols.RewardEngine, protocols.AskingRewardEngine),
    "samplers": (protocols.OneShotSampler, protocols.SearchingSampler),
    "scorers": (protocols.Scorer, protocols.AskingScorer),
    "selectors": (protocols.Selector,),
    "verifiers": (protocols.Verifier,),
    "tasks": (protocols.Task,),
}
"""What a component of a kind must offer: all of one of these."""


def builtin(kind: ComponentKind) -> tuple[str, ...]:
    """Return the names of the components that the package itself brings."""
    return tuple(BUILT_IN[kind])


def names(kind: ComponentKind) -> list[str]:
    """Return the names that a recipe may give, built-ins first. Nothing is imported."""
    return list(dict.fromkeys([*BUILT_IN[kind], *sorted(plugin.name for plugin in _plugins(kind))]))


def load(kind: ComponentKind, name: str) -> type[Component]:
    """Return the class behind `name`. Raises RegistryError, which keeps the import's own error as its cause."""
    word = singular(kind)
    plugins = [plugin for plugin in _plugins(kind) if plugin.name == name]
    target = BUILT_IN[kind].get(name) or (plugins[0].value if plugins else name)
    if plugins and (len(plugins) > 1 or name in BUILT_IN[kind]):
        claimed = ["tts itself"] * (name in BUILT_IN[kind]) + sorted(map(_origin, plugins))
        raise RegistryError(
            f"the {word} name `{name}` must belong to one package, got {' and '.join(claimed)}: "
            f"uninstall all but one, or name the class itself, as in `name: {plugins[0].value}`"
        )
    if ":" not in target:
        valid = names(kind)
        elsewhere = [f", but a {singular(other)}" for other in KINDS if other != kind and name in names(other)]
        hint = (elsewhere or [""])[0] + "." + nearest(name, valid)
        raise RegistryError(
            f"`{name}` is no {word}{hint} There are: {', '.join(valid)}; or give a class as `module:Class`"
        )
    origin = f"`{target}`" + (f" of the package {_origin(plugins[0])}" if plugins else "")
    module, _, attribute = target.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except Exception as error:
        absent = isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}.")
        advice = ": install it, or put its folder on PYTHONPATH" if absent else ""
        told = f"the {word} `{name}` cannot be imported from {origin}: {_told(error)}{advice}"
        raise RegistryError(told) from error
    return _checked(kind, origin, found)


def name_of(kind: ComponentKind, component_class: type[Component]) -> str:
    """Return the name under which `load` finds this class: a built-in's, a plugin's, else `module:Class`."""
    component_class = component_class.stands_for or component_class
    targets = [*BUILT_IN[kind].items(), *((plugin.name, plugin.value) for plugin in _plugins(kind))]
    for name, target in targets:
        module, _, attribute = target.partition(":")
        if getattr(sys.modules.get(module), attribute, None) is component_class:
            return name
    return f"{component_class.__module__}:{component_class.__qualname__}"


def _plugins(kind: ComponentKind) -> list[EntryPoint]:
    return list(_installed(f"tts.{kind}", tuple(sys.path)))


@cache
def _installed(group: str, _path: tuple[str, ...]) -> EntryPoints:
    """Return a group's entry points in the packages on `sys.path`; a scan takes longer than checking a section."""
    return entry_points(group=group)


def _origin(plugin: EntryPoint) -> str:
    return f"{plugin.dist.name} {plugin.dist.version}" if plugin.dist else plugin.value


def _told(error: Exception) -> str:
    """Return the error in one line, with the line of the module that it stopped."""
    frames = traceback.extract_tb(error.__traceback__)
    stopped = [f" ({frame.filename}:{frame.lineno})" for frame in frames if frame.name == "<module>"]
    return f"{type(error).__name__}: {' '.join(str(error).split())}{''.join(stopped[-1:])}"


def _checked(kind: ComponentKind, origin: str, found: Any) -> type[Component]:
    """Return what was found if it is a component with everything that its kind's protocol asks."""
    if not (isinstance(found, type) and issubclass(found, Component)):
        raise RegistryError(f"{origin} must be a subclass of `tts.Component`, got {found!r}")
    offered = {*dir(found), *found.model_fields}
    asked = [_members(one) for one in _PROTOCOLS[kind]]
    missing = min(asked, key=lambda one: (not one <= offered, -len(one & offered))) - offered  # of the likeliest kind
    missing |= getattr(found, "__abstractmethods__", frozenset())
    if missing:
        listed = ", ".join(f"`{name}`" for name in sorted(missing))
        raise RegistryError(
            f"{origin} must be {article(singular(kind))} {singular(kind)}, but lacks {listed} (see `tts.protocols`)"
        )
    if "name" in found.model_fields:
        raise RegistryError(f"{origin} must not have a key `name`: in a recipe that is the component's own name")
    return found


def _members(protocol: type) -> set[str]:
    """Return the public methods and attributes that a protocol asks for, its parents' included."""
    parents = [parent for parent in protocol.__mro__ if parent not in (object, Protocol, Generic)]
    members = [name for parent in parents for name in (*vars(parent), *vars(parent).get("__annotations__", ()))]
    return {name for name in members if not name.startswith("_")}
