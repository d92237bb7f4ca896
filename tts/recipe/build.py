"""A tree → a recipe. Components are built from the inside out, and every mistake is collected before any is raised."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from tts.components import registry
from tts.components.apart import apart, may_be_apart
from tts.components.component import Component, ComponentKind, Section, article, singular
from tts.components.slot import may_be_path, slot_of
from tts.errors import TTSError
from tts.recipe.mistakes import Mistake, Subject, explain, refusal
from tts.recipe.model import SEPARATE, Recipe
from tts.recipe.tree import Node, as_section, shown

SectionT = TypeVar("SectionT", bound=Section)

FAILED = -1  # stands for a component that could not be built; what is wrong with it has been noted


def build(root: Node, noted: Iterable[Mistake] = (), *, on_record: bool = False) -> Recipe:
    """Return the recipe that the tree describes; raise one RecipeError with all its mistakes and those noted before.

    `on_record`: it was written down whole, by this version or an earlier one, which may have lacked keys.
    """
    builder = _Builder(noted, on_record=on_record)
    recipe = builder.section(Recipe, Subject(Recipe, root, "", "a recipe", own_key="extends"))
    if recipe is None or builder.mistakes:
        raise refusal(builder.mistakes) from builder.cause
    return recipe


class _Builder:
    def __init__(self, noted: Iterable[Mistake], *, on_record: bool) -> None:
        self.mistakes, self._on_record = list(noted), on_record
        self.cause: BaseException | None = None
        self._built: list[Component] = []

    def section(self, kind: type[SectionT], subject: Subject) -> SectionT | None:
        """Return the section built from its keys, or None where something is wrong with them."""
        assert isinstance(subject.node.value, dict)
        values = {
            key: self._value(kind.model_fields.get(key), node, subject.below([key]))
            for key, node in subject.node.value.items()
        }
        try:
            return kind.model_validate_json(json.dumps(values), context=self._built)
        except ValidationError as error:
            self.mistakes += explain(error, subject)
        except TTSError as error:
            self._note(subject.node, f"`{subject.path}`: {error}")
        return None

    def _value(self, field: FieldInfo | None, node: Node, path: str) -> Any:
        """Return what pydantic shall check: plain data, and in a slot the number of a component that is built now.

        A path that begins with `./` or `../` is seen from the folder of the recipe file that holds it.
        """
        slot, is_list = (slot_of(field) if field else None) or (None, False)
        if slot and is_list and isinstance(node.value, list):
            return [self._component(slot.kind, item, f"{path}.{index}") for index, item in enumerate(node.value)]
        if slot and not is_list and node.value is not None:
            return self._component(slot.kind, node, path)
        if field and may_be_path(field):
            folder, text = node.place.folder, node.value
            if folder is not None and isinstance(text, str) and text.startswith(("./", "../")):
                return os.path.abspath(folder / text)
        return node.plain()

    def _component(self, kind: ComponentKind, node: Node, path: str) -> int:
        """Build a component and return its number, or FAILED."""
        section, word = as_section(node), singular(kind)
        if not isinstance(section.value, dict):
            wanted = f"`{path}` must be {article(word)} {word}: its name, or a mapping with `name` and its keys"
            return self._note(node, f"{wanted}, got {shown(node)}")
        name = section.value.get("name")
        if name is None:
            listed = ", ".join(registry.names(kind))
            return self._note(node, f"`{path}.name` is missing: which {word}? There are: {listed}")
        if not isinstance(name.value, str):
            return self._note(name, f"`{path}.name` must be the name of {article(word)} {word}, got {shown(name)}")
        try:
            component_class = registry.load(kind, name.value)
        except TTSError as error:
            self.cause = error
            return self._note(name, f"`{path}`: {error}")
        if kind == "engines" and SEPARATE in section.value:
            component_class = self._apart(component_class, section.value, path)
        once = component_class.once if self._on_record else {}
        lacking = {key: Node(value, section.place) for key, value in once.items() if key not in section.value}
        keys = Node({key: below for key, below in section.value.items() if key != "name"} | lacking, section.place)
        component = self.section(component_class, Subject(component_class, keys, path, f"the {word} `{name.value}`"))
        return FAILED if component is None else self._number(component, shared=kind == "engines")

    def _apart(self, engine: type[Component], keys: dict[str, Node], path: str) -> type[Component]:
        """Return the class that does an engine's work in a process of its own, if its section asks for that."""
        node = keys[SEPARATE]
        if node.value is not True:
            if node.value is not False:
                self._note(node, f"`{path}.{SEPARATE}` must be true or false, got {shown(node)}")
            del keys[SEPARATE]
            return engine
        if not may_be_apart(engine):
            self._note(node, f"`{path}.{SEPARATE}` must be false: this engine computes nothing in our process")
            return engine
        return apart(engine)

    def _number(self, component: Component, *, shared: bool) -> int:
        """Keep a component and return its number. `shared`: two sections that say the same are one."""
        for number, built in enumerate(self._built if shared else ()):
            if type(built) is type(component) and built.model_dump() == component.model_dump():
                return number
        self._built.append(component)
        return len(self._built) - 1

    def _note(self, node: Node, text: str) -> int:
        self.mistakes.append(Mistake(node.place, text))
        return FAILED
