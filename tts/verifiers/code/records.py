"""From the plain data of a problem's tests to what the judging takes; and the inputs that its examples show."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from tts.program_tests import as_object
from tts.types import JSON
from tts.verifiers.code.completion import with_preamble
from tts.verifiers.code.judging import Assertions, CallTest, CallTests, StdioTest, StdioTests, Tests
from tts.verifiers.code.mutation import Arguments


@dataclass(frozen=True, slots=True)
class Exam:
    """Tests, and the code that stands before every program."""

    tests: Tests
    prelude: str

    def program(self, code: str) -> str:
        """Return the whole program for an answer."""
        return with_preamble(self.prelude, code)


def read_exam(value: JSON) -> Exam:
    """Return the tests that `value` states in a form of `tts.program_tests`. Raises TestsError."""
    stated: dict[str, Any] = as_object(value)
    return Exam(_tests(stated), stated.get("prelude", ""))


def _tests(stated: dict[str, Any]) -> Tests:
    if "stdin" in stated:
        stdio = tuple(StdioTest(case["input"], case["output"]) for case in stated["stdin"])
        return StdioTests(stdio, stated.get("tolerance"))
    function = stated["entry_point"]
    if "calls" in stated:
        calls = tuple(CallTest(tuple(case["args"]), case["expected"]) for case in stated["calls"])
        return CallTests(function, calls, stated.get("tolerance"))
    sources = (f"{stated['check']}\n\ncheck({function})\n",) if "check" in stated else tuple(stated["asserts"])
    return Assertions(sources, (function,), stated.get("setup", ""))


def stdin_inputs(tests: Tests) -> list[str]:
    """Return what programs read in these tests; [] where they read nothing."""
    return [test.stdin for test in tests.tests] if isinstance(tests, StdioTests) else []


def call_inputs(tests: Tests) -> tuple[str, list[Arguments]]:
    """Return the function of these tests and the arguments it is called with, as far as they are literals."""
    if isinstance(tests, CallTests):
        return tests.function, [test.arguments for test in tests.tests]
    if isinstance(tests, Assertions):
        calls = (arguments for source in tests.tests for arguments in _literal_calls(source, tests.functions[0]))
        return tests.functions[0], list(calls)
    return "", []


def _literal_calls(source: str, function: str) -> Iterator[Arguments]:
    with warnings.catch_warnings(action="ignore"):
        tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in (function, "candidate"):
            try:
                yield tuple(cast("Arguments", [ast.literal_eval(argument) for argument in node.args]))
            except ValueError:
                continue
