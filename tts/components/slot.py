"""Fields that hold more than a plain value: other components, and paths that are taken from the recipe's folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final, get_args, get_origin

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from tts.components.component import Component, ComponentKind, Section, singular
from tts.components.registry import name_of

SLOT_MARK: Final = "tts-slot"
"""Stands in a class's own JSON Schema for what a slot may hold; `tts.recipe.schema` replaces it."""


@dataclass(frozen=True, slots=True)
class FromRecipe:
    """Marks a string that may be a path; one with a leading `./` or `../` is taken from the recipe file's folder."""


PathText = Annotated[str, FromRecipe()]
"""A path, or a name that is none (a model's id, a data set's name)."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Marks a field that holds another component: `scorer: Annotated[Scorer, Slot("scorers")]`.

    Also `Annotated[Scorer, Slot("scorers")] | None` and `tuple[Annotated[Scorer, Slot("scorers")], ...]`. In Python
    the field takes a component. The recipe reader builds the inner component first, so that its mistakes are located
    like any other, and passes its number among `context`, the components built so far. What an engine in it `needs` is
    a capability (`rewards`); one that lacks it is refused. `inside`: what holds it opens and drives it, nobody else.
    """

    kind: ComponentKind
    needs: str = ""
    inside: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Accept any component as it is (source and handler belong to pydantic's protocol)."""
        return core_schema.json_or_python_schema(
            json_schema=core_schema.with_info_plain_validator_function(self._built),
            python_schema=core_schema.is_instance_schema(Component),
            serialization=core_schema.plain_serializer_function_ser_schema(self.dump),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Leave a mark that `tts.recipe.schema` replaces by a reference to all components of the kind."""
        return {SLOT_MARK: self.kind}

    def dump(self, component: Component) -> dict[str, Any]:
        """Return the component's section: its name and every key, defaults included."""
        return {"name": name_of(self.kind, type(component)), **component.model_dump(mode="json")}

    def _built(self, number: Any, info: ValidationInfo) -> Component:
        """Return the component that the recipe reader has built under this number."""
        if type(number) is int and isinstance(info.context, list) and 0 <= number < len(info.context):
            component = info.context[number]
            if isinstance(component, Component):
                return component
        raise PydanticCustomError("not_built", "a {word} must be built first", {"word": singular(self.kind)})


def slot_of(field: FieldInfo) -> tuple[Slot, bool] | None:
    """Return the field's slot, and whether it holds a list of components; None for a plain field."""
    for mark, in_list in _marks(field):
        if isinstance(mark, Slot):
            return mark, in_list
    return None


def slots_of(path: str, section: Section) -> Iterator[tuple[str, Slot, Component]]:
    """Yield every component in the slots of a section, and in theirs: its place behind `path`, its slot, itself."""
    for name, field in type(section).model_fields.items():
        slot = slot_of(field)
        if slot is None:
            continue
        value, place = getattr(section, name), f"{path}.{name}" if path else name
        for number, component in enumerate(value if isinstance(value, tuple) else (value,)):
            if isinstance(component, Component):
                at = f"{place}.{number}" if isinstance(value, tuple) else place
                yield at, slot[0], component
                yield from slots_of(at, component)


def may_be_path(field: FieldInfo) -> bool:
    """Tell whether the field holds a `PathText`."""
    return any(isinstance(mark, FromRecipe) for mark, _ in _marks(field))


def _marks(field: FieldInfo) -> Iterator[tuple[Any, bool]]:
    """Yield all that annotates the field's type or a part of it, and whether that part is a list's item."""
    yield from ((mark, False) for mark in field.metadata)
    yield from _marks_within(field.annotation, in_list=False)


def _marks_within(annotation: Any, *, in_list: bool) -> Iterator[tuple[Any, bool]]:
    if get_origin(annotation) is Annotated:
        yield from ((mark, in_list) for mark in get_args(annotation)[1:])
    in_list = in_list or get_origin(annotation) in (tuple, list)
    for part in get_args(annotation):
        yield from _marks_within(part, in_list=in_list)
