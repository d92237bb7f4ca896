"""What programs are tried with, to see which behave alike: the inputs of the examples, and inputs mutated from them."""

from __future__ import annotations

import ast
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeAlias

from tts.programs.judging.judge import observe_calls, observe_expressions, observe_stdio, observe_tests
from tts.programs.judging.records import Assertions, CallTests, Observation, StdioTests, Tests
from tts.programs.mutation import Arguments, mutants
from tts.sandbox import Limits, Sandbox

Step: TypeAlias = Callable[[Sandbox, str, Limits], list[Observation]]
"""Gives a program some inputs; returns what it did with each."""


_CONVERSIONS = frozenset(
    ("bytes", "dict", "float", "frozenset", "int", "list", "next", "round", "set", "sorted", "str", "tuple")
)
"""Built-in functions by which tests make what a function returns comparable."""


def trial_steps(tests: Tests, num_mutants: int, seed: str) -> tuple[list[Step], list[Step]]:
    """Return the steps of the examples and those of the mutants; two empty lists where no example can be run.

    The first example is a step of its own: what fails it, or never ends, is not tried any further.
    """
    if isinstance(tests, StdioTests):
        stdins = [test.stdin for test in tests.tests]
        return [_reading(stdins[:1]), _reading(stdins[1:])], [_reading(mutants(stdins, num_mutants, seed))]
    if isinstance(tests, CallTests):
        function, calls = tests.function, [test.arguments for test in tests.tests]
        more = mutants(calls, num_mutants, seed)
        return [_calling(function, calls[:1]), _calling(function, calls[1:])], [_calling(function, more)]
    # What the assertions look at, as far as the arguments are literals, none twice; else all that they are answered.
    function = tests.functions[0]
    by_source = {source: [*_looks(source, function)] for source in tests.tests}
    found = dict.fromkeys(each for looks in by_source.values() for each in looks)
    others = replace(tests, tests=tuple(source for source, looks in by_source.items() if not looks))
    answering = [_answering(others)] if others.tests else []
    if not found:
        return answering, []
    # Mutants of the commonest form.
    form, _ = Counter(form for form, _ in found).most_common(1)[0]
    more = mutants([ast.literal_eval(args) for each, args in found if each == form], num_mutants, seed)
    looks, mutated = [f"{each}(*{args})" for each, args in found], [f"{form}(*{args!r})" for args in more]
    steps = [_looking(function, looks[:1]), _looking(function, looks[1:]), *answering]
    return steps, [_looking(function, mutated)]


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


def _looking(function: str, expressions: list[str]) -> Step:
    return lambda sandbox, program, limits: observe_expressions(sandbox, program, function, expressions, limits)


def _answering(tests: Assertions) -> Step:
    return lambda sandbox, program, limits: observe_tests(sandbox, program, tests, limits)


def _looks(source: str, function: str) -> Iterator[tuple[str, str]]:
    """Yield what test code looks at: a lambda of literals that were the arguments of calls, and these arguments.

    Around the call of the function stands what is done with its result before it is compared: `list(f(3))`,
    `f(3)[0]`, `f().method(3)`. What is kept, to be used in more than one way, is not looked at.
    """
    with warnings.catch_warnings(action="ignore"):
        tree = ast.parse(source)
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    if any(isinstance(node, ast.Try) for node in parents):  # what is raised may be right
        return
    used = {node.value.id for node in parents if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)}
    for node in list(ast.walk(tree)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        if node.func.id not in (function, "candidate"):
            continue
        top: ast.expr = node
        calls = [node]
        while (above := _next_look(top, parents.get(top))) is not None:
            if isinstance(above, ast.Call) and above.func is top:
                calls.append(above)
            top = above
        kept = getattr(parents.get(top), "targets", ())
        if any(isinstance(target, ast.Name) and target.id in used for target in kept):
            continue
        with suppress(ValueError):  # an argument that is no literal
            yield _as_lambda(top, calls, function)


def _next_look(node: ast.expr, above: ast.AST | None) -> ast.expr | None:
    """Return the expression around `node` that only goes on with its value, None where it is done with."""
    if isinstance(above, ast.Attribute | ast.Subscript) and above.value is node:
        return above
    if not isinstance(above, ast.Call) or above.keywords:
        return None
    if above.func is node:
        return above
    converts = isinstance(above.func, ast.Name) and above.func.id in _CONVERSIONS
    return above if converts and above.args[0] is node else None


def _as_lambda(top: ast.expr, calls: Sequence[ast.Call], function: str) -> tuple[str, str]:
    """Return the lambda of the calls' arguments, and these. Raises ValueError where they are no literals."""
    arguments: list[object] = []
    for call in calls:
        call.args, given = [], call.args
        for argument in given:
            arguments.append(ast.literal_eval(argument))
            call.args.append(ast.Name(f"argument{len(arguments)}"))
        for keyword in call.keywords:
            arguments.append(ast.literal_eval(keyword.value))
            keyword.value = ast.Name(f"argument{len(arguments)}")
        if isinstance(call.func, ast.Name):
            call.func = ast.Name(function)
    names = ", ".join(f"argument{number + 1}" for number in range(len(arguments)))
    return f"(lambda {names}: {ast.unparse(top)})", repr(tuple(arguments))
