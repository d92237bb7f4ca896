"""From a program and its tests to a verdict, which is made here, outside of the program's process."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from tts.programs.judging.compare import same_result
from tts.programs.judging.records import (
    Assertions,
    CallTest,
    CallTests,
    CaseResult,
    Observation,
    StdioTest,
    StdioTests,
    SuiteResult,
    Tests,
)
from tts.sandbox import Limits, ProgramRun, Results, Returned, Sandbox, Value
from tts.types import Status, Verdict

_SHOWN = 300
_ADDRESS = re.compile(r"\b0x[0-9a-f]{8,16}\b")
_ROUNDING = 0.02
"""The share of a limit by which two clocks may differ."""

_DEFAULT = Limits()
Item = TypeVar("Item")


def judge(
    sandbox: Sandbox, program: str, tests: Tests, limits: Limits = _DEFAULT, *, all_tests: bool = False
) -> SuiteResult:
    """Return the verdict on `program`. Ends with the first test that is not passed, unless `all_tests`.

    Failed: sandbox_violation, output_limit, timeout, memory_limit, runtime_error, not_plain_data, wrong_answer.
    Undecided: harness_error, no_tests.
    """
    if not tests.tests:
        return SuiteResult(Verdict("undecided", "no_tests"), (), sandbox.profile.name)
    if isinstance(tests, StdioTests):
        cases = _stdio_cases(sandbox, program, tests, limits, all_tests)
    elif isinstance(tests, CallTests):
        cases = _call_cases(sandbox, program, tests, limits, all_tests)
    else:
        cases = _assertion_cases(sandbox, program, tests, limits, all_tests)
    bad = next((case for case in cases if case.outcome != "ok"), None)
    if bad is None:
        verdict = Verdict("passed")
    else:
        status: Status = "undecided" if bad.outcome == "harness_error" else "failed"
        reason = _ADDRESS.sub("0x…", bad.reason)  # which differs from run to run
        verdict = Verdict(status, bad.outcome, f"test {bad.index + 1} of {len(tests.tests)}: {reason}")
    return SuiteResult(verdict, tuple(cases), sandbox.profile.name)


def judge_all(
    sandbox: Sandbox, programs: Sequence[str], tests: Tests, limits: Limits = _DEFAULT, *, all_tests: bool = False
) -> list[SuiteResult]:
    """Judge several programs by the same tests, as many at a time as the sandbox has workers; order kept."""
    with ThreadPoolExecutor(sandbox.workers, thread_name_prefix="tts-judge") as threads:
        return list(threads.map(lambda program: judge(sandbox, program, tests, limits, all_tests=all_tests), programs))


def observe_stdio(
    sandbox: Sandbox, program: str, stdins: Sequence[str], limits: Limits = _DEFAULT
) -> list[Observation]:
    """Return what `program` does with each stdin; the value is its stdout."""

    def attempt(rest: Sequence[str], left: Limits) -> Results:
        run = sandbox.run(program, _bytes(rest[0]), left)
        return Results((Returned("ok", run.stdout),) if run.outcome == "ok" else (), run)

    return [Observation(each.outcome, each.value) for each, _ in _in_turns(attempt, stdins, limits, keep_going=True)]


def observe_calls(
    sandbox: Sandbox,
    program: str,
    function: str,
    arguments: Sequence[tuple[Value, ...]],
    limits: Limits = _DEFAULT,
) -> list[Observation]:
    """Return what `function` of `program` does with each of `arguments`.

    A call that never returned is not repeated, and the calls that follow it are made in a new process.
    """

    def attempt(rest: Sequence[tuple[Value, ...]], left: Limits) -> Results:
        return sandbox.call(program, function, rest, left)

    return [Observation(each.outcome, each.value) for each, _ in _in_turns(attempt, arguments, limits, keep_going=True)]


def observe_expressions(
    sandbox: Sandbox, program: str, function: str, expressions: Sequence[str], limits: Limits = _DEFAULT
) -> list[Observation]:
    """Return what each expression of test code gives, in which `function` is the program's; as `observe_calls`."""
    return _observe_code(sandbox, program, Assertions(tuple(expressions), (function,)), limits, answers=False)


def observe_tests(sandbox: Sandbox, program: str, tests: Assertions, limits: Limits = _DEFAULT) -> list[Observation]:
    """Return all that the program answers in each of the tests, whether it passes or not."""
    return _observe_code(sandbox, program, tests, limits, answers=True)


def _observe_code(
    sandbox: Sandbox, program: str, tests: Assertions, limits: Limits, answers: bool
) -> list[Observation]:
    def attempt(rest: Sequence[str], left: Limits) -> Results:
        return sandbox.check(
            program, rest, tests.functions, setup=tests.setup, limits=left, keep_going=True, observe=answers
        )

    pairs = _in_turns(attempt, tests.tests, limits, keep_going=True)
    return [Observation("not_plain_data" if each.reason else each.outcome, each.value) for each, _ in pairs]


