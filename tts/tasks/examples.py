"""Worked examples for a prompt (few-shot): a list in the recipe, or a file of JSON lines that is read with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError, field_validator

from tts.components.component import Section, Strings
from tts.components.slot import FromRecipe
from tts.problems.jsonl import read_json_lines
from tts.types import RowError


class Example(Section):
    """A problem with its solution, as the model is to write it."""

    problem: str
    """The problem's text."""

    solution: str
    """What the model should have written: the way to the answer, and the answer in the form that is asked for."""

    choices: Strings = ()
    """The options of a multiple-choice problem, in order."""

    starter_code: str = ""
    """The code that the solution of a programming problem begins with or completes."""

    entry_point: str = ""
    """The name of the function that a programming problem asks for."""

    @field_validator("problem", "solution")
    @classmethod
    def _says_something(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("must not be blank")
        return text


def _read(value: Any) -> Any:
    """Return the examples of the file that a text names, checked; anything else as it is.

    They become a part of the recipe, so that a run folder holds what was asked, and goes on without the file.
    """
    if not isinstance(value, str):
        return value
    found = []
    try:
        with Path(value).expanduser().open("rb") as file:
            for row in read_json_lines(file):
                if isinstance(row, RowError):
                    raise ValueError(f"must hold one example a line, {value}:{row.line}: {row.message}")
                try:
                    found.append(Example.model_validate(row.values))
                except ValidationError as error:
                    first = error.errors()[0]
                    key = ".".join(map(str, first["loc"]))
                    raise ValueError(
                        f"must hold one example a line, with `problem` and `solution`; "
                        f"{value}:{row.line}: `{key}`: {first['msg'].removeprefix('Value error, ')}"
                    ) from error
    except OSError as error:
        raise ValueError(f"must be a list of examples, or a file of them: {value}: {error.strerror}") from error
    if not found:
        raise ValueError(f"must hold one example a line, got none in {value}")
    return found


_Listed = tuple[Annotated[Example, Field(strict=False)], ...]
Examples = Annotated[
    _Listed, Field(strict=False), FromRecipe(), BeforeValidator(_read, json_schema_input_type=_Listed | str)
]
"""Examples, or the path of a file of them; one with a leading `./` or `../` is taken from the recipe file's folder."""
