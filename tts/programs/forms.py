"""The tests of a code problem as plain data, checked where they are read: hidden ones and those that a prompt shows.

Four forms, one object each (`tests` and `public_tests` of a row, `Reference.tests`, `Problem.public_tests`):

- `{"stdin": [{"input": "2 3\\n", "output": "5\\n"}, …]}`: a program that reads standard input and prints.
- `{"calls": [{"args": [2, 3], "expected": 5}, …], "entry_point": "add"}`: a function, or a method `Class.method` of an
  object made without arguments. A tuple equals a list of the same items, since JSON has no tuples.
- `{"asserts": ["assert add(2, 3) == 5", …], "entry_point": "add"}`: each a test of its own.
- `{"check": "def check(candidate): …", "entry_point": "add"}`: code whose `check` is given the function.

With them, if wanted: `tolerance` (stdin, calls), by which two numbers that count as equal may differ, so that 0 makes
`2.50` the number 2.5, exactly (left out: what is printed is text, values are compared by `==`); `setup` (asserts,
check), code that the tests need; `prelude`, code that stands before every program, such as the imports it may expect.
"""

from __future__ import annotations

import ast
import builtins
import math
import re
import warnings
from difflib import get_close_matches

from tts.types import JSON

KEYS = {
    "stdin": ("tolerance", "prelude"),
    "calls": ("entry_point", "tolerance", "prelude"),
    "asserts": ("entry_point", "setup", "prelude"),
    "check": ("entry_point", "setup", "prelude"),
}
ENTRY_POINT = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)?")
DEFINES_CHECK = re.compile(r"^def check\(", re.MULTILINE)
FORMS = "stdin, calls, asserts or check"


class TestsError(ValueError):
    """Tests that have none of the four forms; the message says where and what."""

    __test__ = False  # the name is no test case of pytest's


def as_object(value: JSON, entry_point: str = "") -> dict[str, JSON]:
    """Return tests in their full form. `entry_point` is the row's own, "" where it brings none.

    Short forms: a list of `{"input", "output"}`, of `{"args", "expected"}` or of assert statements; a text, which is
    `check` where it defines that function, else one test. The function that bare asserts call may be left out where
    they call only one. Raises TestsError for anything that `check` refuses.
    """
    tests = dict(value) if isinstance(value, dict) else _from_short(value)
    if entry_point and "stdin" not in tests:
        named = tests.setdefault("entry_point", entry_point)
        if named != entry_point:
            raise TestsError(f"`entry_point` must be given once, got {named!r} and {entry_point!r}")
    if "asserts" in tests and "entry_point" not in tests:
        tests["entry_point"] = _only_called(tests["asserts"], tests.get("setup"))
    check(tests)
    return tests


def check(tests: JSON) -> None:
    """Raise TestsError where `tests` is no object in its full form, saying what is wrong with it."""
    if not isinstance(tests, dict):
        raise TestsError(f"must be an object with one of the keys {FORMS}, got {_shown(tests)}")
    # One form, and no other keys than it may have.
    forms = [form for form in KEYS if form in tests]
    if len(forms) != 1:
        raise TestsError(f"must have exactly one of the keys {FORMS}, got {_shown(list(tests))}")
    form, known = forms[0], (forms[0], *KEYS[forms[0]])
    for key in tests:
        if key not in known:
            raise TestsError(_unknown(key, known))
    # What stands beside the tests.
    tolerance = tests.get("tolerance")
    is_number = isinstance(tolerance, int | float) and not isinstance(tolerance, bool)
    if tolerance is not None and not (is_number and 0 <= tolerance < math.inf):  # type: ignore[operator]  # it is a number
        raise TestsError(f"`tolerance` must be a number of at least 0, got {_shown(tolerance)}")
    _check_text(tests, "prelude")
    entry_point = tests.get("entry_point")
    if form != "stdin" and not (isinstance(entry_point, str) and ENTRY_POINT.fullmatch(entry_point)):
        raise TestsError(f"`entry_point` must be the name of a function or `Class.method`, got {_shown(entry_point)}")
    _check_text(tests, "setup")
    _tree(str(tests.get("setup", "")), "setup")
    # The tests themselves.
    CHECKS[form](tests[form])


