"""The JSON Schema of a recipe, out of the same classes that read it, installed plugins included.

Editors complete and check recipes with it. It never refuses what the reader accepts; it accepts more where a rule
spans several keys, and in recipes that extend another, whose sections need not be complete.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from pydantic_core import to_jsonable_python

from tts.components import registry
from tts.components.apart import may_be_apart
from tts.components.component import Component, ComponentKind, Section
from tts.components.slot import SLOT_MARK, Slot, slot_of
from tts.recipe.model import SEPARATE, Recipe

JSONSchema: TypeAlias = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
CLASS_PATH: Final = {"type": "string", "pattern": r"^[^:]+:[^:]+$", "description": "A class of your own: module:Class"}
APART: Final[JSONSchema] = {
    SEPARATE: {
        "type": "boolean",
        "default": False,
        "description": "Whether it works in a process of its own, beside the others: so two vLLM fit into one recipe.",
    }
}


class _Untitled(GenerateJsonSchema):
    """Leaves out titles, which would only repeat the keys."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        """Return False."""
        return False


def recipe_schema() -> JSONSchema:
    """Return the schema (draft 2020-12) of a recipe file. Raises RegistryError where a plugin cannot be imported."""
    classes = {(kind, name): registry.load(kind, name) for kind in registry.KINDS for name in registry.names(kind)}
    sections: list[type[Section]] = list(dict.fromkeys([Recipe, *classes.values()]))
    references, shared = models_json_schema(
        [(section, "validation") for section in sections], schema_generator=_Untitled
    )
    definitions = shared["$defs"]
    bodies = {
        section: _completed(section, definitions.pop(references[section, "validation"]["$ref"].rpartition("/")[2]))
        for section in sections
    }
    components = {f"{kind}.{name}": _named(kind, name, bodies[classes[kind, name]]) for kind, name in classes}
    kinds = {kind: _any_of_kind(kind, {n: c for (k, n), c in classes.items() if k == kind}) for kind in registry.KINDS}
    return {"$schema": DIALECT, **_whole(bodies[Recipe]), "$defs": {**kinds, **components, **definitions}}


def component_schema(component: type[Component]) -> JSONSchema:
    """Return the schema of one component's own keys. What may stand in a slot is a reference to `#/$defs/<kind>`."""
    schema = _completed(component, component.model_json_schema(schema_generator=_Untitled))
    return {**schema, "properties": schema["properties"] | (APART if may_be_apart(component) else {})}


def _completed(section: type[Section], body: JSONSchema) -> JSONSchema:
    """Return pydantic's schema of a section with what it leaves out: what may stand in a slot, and made defaults."""
    properties = dict(body.get("properties", {}))
    for key, field in section.model_fields.items():
        if found := slot_of(field):
            properties[key] = {**_with_references(properties[key]), **_default(field, found[0])}
        elif field.default_factory:
            made = field.get_default(call_default_factory=True, validated_data={})
            properties[key] = {**properties[key], "default": to_jsonable_python(made)}
    return {**body, "properties": properties}


def _with_references(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_with_references(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    rest = {key: _with_references(value) for key, value in schema.items() if key not in (SLOT_MARK, "default")}
    return {"$ref": f"#/$defs/{schema[SLOT_MARK]}", **rest} if SLOT_MARK in schema else rest


def _default(field: FieldInfo, slot: Slot) -> JSONSchema:
    if field.is_required():
        return {}
    default = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(default, tuple | list):
        return {"default": [slot.dump(component) for component in default]}
    return {"default": slot.dump(default) if isinstance(default, Component) else default}


def _named(kind: ComponentKind, name: str, body: JSONSchema) -> JSONSchema:
    """Return a component's schema with the key that names it, and what every engine takes."""
    properties = {"name": {"const": name}, **body["properties"], **(APART if kind == "engines" else {})}
    return {**body, "title": name, "properties": properties, "required": ["name", *body.get("required", ())]}


def _any_of_kind(kind: ComponentKind, classes: dict[str, type[Component]]) -> JSONSchema:
    """Return what may stand in a slot: a bare name where no key must be given, else a mapping; or a class by path."""
    bare = [name for name, component in classes.items() if _needs_no_keys(component)]
    by_path = {"type": "object", "properties": {"name": CLASS_PATH}, "required": ["name"]}
    mappings = [{"$ref": f"#/$defs/{kind}.{name}"} for name in classes]
    return {"anyOf": [*([{"enum": bare}] if bare else []), *mappings, CLASS_PATH, by_path]}


def _needs_no_keys(component: type[Component]) -> bool:
    try:
        component()
    except ValidationError:
        return False
    return True


def _whole(body: JSONSchema) -> JSONSchema:
    """Return the schema of the whole file: complete, or extending another recipe, with sections that may be partial."""
    extends = {"type": "string", "description": "The recipe that this one builds on: a path or a shipped one's name."}
    partial = {
        key: {"anyOf": [schema, {"type": "object"}]} for key, schema in body["properties"].items() if "$ref" in schema
    }
    described = {key: {"description": body["properties"][key]["description"]} for key in partial}
    return {
        "title": "A tts recipe",
        "description": body["description"],
        "type": "object",
        "properties": {"extends": extends, **body["properties"], **described},
        "additionalProperties": False,
        "if": {"required": ["extends"]},
        "then": {"properties": partial},
        "else": {"properties": {key: body["properties"][key] for key in partial}, "required": body["required"]},
    }
