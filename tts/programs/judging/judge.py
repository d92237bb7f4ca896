"""From a program and its tests to a verdict, which is made here, outside of the program's process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tts.programs.judging.compare import same_output, same_value
from tts.programs.judging.records import Assertions, CallTests, CaseResult, Observation, StdioTests, SuiteResult, Tests
from tts.sandbox import Limits, ProgramRun, Results, Returned, Sandbox, Value
from tts.types import Status, Verdict

_SHOWN = 300
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
        verdict = Verdict(status, bad.outcome, f"test {bad.index + 1} of {len(tests.tests)}: {bad.reason}")
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
    """Return what `program` does with each stdin; `output` is its stripped stdout."""
    runs = [sandbox.run(program, _bytes(stdin), limits) for stdin in stdins]
    return [Observation(run.outcome, _text(run.stdout.strip()) if run.outcome == "ok" else "") for run in runs]


def observe_calls(
    sandbox: Sandbox,
    program: str,
    function: str,
    arguments: Sequence[tuple[Value, ...]],
    limits: Limits = _DEFAULT,
) -> list[Observation]:
    """Return what `function` of `program` does with each of `arguments`; `output` is one text per value.

    A call that never returned is not repeated, and the calls that follow it are made in a new process.
    """
    pairs = _in_turns(lambda rest: sandbox.call(program, function, rest, limits), arguments, keep_going=True)
    return [Observation(each.outcome, _canonical(each.value) if each.outcome == "ok" else "") for each, _ in pairs]


def _stdio_cases(
    sandbox: Sandbox, program: str, tests: StdioTests, limits: Limits, all_tests: bool
) -> list[CaseResult]:
    cases = []
    for index, test in enumerate(tests.tests):
        run = sandbox.run(program, _bytes(test.stdin), limits)
        outcome, reason = run.outcome, run.reason
        if outcome == "ok" and not same_output(run.stdout, _bytes(test.expected), tests.tolerance):
            outcome = "wrong_answer"
            reason = f"for {_trim(test.stdin)} expected {_trim(test.expected)}, got {_trim(_text(run.stdout))}"
        cases.append(_case_result(index, Returned(outcome, None, reason), run))
        if outcome != "ok" and not all_tests:
            break
    return cases


def _call_cases(sandbox: Sandbox, program: str, tests: CallTests, limits: Limits, all_tests: bool) -> list[CaseResult]:
    arguments = [test.arguments for test in tests.tests]
    pairs = _in_turns(lambda rest: sandbox.call(program, tests.function, rest, limits), arguments, all_tests)
    cases = []
    for index, (each, run) in enumerate(pairs):
        test = tests.tests[index]
        if each.outcome == "ok" and not same_value(each.value, test.expected, tests.tolerance):
            call = f"{tests.function}({', '.join(map(repr, test.arguments))})"
            reason = f"{_trim(call)} expected {_trim(repr(test.expected))}, got {_trim(_canonical(each.value))}"
            each = Returned("wrong_answer", None, reason)  # noqa: PLW2901 - the same return, judged
        cases.append(_case_result(index, each, run))
        if each.outcome != "ok" and not all_tests:
            break
    return cases


def _assertion_cases(
    sandbox: Sandbox, program: str, tests: Assertions, limits: Limits, all_tests: bool
) -> list[CaseResult]:
    def check(rest: Sequence[str]) -> Results:
        return sandbox.check(program, rest, tests.functions, setup=tests.setup, limits=limits, keep_going=all_tests)

    return [_case_result(index, *pair) for index, pair in enumerate(_in_turns(check, tests.tests, all_tests))]


def _in_turns(
    attempt: Callable[[Sequence[Item]], Results], items: Sequence[Item], keep_going: bool
) -> list[tuple[Returned, ProgramRun]]:
    """Attempt all items in one process; where the process is stopped at one, go on behind it in a new one."""
    pairs: list[tuple[Returned, ProgramRun]] = []
    while len(pairs) < len(items):
        results = attempt(items[len(pairs) :])
        run = results.run
        stopped = [] if run.outcome == "ok" else [Returned(run.outcome, None, run.reason)]
        pairs += [(each, run) for each in (*results.returned, *stopped)]
        if not keep_going:
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
        _trim(_text(run.stderr or run.stdout)),
    )


def _canonical(value: Value) -> str:
    """Return one text for all equal values, whatever the order of sets and dicts."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_canonical, value))}]"
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(map(_canonical, value)))}}}"
    if isinstance(value, dict):
        return f"{{{', '.join(sorted(f'{_canonical(key)}: {_canonical(item)}' for key, item in value.items()))}}}"
    if isinstance(value, int):
        return hex(value) if value.bit_length() > 4096 else repr(int(value))
    return repr(value)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # JSON may hold half a pair


def _trim(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"
