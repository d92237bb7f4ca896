"""From the plain data of a problem's tests to what the judging takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tts.programs.completion import with_preamble
from tts.programs.forms import as_object
from tts.programs.judging.records import Assertions, CallTest, CallTests, Comparison, StdioTest, StdioTests, Tests
from tts.types import JSON


@dataclass(frozen=True, slots=True)
class TestSuite:
    """Tests, and the code that stands before every program."""

    __test__ = False  # the name is no test case of pytest's

    tests: Tests
    prelude: str

    def program(self, code: str) -> str:
        """Return the whole program for an answer."""
        return with_preamble(self.prelude, code)


def read_suite(value: JSON, comparison: Comparison = "tolerant") -> TestSuite:
    """Return the tests that `value` states in a form of `tts.programs.forms`. Raises TestsError."""
    stated: dict[str, Any] = as_object(value)
    return TestSuite(_tests(stated, comparison), stated.get("prelude", ""))


def _tests(stated: dict[str, Any], comparison: Comparison) -> Tests:
    if "stdin" in stated:
        stdio = tuple(StdioTest(case["input"], case["output"]) for case in stated["stdin"])
        return StdioTests(stdio, stated.get("tolerance"), comparison)
    function = stated["entry_point"]
    if "calls" in stated:
        calls = tuple(CallTest(tuple(case["args"]), case["expected"]) for case in stated["calls"])
        return CallTests(function, calls, stated.get("tolerance"), comparison)
    sources = (f"{stated['check']}\n\ncheck({function})\n",) if "check" in stated else tuple(stated["asserts"])
    return Assertions(sources, (function,), stated.get("setup", ""))
