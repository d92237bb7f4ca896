"""What every component is: a frozen, strict class whose documented fields are its recipe keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

ComponentKind = Literal["engines", "samplers", "scorers", "selectors", "verifiers", "tasks"]


def article(word: str) -> str:
    """Return `an` before a vowel, else `a`."""
    return "an" if word[0] in "aeiou" else "a"


Strings = Annotated[tuple[str, ...], Field(strict=False)]
"""A tuple of strings that may also be built from a list."""


def singular(kind: ComponentKind) -> str:
    """Return the word for one component of this kind."""
    return kind.removesuffix("s")


class Section(BaseModel):
    """A mapping of a recipe: its public fields are the keys, their docstrings the descriptions."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class Component(Section):
    """Base of engines, samplers, scorers, selectors, verifiers and tasks.

    The public fields are the keys of the component's recipe section; each needs a description. What a component holds
    while it works (a loaded model, worker processes) lives in private attributes, made by `open` and freed by `close`.
    Building one is cheap, and touches neither disk nor network.
    """

    circumstances: ClassVar[frozenset[str]] = frozenset()
    """Keys that say where, how fast or with how much memory it works. They cannot change how a candidate is
    distributed, so a run may go on with others."""

    once: ClassVar[Mapping[str, str]] = {}
    """Keys that were added later, and what was done before there were any: a recipe on record without them means that,
    and not their default."""

    stands_for: ClassVar[type[Component] | None] = None
    """The class that a recipe names, where this one is made of it and works for it."""

    def check(self) -> None:
        """Raise where what `open` needs is plainly missing (a package, say). Cheap; called before any work."""

    def open(self) -> None:
        """Load what the component needs. Called once, before its first use; raises a TTSError when it cannot."""

    def close(self) -> None:
        """Free everything. Safe to call twice and without `open`."""

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
