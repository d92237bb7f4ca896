"""What every component is: a frozen, strict class whose documented fields are its recipe keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import CoreSchema, core_schema

ComponentKind = Literal["engines", "samplers", "scorers", "selectors", "verifiers", "tasks"]

Strings = Annotated[tuple[str, ...], Field(strict=False)]
"""A list of strings in YAML, a tuple in Python (strict mode would refuse the list)."""


class Component(BaseModel):
    """Base of engines, samplers, scorers, selectors, verifiers and tasks.

    The public fields are the keys of the component's recipe section; each needs a description. What a component holds
    while it works (a loaded model, worker processes) lives in private attributes, made by `open` and freed by `close`.
    Building one is cheap, and touches neither disk nor network.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    def open(self) -> None:
        """Load what the component needs. Called once, before its first use; raises a TTSError when it cannot."""

    def close(self) -> None:
        """Free everything. Safe to call twice and without `open`."""

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class Slot:
    """Marks a field that holds another component: `scorer: Annotated[Scorer, Slot("scorers")]`.

    The recipe reader builds the inner component first, so that its mistakes are located like any other; here it
    only has to be one.
    """

    kind: ComponentKind

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], CoreSchema]) -> CoreSchema:
        """Accept any component as it is (source and handler belong to pydantic's protocol)."""
        return core_schema.is_instance_schema(Component)
