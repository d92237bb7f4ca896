"""`tts samplers|selectors|scorers|verifiers|engines|tasks [NAME]`: what a recipe may name, and its keys as text."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from tts.components.component import ComponentKind

HELP: dict[ComponentKind, str] = {
    "samplers": "The samplers (how candidates are drawn), or one's keys.",
    "selectors": "The selectors (which one is handed in), or one's keys.",
    "scorers": "The scorers (how good a candidate looks), or one's keys.",
    "verifiers": "The verifiers (is an answer right?), or one's keys.",
    "engines": "The engines (what runs the model), or one's keys.",
    "tasks": "The tasks (the words around a problem), or one's keys.",
}
LIMITS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
WIDEST = 100


def command(kind: ComponentKind) -> Callable[[str | None], None]:
    """Return the command that lists this kind of component, or shows the one that is named."""

    def show(
        name: Annotated[str | None, typer.Argument(help="Its name in a recipe, or module:Class of your own.")] = None,
    ) -> None:
        from rich.console import Console

        width = min(Console().width, WIDEST)
        for line in _all(kind, width) if name is None else _one(kind, name, width):
            print(line)

    return show


def _all(kind: ComponentKind, width: int) -> Iterator[str]:
    """Yield a line for each component: its name, and the first sentence of what it is."""
    from tts.components import registry
    from tts.errors import RegistryError

    names = registry.names(kind)
    column = max(map(len, names)) + 2
    for name in names:
        try:
            told = (registry.load(kind, name).__doc__ or "").split("\n\n", maxsplit=1)[0]
        except RegistryError as error:  # a plugin's: the others are shown all the same
            told = str(error)
        yield from textwrap.wrap(
            " ".join(told.split()), width, initial_indent=f"{name:<{column}}", subsequent_indent=" " * column
        )


def _one(kind: ComponentKind, name: str, width: int) -> Iterator[str]:
    """Yield what a component is, and each of its keys with type, limits, default and meaning."""
    from tts.components import registry
    from tts.components.component import singular
    from tts.recipe import component_schema

    schema = component_schema(registry.load(kind, name))
    yield f"{singular(kind)} {name}"
    yield ""
    yield from _text(schema["description"], width, "")
    yield from _keys(schema, width)
    for title, inner in schema.get("$defs", {}).items():
        yield ""
        yield f"{title}:"
        yield from _text(inner.get("description", ""), width, "  ")
        yield from _keys(inner, width)


def _keys(schema: dict[str, Any], width: int) -> Iterator[str]:
    import yaml

    if not schema.get("properties"):
        yield ""
        yield "It has no keys."
    for key, about in schema.get("properties", {}).items():
        default = about.get("default", {})
        if isinstance(default, dict) and "name" in default:
            default = default["name"]  # the keys of another component are told by its own kind's command
        shown = yaml.safe_dump(default, default_flow_style=True, allow_unicode=True, width=10**6).strip()
        if isinstance(default, str) and "\n" in default:
            shown = json.dumps(default, ensure_ascii=False)
        required = key in schema.get("required", ())
        given = "must be given" if required else f"default {shown.removesuffix('...').strip()}"
        yield ""
        yield from _text(f"{key}: {_type(about)}; {given}", width, "", "    ")
        yield from _text(about.get("description", ""), width, "    ")


def _type(schema: dict[str, Any]) -> str:
    """Return what a value must be, in words."""
    from tts.components.component import article

    if "$ref" in schema:
        referred: str = schema["$ref"].rpartition("/")[2]
        word = referred.removesuffix("s")
        return f"{article(word)} {word} (`tts {referred}`)" if referred in HELP else referred
    if "enum" in schema or "const" in schema:
        return " | ".join(str(value) for value in schema.get("enum", [schema.get("const")]))
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_type(part) for part in schema["anyOf"]))
    limits = " and ".join(f"{sign} {schema[name]}" for name, sign in LIMITS.items() if name in schema)
    if schema.get("type") == "array":
        parts = schema.get("prefixItems")
        return f"[{', '.join(map(_type, parts))}]" if parts else f"list of {_type(schema['items'])}"
    if schema.get("type") == "object":
        inner = schema.get("additionalProperties")
        return f"mapping of names to {_type(inner)}" if isinstance(inner, dict) else "mapping"
    return f"{schema.get('type', 'any value')} {limits}".strip()


def _text(text: str, width: int, indent: str, hanging: str | None = None) -> Iterator[str]:
    """Yield the paragraphs of a text, wrapped."""
    for number, paragraph in enumerate(text.split("\n\n")):
        if number:
            yield ""
        yield from textwrap.wrap(
            " ".join(paragraph.split()),
            width,
            initial_indent=indent,
            subsequent_indent=indent if hanging is None else hanging,
            break_long_words=False,
            break_on_hyphens=False,
        )
