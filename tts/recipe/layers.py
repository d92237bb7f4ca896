"""How a recipe's tree comes about: a file, laid over the one it `extends:`, with the `--set` overrides on top."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from tts.errors import RecipeError, nearest
from tts.recipe.mistakes import Mistake
from tts.recipe.tree import Node, Place, as_section, merge, shown
from tts.recipe.yaml_source import parse

MOST_LAYERS = 50


@dataclass(frozen=True, slots=True)
class Layers:
    """The merged tree of a recipe and all that it extends, and the mistakes in spite of which it could be read."""

    root: Node
    mistakes: list[Mistake]


def shipped_recipes() -> dict[str, Path]:
    """Return the recipes that come with the package, by name, in alphabetical order; `paper/math_esamp` in a folder.

    They are installed inside it; in a clone they stand beside it.
    """
    package = Path(str(resources.files("tts")))
    for folder in (package / "recipes", package.parent / "recipes"):
        if found := sorted(folder.rglob("*.yaml")):
            names = [path.relative_to(folder).with_suffix("").as_posix() for path in found]
            return dict(sorted(zip(names, found, strict=True)))
    return {}


def find(name_or_path: str, folder: Path | None = None) -> Path:
    """Return the file of a recipe: a path (from `folder`), else a shipped recipe's name, with or without `.yaml`."""
    path = (folder or Path()) / os.path.expanduser(name_or_path)
    shipped = shipped_recipes()
    if os.path.exists(path) and not os.path.isdir(path):
        return path
    if name_or_path.removesuffix(".yaml") in shipped:
        return shipped[name_or_path.removesuffix(".yaml")]
    what = "is a folder" if os.path.isdir(path) else "does not exist"
    raise RecipeError(
        f"the recipe must be a file or the name of a shipped one, got `{name_or_path}`, which {what}."
        f"{nearest(Path(name_or_path).stem, list(shipped))} Shipped: {', '.join(shipped)}"
    )


def read(path: Path, seen: tuple[Path, ...] = ()) -> Layers:
    """Return the tree of a recipe file, merged with what it extends."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RecipeError(f"cannot read the recipe {path}: {error.strerror}") from error
    node, mistakes = parse(content, Place(str(path), 1, path.parent))
    if not isinstance(node.value, dict):
        raise RecipeError(f"{path}: a recipe must be a mapping of keys, got {shown(node)}")
    if "extends" not in node.value:
        return Layers(node, mistakes)
    extends, seen = node.value["extends"], (*seen, path.resolve())
    if len(seen) > MOST_LAYERS:
        raise RecipeError(f"{extends.place}: `extends` must lead through at most {MOST_LAYERS} recipes, got more")
    if not isinstance(extends.value, str):
        raise RecipeError(f"{extends.place}: `extends` must be the path or name of one recipe, got {shown(extends)}")
    try:
        above = find(extends.value, extends.place.folder)
    except RecipeError as error:
        raise RecipeError(f"{extends.place}: `extends`: {error}") from error
    if above.resolve() in seen:
        chain = " → ".join(file.name for file in (*seen, above.resolve()))
        raise RecipeError(f"{extends.place}: `extends` must not lead back to the same recipe, got {chain}")
    parent = read(above, seen)
    own = Node({key: below for key, below in node.value.items() if key != "extends"}, node.place)
    return Layers(merge(parent.root, own), [*parent.mistakes, *mistakes])


def override(root: Node, overrides: Sequence[str]) -> Layers:
    """Return the tree with each `dotted.key=value` set; the value is YAML."""
    mistakes: list[Mistake] = []
    for text in overrides:
        key, equals, value = text.partition("=")
        place = Place(f"--set {text}")
        if not equals or not all(key.split(".")):
            raise RecipeError(f"{place}: an override must be `key=value`, as in --set sampler.num_candidates=16")
        if key == "extends":
            raise RecipeError(f"{place}: `extends` must stand in a recipe file; name that recipe with --recipe")
        node, found = parse(value.encode(errors="surrogateescape"), place)
        mistakes += found
        root = _set(root, key.split("."), node)
    return Layers(root, mistakes)


def _set(node: Node, keys: Sequence[str], value: Node) -> Node:
    """Return the tree with one value put in; a bare name on the way becomes a section."""
    if not keys:
        return value
    key, *deeper = keys
    if isinstance(node.value, list):
        items = node.value
        if not key.isdecimal() or int(key) >= len(items):
            raise RecipeError(
                f"{value.place}: an item's number must be below {len(items)}, the list's length, got `{key}`"
            )
        number = int(key)
        return Node([*items[:number], _set(items[number], deeper, value), *items[number + 1 :]], node.place)
    section = as_section(node)
    if not isinstance(section.value, dict):
        return _set(Node({}, value.place), keys, value)
    below = section.value.get(key, Node({}, value.place))
    return Node({**section.value, key: _set(below, deeper, value)}, section.place)