def _stdio_cases(
    sandbox: Sandbox, program: str, tests: StdioTests, limits: Limits, all_tests: bool
) -> list[CaseResult]:
    def attempt(rest: Sequence[StdioTest], left: Limits) -> Results:
        test, run = rest[0], sandbox.run(program, _bytes(rest[0].stdin), left)
        if run.outcome != "ok":
            return Results((), run)
        if same_result(run.stdout, _bytes(test.expected), tests):
            return Results((Returned("ok"),), run)
        reason = f"for {_trim(test.stdin)} expected {_trim(test.expected)}, got {_trim(_text(run.stdout))}"
        return Results((Returned("wrong_answer", None, reason),), run)

    pairs = _in_turns(attempt, tests.tests, limits, all_tests)
    return [_case_result(index, *pair) for index, pair in enumerate(pairs)]


def _call_cases(sandbox: Sandbox, program: str, tests: CallTests, limits: Limits, all_tests: bool) -> list[CaseResult]:
    def attempt(rest: Sequence[CallTest], left: Limits) -> Results:
        results = sandbox.call(program, tests.function, [test.arguments for test in rest], left)
        judged = [_judged(*pair, tests) for pair in zip(results.returned, rest, strict=False)]
        return Results(tuple(judged), results.run)

    cases = []
    for index, pair in enumerate(_in_turns(attempt, tests.tests, limits, all_tests)):
        cases.append(_case_result(index, *pair))
        if cases[-1].outcome != "ok" and not all_tests:
            break
    return cases


def _judged(returned: Returned, test: CallTest, tests: CallTests) -> Returned:
    """Return the wrong answer in the place of a value that is not the expected one."""
    if returned.outcome != "ok" or same_result(returned.value, test.expected, tests):
        return returned
    call = f"{tests.function}({', '.join(map(spelt, test.arguments))})"
    reason = f"{_trim(call)} expected {_trim(spelt(test.expected))}, got {_trim(spelt(returned.value))}"
    return Returned("wrong_answer", None, reason)


def _assertion_cases(
    sandbox: Sandbox, program: str, tests: Assertions, limits: Limits, all_tests: bool
) -> list[CaseResult]:
    def attempt(rest: Sequence[str], left: Limits) -> Results:
        return sandbox.check(program, rest, tests.functions, setup=tests.setup, limits=left, keep_going=all_tests)

    pairs = _in_turns(attempt, tests.tests, limits, all_tests)
    return [_case_result(index, *pair) for index, pair in enumerate(pairs)]


def _in_turns(
    attempt: Callable[[Sequence[Item], Limits], Results], items: Sequence[Item], limits: Limits, keep_going: bool
) -> list[tuple[Returned, ProgramRun]]:
    """Attempt all items, as many in one process as it takes; go on behind one at which a process is stopped.

    The limits of all tests together hold whatever processes they run in: each is given what those before it have left.
    """
    pairs: list[tuple[Returned, ProgramRun]] = []
    cpu, wall = limits.total_cpu_seconds, limits.total_wall_seconds
    while len(pairs) < len(items):
        results = attempt(items[len(pairs) :], replace(limits, total_cpu_seconds=cpu, total_wall_seconds=wall))
        run = results.run
        cpu, wall = cpu - run.cpu_seconds, wall - run.wall_seconds
        is_cpu = cpu <= _ROUNDING * limits.total_cpu_seconds
        most = f"{limits.total_cpu_seconds:g} s of processor time" if is_cpu else f"{limits.total_wall_seconds:g} s"
        late = Returned("timeout", None, f"all tests together took more than {most}")
        is_late = min(cpu / limits.total_cpu_seconds, wall / limits.total_wall_seconds) <= _ROUNDING
        pairs += [(each, run) for each in results.returned]
        if run.outcome != "ok":
            ended = Returned(run.outcome, None, run.reason)
            pairs.append((late if is_late and run.outcome == "timeout" else ended, run))
        if is_late:
            pairs += [(late, run)] * (len(items) - len(pairs))
        if not keep_going and pairs[-1][0].outcome != "ok":
            break
    return pairs


def _case_result(index: int, returned: Returned, run: ProgramRun) -> CaseResult:
    return CaseResult(
        index,
        returned.outcome,
        returned.reason,
        run.cpu_seconds,
        run.wall_seconds,
        run.peak_memory_mb,
        run.exit_code,
        run.signal,
        _text(run.stderr)[-_SHOWN:] or _trim(_text(run.stdout)),  # what went wrong is at a traceback's end
    )


def spelt(value: Value) -> str:
    """Return the value as Python shows it, sets in one order: their own differs from process to process."""
    if isinstance(value, list | tuple):
        items = ", ".join(map(spelt, value))
        return f"[{items}]" if isinstance(value, list) else f"({items},)" if len(value) == 1 else f"({items})"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{spelt(key)}: {spelt(item)}' for key, item in value.items())}}}"
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(map(spelt, value)))}}}"
    if isinstance(value, int) and value.bit_length() > 4096:
        return hex(value)
    try:
        return repr(value)
    except ValueError:  # Python spells no integer of so many digits, wherever it stands
        return f"<{type(value).__name__}>"


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # JSON may hold half a pair


def _trim(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"
