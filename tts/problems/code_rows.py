"""What a row says of a code problem: the function it asks for, the code it begins with, its tests."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

from tts.errors import shown
from tts.problems.jsonl import BadRow
from tts.programs.forms import ENTRY_POINT, TestsError, as_object
from tts.types import JSON

CODE_KEYS = ("tests", "public_tests", "entry_point", "starter_code")


@dataclass(frozen=True, slots=True)
class CodeRow:
    """The keys of a code problem, checked. Tests are in their full form, None where there are none."""

    entry_point: str = ""
    starter_code: str = ""
    public_tests: JSON = None
    tests: JSON = None


def read_code(values: Mapping[str, JSON], prompt: str) -> CodeRow:
    """Return the code keys of a row; `values` holds no null.

    The function's name may come with the tests. A prompt that is itself the beginning of the function is the starter
    code too (HumanEval's form).
    """
    named = _entry_point(values["entry_point"]) if "entry_point" in values else ""
    public, hidden = (_tests(values, key, named) for key in ("public_tests", "tests"))
    names = {str(tests["entry_point"]) for tests in (public, hidden) if tests and "entry_point" in tests}
    if len(names) > 1:
        raise BadRow("bad_tests", f"all tests must be of one function, got {shown(sorted(names))}: split the row")
    entry_point = named or next(iter(names), "")
    starter_code = values.get("starter_code", "")
    if not isinstance(starter_code, str):
        raise BadRow("bad_starter_code", f"`starter_code` must be a string, got {shown(starter_code)}")
    if "starter_code" not in values and _begins_function(prompt, entry_point):
        starter_code = prompt
    return CodeRow(entry_point, starter_code, public, hidden)


def _entry_point(value: JSON) -> str:
    if not isinstance(value, str) or not ENTRY_POINT.fullmatch(value):
        message = f"`entry_point` must be the name of a function or `Class.method`, got {shown(value)}"
        raise BadRow("bad_entry_point", f"{message}: correct it, or leave it out for a program that reads its input")
    return value


def _tests(values: Mapping[str, JSON], key: str, entry_point: str) -> dict[str, JSON] | None:
    if key not in values:
        return None
    try:
        return as_object(values[key], entry_point)
    except TestsError as error:
        raise BadRow("bad_tests", f"`{key}`: {error}") from error


def _begins_function(prompt: str, entry_point: str) -> bool:
    """Tell whether the prompt is Python code that defines the function."""
    if not entry_point or not re.search(rf"^(?:async )?def {re.escape(entry_point)}\b", prompt, re.MULTILINE):
        return False
    try:
        with warnings.catch_warnings(action="ignore"):
            ast.parse(prompt)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
