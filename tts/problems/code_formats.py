"""Rows as the code benchmarks publish them, put into our keys: HumanEval, MBPP, LiveCodeBench.

A row is recognised by keys that stand together in no other rows. What gives the solution away becomes the reference.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import pickle
import re
import zlib
from collections.abc import Callable, Mapping

from tts.errors import shown
from tts.problems.examples import docstring_examples
from tts.problems.jsonl import BadRow
from tts.programs.forms import TestsError, called_names
from tts.types import JSON

Values = Mapping[str, JSON]

HUMANEVAL = (frozenset({"prompt", "entry_point", "test", "canonical_solution"}),)
MBPP = (frozenset({"code", "test_list"}), frozenset({"code", "tests", "test_imports"}))
LIVECODEBENCH = (
    frozenset({"question_content", "public_test_cases", "private_test_cases"}),
    frozenset({"starter_code", "testtype", "public_tests", "known_hidden_tests"}),
)
IMPORT = re.compile(r"^(?:import|from)[ ].+$", re.MULTILINE)
MODULES = (
    *("string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random", "statistics"),
    *("itertools", "functools", "operator", "io", "sys", "json"),
)
PRELUDE = "".join(
    [f"from {module} import *\n" for module in (*MODULES, "builtins", "typing")]
    + [f"import {module}\n" for module in MODULES]
    + ["sys.setrecursionlimit(50000)\n", "sys.set_int_max_str_digits(50000)\n"]
)
"""What LiveCodeBench puts before every program, and the length of numbers that its processes are set to."""


def in_our_keys(values: Values) -> Values:
    """Return the row in our keys where it has a published benchmark's form, else as it is. Raises BadRow."""
    for forms, read in READERS:
        if any(form <= values.keys() for form in forms):
            return read(values)
    return values


def read_humaneval(values: Values) -> dict[str, JSON]:
    """The prompt is the beginning of a program: its docstring shows examples, its `canonical_solution` ends it."""
    prompt, entry_point = _text(values, "prompt"), _text(values, "entry_point")
    definition = re.search(rf"^def {re.escape(entry_point)}\b", prompt, re.MULTILINE)
    if definition is None:
        raise BadRow("bad_tests", f"`prompt` must define `entry_point`, got {shown(entry_point)}: correct the name")
    setup = prompt[: definition.start()].strip("\n")
    common: dict[str, JSON] = {"entry_point": entry_point, "setup": setup}
    examples: list[JSON] = [*docstring_examples(prompt, entry_point)]
    return {
        **_rest(values, "task_id", "prompt", "entry_point", "test", "canonical_solution"),
        **_id(values, ""),
        "problem": prompt,
        "kind": "code",
        "entry_point": entry_point,
        "starter_code": prompt,
        "public_tests": {"asserts": examples, **common} if examples else None,
        "tests": {"check": _text(values, "test"), **common},
        "answer": f"{prompt}{_text(values, 'canonical_solution')}",
    }


def read_mbpp(values: Values, num_shown: int = 1) -> dict[str, JSON]:
    """The prompt is a sentence; the first `num_shown` of the tests are shown below it, since they name the function."""
    tests = values.get("test_list") or values.get("tests")
    asserts = [str(test) for test in tests] if isinstance(tests, list) else []
    code = _text(values, "code")
    setup = _mbpp_setup(values, code)
    common: dict[str, JSON] = {"entry_point": _function_under_test(asserts, setup, code), "setup": setup}
    examples: list[JSON] = [*asserts[:num_shown]]
    text = next((str(values[key]) for key in ("text", "prompt", "problem", "question") if values.get(key)), "")
    heading = f"Your code should pass {'this test' if len(examples) == 1 else 'these tests'}:"
    known = ("task_id", "text", "prompt", "problem", "code", "test_list", "tests", "test_imports", "test_setup_code")
    return {
        **_rest(values, *known, "entry_point", "challenge_test_list"),
        **_id(values, "mbpp/"),
        "problem": "\n".join((f"{text.strip()}\n\n{heading}", *map(str, examples))) if examples else text,
        "kind": "code",
        "entry_point": common["entry_point"],
        "public_tests": {"asserts": examples, **common} if examples else None,
        "tests": {"asserts": [*asserts], **common},
        "answer": code,
    }


def read_livecodebench(values: Values) -> dict[str, JSON]:
    """The prompt is a contest's task; its tests are read from standard input, or are calls of a method of `Solution`.

    A program is tested on the public cases and the private ones, as far as the row holds them.
    """
    function = _livecodebench_function(values)
    public = _cases(values.get("public_test_cases", values.get("public_tests")), function)
    private = _cases(values.get("private_test_cases", values.get("known_hidden_tests")), function)
    known = ("question_id", "question_title", "question_content", "problem", "public_test_cases", "private_test_cases")
    more = ("public_tests", "known_hidden_tests", "func_name", "testtype", "starter_code", "metadata")
    return {
        **_rest(values, *known, *more),
        **({"title": values["question_title"]} if "question_title" in values else {}),
        "id": values.get("id") or values.get("question_id"),
        "problem": values.get("question_content") or values.get("problem"),
        "kind": "code",
        "starter_code": values.get("starter_code") or None,
        "entry_point": f"Solution.{function}" if function else None,
        "public_tests": _livecodebench_tests(public, function),
        "tests": _livecodebench_tests([*public, *private], function),
    }


