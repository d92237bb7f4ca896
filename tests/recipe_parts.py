"""What the recipe tests share: a complete recipe, files to put it in, and components that ask for the impossible."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import pytest
from pydantic import Field

from tts.components.component import Component
from tts.components.slot import PathText, Slot
from tts.errors import RecipeError
from tts.protocols import Sampler
from tts.recipe import Recipe, load_recipe
from tts.samplers.temperature import Temperature
from tts.types import Answer, Grouping, Problem, Reference, Verdict

COMPLETE = """\
task: {name: text, verifier: "recipe_parts:Verbatim"}
engine: {name: replay, script: ["6", "seven"]}
sampler: temperature
selector: majority_vote
"""


class Verbatim(Component):
    """A verifier to which the whole text is the answer."""

    def extract(self, _problem: Problem, text: str) -> Answer | None:
        return Answer(text, "whole")

    def group(self, _problem: Problem, answers: Sequence[Answer | None]) -> Grouping:
        texts = sorted({answer.text for answer in answers if answer})
        return Grouping(tuple(texts.index(answer.text) if answer else None for answer in answers))

    def verify(self, _: Problem, answers: Sequence[Answer | None], reference: Reference) -> list[Verdict]:
        return [Verdict("passed" if answer and answer.text == reference.answer else "failed") for answer in answers]


class Steered(Temperature):
    """A sampler that needs what no engine of this package offers."""

    requires: ClassVar[frozenset[str]] = frozenset({"hidden_states", "seeds"})


class Rich(Temperature):
    """A sampler with keys of every shape."""

    mode: Literal["fast", "exact"] = "fast"
    """How to go about it."""

    limit: int | Literal["auto"] = "auto"
    """How far to go."""

    weights: dict[str, float] = Field(default_factory=dict)
    """A weight for each word."""

    table: tuple[tuple[int, ...], ...] = ()
    """Rows of numbers."""

    notes: PathText | None = None
    """Where notes are."""

    fallback: Annotated[Sampler, Slot("samplers")] | None = None
    """Another sampler."""


def write(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def load(folder: Path, text: str, *overrides: str) -> Recipe:
    return load_recipe(write(folder, text), overrides)


def mistakes(folder: Path, text: str, *overrides: str) -> list[str]:
    """Return the lines of the error, the folder's path cut off."""
    with pytest.raises(RecipeError) as refused:
        load(folder, text, *overrides)
    return str(refused.value).replace(f"{folder}/", "").splitlines()


def with_sampler(section: str) -> str:
    return COMPLETE.replace("sampler: temperature", f"sampler: {section}")