def called_names(sources: tuple[str, ...]) -> list[str]:
    """Return the names that test code calls and neither defines nor imports, built-ins among them, in order."""
    nodes = [node for source in sources for node in ast.walk(_tree(source, "tests"))]
    known = {name for node in nodes for name in _bound(node)}
    calls = [node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    return [name for name in dict.fromkeys(calls) if name not in known]


def _from_short(value: JSON) -> dict[str, JSON]:
    if isinstance(value, str):
        return {"check": value} if DEFINES_CHECK.search(value) else {"asserts": [value]}
    if not isinstance(value, list) or not value:
        raise TestsError(f"must be a non-empty list, object or string, got {_shown(value)}")
    first = value[0]
    if isinstance(first, dict):
        return {"stdin" if "input" in first else "calls": value}
    return {"asserts": value}


def _check_text(tests: dict[str, JSON], key: str) -> None:
    if not isinstance(tests.get(key, ""), str):
        raise TestsError(f"`{key}` must be a string, got {_shown(tests[key])}")


def _check_stdin(cases: JSON) -> None:
    for index, case in enumerate(_items("stdin", cases)):
        place = f"stdin[{index}]"
        fields = _fields(place, case, ("input", "output"))
        for key in ("input", "output"):
            if not isinstance(fields[key], str):
                raise TestsError(f"`{place}.{key}` must be a string, got {_shown(fields[key])}")


def _check_calls(cases: JSON) -> None:
    for index, case in enumerate(_items("calls", cases)):
        place = f"calls[{index}]"
        args = _fields(place, case, ("args", "expected"))["args"]
        if not isinstance(args, list):
            raise TestsError(f"`{place}.args` must be a list, got {_shown(args)}: write [{_shown(args)}]")


def _check_asserts(sources: JSON) -> None:
    for index, source in enumerate(_items("asserts", sources)):
        if not isinstance(source, str) or not source.strip():
            raise TestsError(f"`asserts[{index}]` must be a statement, got {_shown(source)}")
        _tree(source, f"asserts[{index}]")


def _check_check(source: JSON) -> None:
    if not isinstance(source, str) or not DEFINES_CHECK.search(source):
        raise TestsError(f"`check` must be code that defines `check(candidate)`, got {_shown(source)}")
    _tree(source, "check")


CHECKS = {"stdin": _check_stdin, "calls": _check_calls, "asserts": _check_asserts, "check": _check_check}


def _items(form: str, value: JSON) -> list[JSON]:
    if not isinstance(value, list) or not value:
        raise TestsError(f"`{form}` must be a non-empty list, got {_shown(value)}")
    return value


def _fields(place: str, case: JSON, keys: tuple[str, ...]) -> dict[str, JSON]:
    """Return a case that has exactly these keys."""
    if not isinstance(case, dict):
        raise TestsError(f"`{place}` must be an object, got {_shown(case)}")
    for key in case:
        if key not in keys:
            raise TestsError(f"`{place}`: {_unknown(key, keys)}")
    for key in keys:
        if key not in case:
            raise TestsError(f"`{place}` must have the key `{key}`, got {_shown(list(case))}")
    return case


def _unknown(key: str, known: tuple[str, ...]) -> str:
    near = get_close_matches(key, known, n=1)
    hint = f": did you mean `{near[0]}`?" if near else ""
    return f"a key must be one of {', '.join(known)}, got {key!r}{hint}"


def _tree(source: str, place: str) -> ast.Module:
    """Return the syntax tree of test code, which is the problem's and no candidate's."""
    try:
        with warnings.catch_warnings(action="ignore"):
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise TestsError(f"`{place}` must be Python, got {_shown(source)} ({error})") from error


def _only_called(asserts: JSON, setup: JSON) -> str:
    sources = tuple(source for source in asserts if isinstance(source, str)) if isinstance(asserts, list) else ()
    called = called_names((setup if isinstance(setup, str) else "", *sources))
    names = [name for name in called if name not in dir(builtins)]
    if len(names) != 1:
        raise TestsError(f"`entry_point` must name the function under test, since the asserts call {names or 'none'}")
    return names[0]


def _bound(node: ast.AST) -> list[str]:
    """Return the names that one node of test code binds."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(alias.asname or alias.name).partition(".")[0] for alias in node.names]
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return [node.id]
    return [node.arg] if isinstance(node, ast.arg) else []


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