READERS: tuple[tuple[tuple[frozenset[str], ...], Callable[[Values], dict[str, JSON]]], ...] = (
    (HUMANEVAL, read_humaneval),
    (MBPP, read_mbpp),
    (LIVECODEBENCH, read_livecodebench),
)


def _rest(values: Values, *known: str) -> dict[str, JSON]:
    """Return what stays metadata, and what else means the same in every row."""
    return {key: value for key, value in values.items() if key not in known}


def _id(values: Values, prefix: str) -> dict[str, JSON]:
    if values.get("id") is not None or values.get("task_id") is None:
        return {}
    return {"id": f"{prefix}{values['task_id']}"}


def _text(values: Values, key: str) -> str:
    text = values.get(key)
    if not isinstance(text, str):
        raise BadRow("bad_tests", f"`{key}` must be a string, got {shown(text)}")
    return text


def _mbpp_setup(values: Values, code: str) -> str:
    """Return the imports that the tests name, and those of the reference solution, which some tests rely on."""
    imports = values.get("test_imports")
    named = [str(line) for line in imports] if isinstance(imports, list) else []
    lines = (*named, str(values.get("test_setup_code") or ""), *IMPORT.findall(code))
    return "\n".join(dict.fromkeys(line for line in lines if line))


def _function_under_test(asserts: list[str], setup: str, code: str) -> str:
    """Return the first function that the asserts call and the reference solution defines."""
    defined = set(re.findall(r"^(?:def|class)[ ]+(\w+)", code, re.MULTILINE))
    try:
        called = called_names((setup, *asserts))
    except TestsError as error:
        raise BadRow("bad_tests", f"`test_list` cannot be read: {error}") from error
    found = next((name for name in called if name in defined), "")
    if not found:
        raise BadRow("bad_tests", f"the tests must call a function of `code`, got {shown(called)}: check the row")
    return found


def _livecodebench_function(values: Values) -> str:
    """Return the name of the method that is called, "" for programs that read standard input."""
    metadata = values.get("metadata")
    if isinstance(metadata, str):
        metadata = _loaded(metadata, "metadata")
    name = metadata.get("func_name") if isinstance(metadata, dict) else values.get("func_name")
    return name if isinstance(name, str) else ""


def _cases(value: JSON, function: str) -> list[JSON]:
    """Return the cases of one column, given as a list, as JSON, or as JSON pickled, packed and in base 64."""
    if isinstance(value, str):
        plain = value.lstrip().startswith("[")
        value = _loaded(value if plain else _unpacked(value), "test cases")
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(case, dict) for case in value):
        raise BadRow("bad_tests", f"test cases must be a list of objects, got {shown(value)}")
    return [_case(case, function) for case in value if isinstance(case, dict)]


def _case(case: dict[str, JSON], function: str) -> JSON:
    given, expected = _text(case, "input"), _text(case, "output")
    if not function:
        return {"input": given, "output": expected}
    args: list[JSON] = [_loaded(line, "input") for line in given.split("\n") if line.strip()]
    return {"args": args, "expected": _loaded(expected, "output")}


def _livecodebench_tests(cases: list[JSON], function: str) -> dict[str, JSON] | None:
    if not cases:
        return None
    if function:
        return {"calls": cases, "entry_point": f"Solution.{function}", "prelude": PRELUDE}
    return {"stdin": cases, "tolerance": 0, "prelude": PRELUDE}


def _loaded(text: str, what: str) -> JSON:
    try:
        return json.loads(text)  # type: ignore[no-any-return] # json.loads is untyped
    except (ValueError, RecursionError) as error:
        raise BadRow("bad_tests", f"`{what}` must be JSON, got {shown(text)} ({error})") from error


class _TextOnly(pickle.Unpickler):
    """Reads a pickled text. A pickle may name any class or function to call; here none is found."""

    def find_class(self, module: str, name: str, /) -> object:
        raise pickle.UnpicklingError(f"it names {module}.{name}")


def _unpacked(packed: str) -> str:
    try:
        text = _TextOnly(io.BytesIO(zlib.decompress(base64.b64decode(packed, validate=True)))).load()
    except (binascii.Error, zlib.error, pickle.UnpicklingError, EOFError, ValueError, IndexError) as error:
        message = f"`private_test_cases` must be JSON, plain or packed, got {shown(packed)} ({error})"
        raise BadRow("bad_tests", message) from error
    if not isinstance(text, str):
        raise BadRow("bad_tests", f"`private_test_cases` must be packed text, got {type(text).__name__}")
    return text
