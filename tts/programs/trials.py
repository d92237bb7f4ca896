"""What programs are tried with, to see which behave alike: the inputs of the examples, and inputs mutated from them."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TypeAlias, cast

from tts.programs.judging.judge import observe_calls, observe_stdio
from tts.programs.judging.records import CallTests, Observation, StdioTests, Tests
from tts.programs.mutation import Arguments, mutants
from tts.sandbox import Limits, Sandbox

Step: TypeAlias = Callable[[Sandbox, str, Limits], list[Observation]]
"""Gives a program some inputs; returns what it did with each."""


def trial_steps(tests: Tests, num_mutants: int, seed: str) -> tuple[list[Step], list[Step]]:
    """Return the steps of the examples and those of the mutants; two empty lists where no example can be run.

    The first example is a step of its own: what fails it, or never ends, is not tried any further.
    """
    if isinstance(tests, StdioTests):
        stdins = [test.stdin for test in tests.tests]
        return [_reading(stdins[:1]), _reading(stdins[1:])], [_reading(mutants(stdins, num_mutants, seed))]
    if isinstance(tests, CallTests):
        function, calls = tests.function, [test.arguments for test in tests.tests]
    else:  # what the assertions call it with, as far as it is literals, none twice
        function = tests.functions[0]
        literal = (arguments for source in tests.tests for arguments in _literal_calls(source, function))
        calls = list({repr(arguments): arguments for arguments in literal}.values())
    if not calls:
        return [], []
    more = mutants(calls, num_mutants, seed)
    return [_calling(function, calls[:1]), _calling(function, calls[1:])], [_calling(function, more)]


def take_steps(steps: Sequence[Step], sandbox: Sandbox, program: str, limits: Limits) -> list[Observation]:
    """Take a program through the steps, up to the first that it fails."""
    seen: list[Observation] = []
    for step in steps:
        seen += step(sandbox, program, limits)
        if any(one.outcome != "ok" for one in seen):
            break
    return seen


def _reading(stdins: list[str]) -> Step:
    return lambda sandbox, program, limits: observe_stdio(sandbox, program, stdins, limits)


def _calling(function: str, calls: list[Arguments]) -> Step:
    return lambda sandbox, program, limits: observe_calls(sandbox, program, function, calls, limits)


def _literal_calls(source: str, function: str) -> Iterator[Arguments]:
    with warnings.catch_warnings(action="ignore"):
        tree = ast.parse(source)
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        if node.func.id in (function, "candidate") and not node.keywords:
            with suppress(ValueError):  # an argument that is no literal
                yield tuple(cast("Arguments", [ast.literal_eval(argument) for argument in node.args]))
