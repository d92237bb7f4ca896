"""Verdicts on programs by their tests: comparisons, kinds of tests, and the public benchmarks' own solutions."""

import ast
import json
import math
import subprocess
import sys
from collections import OrderedDict, deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tts.programs.judging.compare import same_output, same_result, same_value
from tts.programs.judging.judge import judge, judge_all, observe_calls, observe_stdio
from tts.programs.judging.records import Assertions, CallTest, CallTests, StdioTest, StdioTests
from tts.sandbox import Limits, Sandbox
from tts.types import Verdict

LIMITS = Limits(cpu_seconds=20, wall_seconds=60, total_cpu_seconds=40)
ADD = StdioTests((StdioTest("1 2", "3"), StdioTest("5 5", "10"), StdioTest("2 2", "4")))


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=2, packages=()) as opened:
        yield opened


@pytest.mark.parametrize(
    ("got", "expected", "tolerance", "same"),
    [
        (b"1\n2\n", b"1\n2", None, True),
        (b"  1  \r\n2\t\n\n", b"1\n2\n", None, True),
        (b"1 2 3", b"1  2\n3", None, True),
        (b"", b"\n", None, True),
        (b"1", b"", None, False),
        (b"12", b"1 2", None, False),
        (b"YES", b"Yes", None, False),
        (b"1.0", b"1", None, False),
        (b"1.0", b"1", 0.0, True),
        (b"0.3333333", b"0.333333333", 1e-6, True),
        (b"0.3334", b"0.333333333", 1e-6, False),
        (b"1000000.5", b"1000000.4", 1e-6, True),
        (b"1e3 x", b"1000 x", 1e-6, True),
        (b"nan", b"NaN", 1e-6, True),
        (b"nan", b"1", 1e-6, False),
        (b"inf", b"1e400", 1e-6, False),
        (b"50000000000000001", b"50000000000000000", 0.0, False),
        (b"1 9007199254740993 2", b"1 9007199254740992 2", 0.0, False),
        (b"0.1000000000000000055511151231257827", b"0.1", 0.0, False),
        (b"+007.50e1", b"75", 0.0, True),
        (b"1" * 401 + b".0", b"1" * 401, 0.0, True),
        (b"9007199254740993", b"9007199254740992", 1e-17, False),
        (b"0.000001", b"0", 1e-6, True),
        (b"1 2", b"1", 1e-6, False),
    ],
)
def test_outputs_are_compared_as_lines_then_tokens_then_numbers(
    got: bytes, expected: bytes, tolerance: float | None, same: bool
) -> None:
    assert same_output(got, expected, tolerance) is same


@pytest.mark.parametrize(
    ("got", "expected", "tolerance", "same"),
    [
        ((1, [2]), [1, (2,)], None, True),
        ([1, 2], [1, 2, 3], None, False),
        ([1], 1, None, False),
        ("1", 1, None, False),
        (1.0, 1, None, True),
        (0.1 + 0.2, 0.3, None, False),
        (0.1 + 0.2, 0.3, 1e-9, True),
        ({"a": [0.1 + 0.2]}, {"a": (0.3,)}, 1e-9, True),
        ({"a": 1}, {"a": 1, "b": 2}, None, False),
        (math.nan, math.nan, None, True),
        (math.nan, 1.0, 1e9, False),
        (math.inf, 1.0, 1e9, False),
        (math.inf, math.inf, None, True),
        (10**400, 1.0, 1e-9, False),
        (10**400, 10**400, 1e-9, True),
        (2**53 + 1, 2**53, None, False),
        (2**53 + 1, float(2**53), 0.0, False),
        (Fraction(1, 2), 0.5, None, True),
        (Fraction(1, 3), 1 / 3, None, False),
        (Fraction(1, 3), 1 / 3, 1e-9, True),
        (Decimal("0.50"), 0.5, None, True),
        (Decimal("1E+999999999"), 1.0, 1e-9, False),
        (Decimal("sNaN"), 1.0, 1e-9, False),
        (1 + 1e-12j, 1, 1e-9, True),
        (math.inf, Decimal(1), 1e-9, False),
        (OrderedDict(a=1), {"a": 1}, None, True),
        ({1: 2}.keys(), [1], None, False),
        ({1, 2}, {2, 1}, None, True),
        (None, None, None, True),
        (None, 0, None, False),
    ],
)
def test_values_are_compared_as_python_does(got: Any, expected: Any, tolerance: float | None, same: bool) -> None:
    assert same_value(got, expected, tolerance) is same


def test_numbers_of_any_length_are_compared_at_once() -> None:
    """All digits of an integer would take half a minute to find."""
    long = 10**500_000
    assert same_value(long + 1, long, 1e-9)
    assert not same_value(long, long + 10**499_998, 1e-3)
    assert same_value(Decimal("1E+500000"), long + 1, 1e-9)
    assert not same_value(Decimal("1E+500000"), 2 * long, 1e-9)
    assert not same_value(long, 1.5, 1e-9)


DIGITS = st.integers(-(10**30), 10**30)


@settings(derandomize=True)
@given(DIGITS, st.integers(0, 12), st.integers(0, 5), st.sampled_from([1, -1, 10**9]))
def test_a_number_is_the_same_however_it_is_spelt_and_no_other(digits: int, places: int, zeros: int, off: int) -> None:
    """Without a tolerance above 0: the value of the decimal decides, to its last digit."""
    number, other = Decimal(f"{digits}e-{places}"), Decimal(f"{digits + off}e-{places}")
    spellings = [f"{number:f}", f"{number:e}", f"{digits}e-{places}", f"{digits}" + "0" * zeros + f"e-{places + zeros}"]
    for spelt in spellings:
        assert same_output(spelt.encode(), spellings[0].encode(), 0)
        assert not same_output(spelt.encode(), f"{other:f}".encode(), 0)
        assert same_value(Decimal(spelt), Decimal(spellings[0]), 0)
        assert not same_value(Fraction(digits, 10**places), Fraction(digits + off, 10**places), 0)


@pytest.mark.parametrize(
    ("got", "expected", "tolerant", "strict"),
    [
        (b"1\n2\n3", b"1 2 3", True, False),
        (b"1\n\n2", b"1\n2", True, False),
        (b"x 2.50", b"x 2.5", True, False),
        (b"a  b", b"a b", True, False),
        (b"2.50  3", b"2.5 3.0", True, True),
        (b"\n 1 \n2 \n", b"1\n2", True, True),
        (b"Infinity", b"inf", False, True),
        (b"1_000", b"1000", False, True),
        ("\u00a0 1".encode(), b"1", False, True),
        (b"50000000000000001", b"50000000000000000", False, False),
        ((1, (2, 3)), [1, [2, 3]], True, False),
        ((1, [2, 3]), [1, [2, 3]], True, True),
    ],
)
def test_strictly_results_are_compared_as_livecodebench_does(
    got: Any, expected: Any, tolerant: bool, strict: bool
) -> None:
    kind = StdioTests if isinstance(got, bytes) else partial(CallTests, "f")
    assert same_result(got, expected, kind((), 0)) is tolerant
    assert same_result(got, expected, kind((), 0, "livecodebench")) is strict


def test_a_right_and_a_wrong_program_of_each_kind(sandbox: Sandbox) -> None:
    right, wrong = "print(sum(map(int, input().split())))", "print(3)"
    assert judge(sandbox, right, ADD, LIMITS).verdict == Verdict("passed")
    verdict = judge(sandbox, wrong, ADD, LIMITS).verdict
    assert verdict == Verdict("failed", "wrong_answer", "test 2 of 3: for 5 5 expected 10, got 3\n")
    calls = CallTests("f", (CallTest((1, 2), 3), CallTest((5, 5), 10)))
    assert judge(sandbox, "def f(a, b): return a + b", calls, LIMITS).verdict == Verdict("passed")
    verdict = judge(sandbox, "def f(a, b): return 3", calls, LIMITS).verdict
    assert verdict == Verdict("failed", "wrong_answer", "test 2 of 2: f(5, 5) expected 10, got 3")
    asserts = Assertions(("assert f(1, 2) == 3", "assert f(5, 5) == 10"), ("f",))
    assert judge(sandbox, "def f(a, b): return a + b", asserts, LIMITS).verdict == Verdict("passed")
    verdict = judge(sandbox, "def f(a, b): return 3", asserts, LIMITS).verdict
    assert verdict == Verdict("failed", "wrong_answer", "test 2 of 2: assert f(5, 5) == 10: f(5, 5) returned 3")


def test_with_all_tests_each_has_its_outcome_even_after_a_crash(sandbox: Sandbox) -> None:
    def outcomes(program: str, tests: Any) -> list[str]:
        judged = judge(sandbox, program, tests, LIMITS, all_tests=True)
        assert [case.index for case in judged.cases] == list(range(len(tests.tests)))
        return [case.outcome for case in judged.cases]

    function = "import os\ndef f(x):\n    if x == 1: os._exit(0)\n    return x"
    calls = CallTests("f", tuple(CallTest((n,), 3 if n == 2 else n) for n in range(4)))
    assert outcomes(function, calls) == ["ok", "runtime_error", "wrong_answer", "ok"]
    asserts = Assertions(tuple(f"assert f({n}) == {3 if n == 2 else n}" for n in range(4)), ("f",))
    assert outcomes(function, asserts) == ["ok", "runtime_error", "wrong_answer", "ok"]
    assert outcomes("print(3 if input() != '5 5' else 1 / 0)", ADD) == ["ok", "runtime_error", "wrong_answer"]


def test_a_program_without_tests_is_undecided(sandbox: Sandbox) -> None:
    assert judge(sandbox, "pass", StdioTests(()), LIMITS).verdict == Verdict("undecided", "no_tests")


def test_broken_tests_leave_the_verdict_open(sandbox: Sandbox) -> None:
    verdict = judge(sandbox, "def f(x): return x", Assertions(("assert f(1) ==",), ("f",)), LIMITS).verdict
    assert (verdict.status, verdict.reason) == ("undecided", "harness_error")


def test_half_of_a_surrogate_pair_in_a_test_is_given_as_it_is(sandbox: Sandbox) -> None:
    tests = StdioTests((StdioTest("\ud800", "3"),))
    program = "import sys\nprint(len(sys.stdin.buffer.read()))"
    assert judge(sandbox, program, tests, LIMITS).verdict == Verdict("passed")
    assert judge(sandbox, "print('\ud800')", tests, LIMITS).verdict.reason == "runtime_error"
    assert observe_stdio(sandbox, program, ["\udfff"], LIMITS)[0].value == b"3\n"


def test_many_programs_are_judged_in_order(sandbox: Sandbox) -> None:
    programs = [f"print(sum(map(int, input().split())) + {n % 3})" for n in range(9)]
    judged = judge_all(sandbox, programs, ADD, LIMITS)
    assert [each.verdict.status == "passed" for each in judged] == [n % 3 == 0 for n in range(9)]


def test_behaviour_is_observed_without_expectations(sandbox: Sandbox) -> None:
    seen = observe_stdio(sandbox, "print(int(input()) * 2)", ["4", "x"], LIMITS)
    assert [(each.outcome, each.value) for each in seen] == [("ok", b"8\n"), ("runtime_error", None)]
    program = "import os\ndef f(x):\n    if x < 0: os._exit(0)\n    return {x, 2}, [x], (x,), {'b': 1, 'a': x}"
    seen = observe_calls(sandbox, program, "f", [(1,), (-1,), (0,)], LIMITS)
    assert [each.outcome for each in seen] == ["ok", "runtime_error", "ok"]
    assert seen[2].value == ({0, 2}, [0], (0,), {"b": 1, "a": 0})


LOAD = (
    ("def f(x) return x", "runtime_error", "SyntaxError: expected ':'"),
    ("import nothing_of_this_name", "runtime_error", "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
    ("assert 1 == 2, 'no'", "runtime_error", "AssertionError: no"),
    ("import ctypes\nctypes.string_at(0)", "runtime_error", "killed by SIGSEGV"),
    ("import os\nos.abort()", "runtime_error", "killed by SIGABRT"),
    ("import os\nos._exit(3)", "runtime_error", "exit status 3"),
    ("import os\nos._exit(0)", "runtime_error", "the program ended before it answered"),
    ("x = [0] * 10**12", "memory_limit", "MemoryError"),
    ("print('x' * 2**21)", "output_limit", "more than 1024 KB on stdout"),
    ("while True: pass", "timeout", "more than 0.5 s of processor time"),
)


@pytest.mark.parametrize(("line", "outcome", "reason"), LOAD)
def test_the_cause_of_death_is_told_in_every_form(sandbox: Sandbox, line: str, outcome: str, reason: str) -> None:
    """While the program is loaded, and in a call."""
    limits = Limits(cpu_seconds=0.5, wall_seconds=20, total_cpu_seconds=5)
    whole = f"{line}\ndef f(x): return x"
    for tests in (CallTests("f", (CallTest((1,), 1),)), Assertions(("assert f(1) == 1",), ("f",))):
        verdict = judge(sandbox, whole, tests, limits).verdict
        assert (verdict.reason, verdict.detail) == (outcome, f"test 1 of 1: {reason}")
    if "_exit(0)" not in line:
        verdict = judge(sandbox, whole, StdioTests((StdioTest("", "1"),)), limits).verdict
        assert (verdict.reason, verdict.detail) == (outcome, f"test 1 of 1: {reason}")


ADDS = "def add(a, b):\n    return a + b\n"
BELOW = (
    *(
        "assert add(2, 2) == 5",
        "x = int(input('x? '))",
        "import sys\nprint(sys.argv[1])",
        "import sys\nsys.exit(0)",
        "exit()",
    ),
    *(
        "import nothing_of_this_name",
        "raise KeyboardInterrupt",
        "This function adds two numbers.",
        "print(add(1,",
        "x = '''",
    ),
    *(
        "return add",
        "<|endoftext|>",
        "@missing\ndef g(): pass",
        "if True:\n    unittest.main()",
        "1 / 0\nadd(1, 2) == 4",
    ),
)


@pytest.mark.parametrize("below", BELOW)
def test_what_fails_below_the_function_does_not_count_against_it(sandbox: Sandbox, below: str) -> None:
    calls, asserts = CallTests("add", (CallTest((1, 2), 3),)), Assertions(("assert add(1, 2) == 3",), ("add",))
    for tests in (calls, asserts):
        assert judge(sandbox, f"{ADDS}{below}", tests, LIMITS).verdict == Verdict("passed")
        above = judge(sandbox, f"{below}\n{ADDS}", tests, LIMITS).verdict
        assert (above.status, above.reason) == ("failed", "runtime_error")
    if "exit" not in below:
        assert judge(sandbox, f"{ADDS}{below}", StdioTests((StdioTest("", ""),)), LIMITS).verdict.status == "failed"


@settings(derandomize=True, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(BELOW[:7] + BELOW[12:]), max_size=4), st.lists(st.sampled_from(BELOW[7:12]), max_size=1)
)
def test_helpers_between_and_below_what_fails_are_there(sandbox: Sandbox, fail: list[str], last: list[str]) -> None:
    program = "\n".join(
        ["from __future__ import annotations", "def f(x: Any): return last(x)", *fail, "def last(x: Any): return x"]
    )
    program = "\n".join([program, *fail, "def last(x: Any): return x + 1", *last])
    tests = CallTests("f", (CallTest((1,), 2),))
    assert judge(sandbox, program, tests, LIMITS).verdict == Verdict("passed")


@pytest.mark.parametrize(
    "changes",
    [
        "import sys\nsys.setrecursionlimit(90)",
        "import builtins\nbuiltins.sorted = None",
        "import math, random\nmath.pi = 3\nrandom.seed(0)\nrandom.random = None",
        "import gc, signal\ngc.disable()\nsignal.signal(signal.SIGPROF, signal.SIG_IGN)",
        "import decimal\ndecimal.getcontext().prec = 1",
        "import numbers\nnumbers.Number.register(str)",
        "import copy\ncopy._deepcopy_dispatch[list] = lambda *_: 5",
        "import collections\ncollections._sys.setrecursionlimit(90)",
        "import math, operator\noperator.setitem(operator.attrgetter('__dict__')(math), 'pi', 3)",
    ],
)
def test_tests_are_judged_as_if_they_were_alone(changes: str) -> None:
    deep = "import math, random, decimal\ndef g(n): return n and g(n - 1)\n"
    after = deep + "assert g(300) == 0 and sorted([f(2), f(1)]) == [1, 2] and math.pi > 3.1 and random.random() < 1"
    more = "\nassert len(str(decimal.Decimal(1) / 3)) > 20"
    more += "\nimport copy, numbers\nassert copy.deepcopy([1]) == [1] and not isinstance('', numbers.Number)"
    with Sandbox(workers=1, packages=()) as alone:
        for source in (f"{changes}\nassert f(1) == 1", after + more, f"{changes}\nassert f(1) == 2", after + more):
            verdict = judge(alone, "def f(x): return x", Assertions((source,), ("f",)), LIMITS).verdict
            assert verdict.status == ("failed" if source.endswith("f(1) == 2") else "passed"), verdict


def test_the_order_of_a_set_is_the_same_in_every_sandbox() -> None:
    program = "print(list({'abab', 'b', 'c', 'd'}), list(set('zyxw')), hash('a'))"
    outputs = set()
    for _ in range(3):
        with Sandbox(workers=1, packages=()) as fresh:
            outputs.add(fresh.run(program).stdout)
    assert len(outputs) == 1


def test_the_output_of_a_case_is_the_end_of_its_traceback(sandbox: Sandbox) -> None:
    program = "def f(n):\n    if n: return f(n - 1)\n    raise ValueError('the last line')\n" + "f(20)"
    case = judge(sandbox, program, ADD, LIMITS).cases[0]
    assert case.output.endswith("ValueError: the last line\n")
    assert len(case.output) == 300


SLOW = {"sleep": "time.sleep(0.15)", "work": "t = time.process_time()\n    while time.process_time() - t < 0.15: pass"}


@pytest.mark.parametrize("form", ["stdin", "calls", "asserts"])
@pytest.mark.parametrize("what", SLOW)
def test_the_limits_of_all_tests_hold_whatever_a_single_one_takes(sandbox: Sandbox, form: str, what: str) -> None:
    total = {"total_wall_seconds": 0.6} if what == "sleep" else {"total_cpu_seconds": 0.6}
    limits = Limits(cpu_seconds=0.5, wall_seconds=5, **total)  # type: ignore[arg-type] # one of two names
    program = f"import time\ndef f(x):\n    {SLOW[what]}\n    return x\nif __name__ == '__main__': print(f(input()))"
    tests = {
        "stdin": StdioTests((StdioTest("1", "1"),) * 12),
        "calls": CallTests("f", (CallTest((1,), 1),) * 12),
        "asserts": Assertions(("assert f(1) == 1",) * 12, ("f",)),
    }[form]
    for all_tests in (False, True):
        result = judge(sandbox, program, tests, limits, all_tests=all_tests)
        outcomes = [case.outcome for case in result.cases]
        assert (result.verdict.status, result.verdict.reason) == ("failed", "timeout")
        assert outcomes.count("ok") <= 4
        assert outcomes.count("ok") + outcomes.count("timeout") == len(outcomes)
        assert (len(outcomes) == 12) is all_tests or outcomes[-1] == "timeout"


AS_FUNCTION = "def f(a, b): return a + b"
AS_METHOD = "class Solution:\n    def f(self, a, b): return a + b"


@settings(derandomize=True, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([AS_FUNCTION, AS_METHOD, "def f(self, a, b): return a + b", "f = lambda a, b: a + b"]),
    st.sampled_from(["f", "Solution.f"]),
    st.lists(st.sampled_from(["print(Solution().f(1, 2))", "assert f(1, 2) == 4", "x = int(input())"])),
)
def test_a_method_may_be_given_as_a_function_and_the_other_way_round(
    sandbox: Sandbox, program: str, asked: str, below: list[str]
) -> None:
    if asked == "f" and "(self" in program and program != AS_METHOD:
        return  # a function with three arguments
    tests = CallTests(asked, (CallTest((1, 2), 3), CallTest(("a", "b"), "ab")))
    assert judge(sandbox, "\n".join([program, *below]), tests, LIMITS).verdict == Verdict("passed")


def test_what_is_imported_or_of_another_name_is_no_answer(sandbox: Sandbox) -> None:
    tests = CallTests("Solution.gcd", (CallTest((4, 6), 2),))
    for program in ("from math import *", "def lcm(a, b): return 2", "class Other:\n    def gcd(self, a, b): return 2"):
        verdict = judge(sandbox, program, tests, LIMITS).verdict
        assert (verdict.status, verdict.reason) == ("failed", "runtime_error")
    asserts = Assertions(("assert gcd(4, 6) == 2",), ("gcd",))
    verdict = judge(sandbox, "class Solution:\n    def lcm(self, a, b): return 2", asserts, LIMITS).verdict
    assert (verdict.status, verdict.reason) == ("failed", "runtime_error")


def test_test_code_may_look_at_the_attributes_of_a_class(sandbox: Sandbox) -> None:
    program = "class S:\n    size = 5\n    @staticmethod\n    def twice(x): return 2 * x"
    tests = Assertions(("assert S.size == 5", "assert S.twice(4) == 8 and not hasattr(S, 'other')"), ("S",))
    assert judge(sandbox, program, tests, LIMITS).verdict == Verdict("passed")
    verdict = judge(sandbox, program.replace("5", "6"), tests, LIMITS).verdict
    assert (verdict.reason, verdict.detail) == ("wrong_answer", "test 1 of 2: assert S.size == 5: S.size returned 6")


@pytest.mark.parametrize("value", ["n", "[n]", "{n: n}", "Fraction(n, 7)", "range(n)", "deque([n])", "{n}.union()"])
def test_a_wrong_number_of_thousands_of_digits_is_told(sandbox: Sandbox, value: str) -> None:
    names = {"n": 10**5000, "Fraction": Fraction, "deque": deque}
    program = f"from fractions import Fraction\nfrom collections import deque\nn = 10**5000\ndef f(x): return {value}"
    tests = CallTests("f", (CallTest((10**6000,), eval(value, names)), CallTest((10**6000,), 10**5001)))
    verdict = judge(sandbox, program, tests, LIMITS).verdict
    assert (verdict.reason, verdict.detail.partition(":")[0]) == ("wrong_answer", "test 2 of 2")


def test_results_are_judged_up_to_the_output_limit(sandbox: Sandbox) -> None:
    primes = (
        "def f(n):\n    s = bytearray([1]) * (n + 1)\n    for i in range(2, int(n ** 0.5) + 1):\n"
        "        if s[i]: s[i * i :: i] = bytes(len(s[i * i :: i]))\n    return [i for i in range(2, n + 1) if s[i]]"
    )
    asserts = Assertions(("assert len(f(5 * 10**6)) == 348513", "assert f(10) == [2, 3, 5, 7]"), ("f",))
    assert judge(sandbox, primes, asserts, LIMITS).verdict == Verdict("passed")
    for size in (2**20 - 16, 2**20, 2**22):
        calls = CallTests("f", (CallTest((size,), "x" * size),))
        assert judge(sandbox, "def f(n): return 'x' * n", calls, LIMITS).verdict == Verdict("passed")
    calls = CallTests("f", (CallTest((2**26,), ""), CallTest((1,), "x")))
    verdict = judge(sandbox, "def f(n): return 'x' * n", calls, LIMITS).verdict
    assert (verdict.status, verdict.reason) == ("failed", "output_limit")


EQUAL = (
    ("fractions", "Fraction(1, 2)", "0.5"),
    ("decimal", "Decimal('0.5')", "0.5"),
    ("decimal", "[Decimal('0.50')]", "[Decimal('0.5')]"),
    ("os", "{1: 2}.keys()", "{1}"),
    ("os", "{1: 2}.items()", "{(1, 2)}"),
    ("os", "bytearray(b'ab')", "b'ab'"),
    ("os", "memoryview(b'ab')", "b'ab'"),
    ("os", "range(0, 5, 2)", "range(0, 6, 2)"),
    ("datetime", "date(2024, 2, 29)", "date(2024, 2, 29)"),
    (
        "datetime",
        "datetime(2024, 1, 1, tzinfo=timezone.utc)",
        "datetime(2024, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))",
    ),
    ("collections", "deque([1, 2])", "deque([1, 2])"),
    ("collections", "Counter('ab')", "Counter(a=1, b=1, c=0)"),
    ("collections", "OrderedDict(a=1)", "{'a': 1}"),
    ("collections", "OrderedDict(a=1, b=2) == OrderedDict(b=2, a=1)", "False"),
    ("os", "list({3: 0, 1: 0}.keys())", "[3, 1]"),
)


@pytest.mark.parametrize(("module", "value", "other"), EQUAL)
def test_what_python_calls_equal_is_equal(sandbox: Sandbox, module: str, value: str, other: str) -> None:
    program = f"from {module} import *\ndef f(): return {value}"
    tests = Assertions(
        (f"assert f() == {other}", f"assert not f() != {other}", "assert f() != [7]"), ("f",), f"from {module} import *"
    )
    assert judge(sandbox, program, tests, LIMITS).verdict == Verdict("passed")
    wrong = Assertions(("assert f() == [7]",), ("f",))
    assert judge(sandbox, program, wrong, LIMITS).verdict.reason == "wrong_answer"


@pytest.mark.parametrize(
    ("raised", "caught"),
    [
        ("sys.exit(3)", "SystemExit as error: assert error.code == 3"),
        ("raise Own('a')", "ValueError as error: assert str(error) == 'a' and type(error).__name__ == 'Own'"),
        ("raise KeyError('k')", "KeyError as error: assert error.args == ('k',)"),
        ("{}['k']", "LookupError as error: assert str(error) == \"'k'\""),
        ("b'\\xff'.decode()", "UnicodeDecodeError as error: assert error.reason == 'invalid start byte'"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt: pass"),
        ("open('/nothing')", "FileNotFoundError as error: assert error.errno == 2"),
    ],
)
def test_what_a_call_raises_is_caught_as_in_python(sandbox: Sandbox, raised: str, caught: str) -> None:
    program = f"import sys\nclass Own(ValueError): pass\ndef f():\n    {raised}\ndef g(): return 1"
    test = f"try:\n    f()\nexcept {caught}\nelse:\n    assert False\nassert g() == 1"
    tests = Assertions((test, "assert g() == 1"), ("f", "g"))
    assert judge(sandbox, program, tests, LIMITS).verdict == Verdict("passed")
    verdict = judge(sandbox, program, CallTests("f", (CallTest((), None),)), LIMITS).verdict
    assert (verdict.status, verdict.reason) == ("failed", "runtime_error")


@dataclass(frozen=True)
class Known:
    name: str
    program: str
    tests: Assertions


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def humaneval(shared_data: Path) -> list[Known]:
    return [
        Known(
            row["id"],
            row["prompt"] + row["canonical_solution"],
            Assertions((f"{row['test']}\ncheck({row['entry_point']})",), (row["entry_point"],), row["prompt"]),
        )
        for row in rows(shared_data / "humaneval.jsonl")
    ]


@pytest.fixture(scope="module")
def mbpp(shared_data: Path) -> list[Known]:
    return [
        Known(
            row["id"],
            row["code"],
            Assertions(tuple(row["tests"]), (row["entry_point"],), "\n".join(["import sys", *row["test_imports"]])),
        )
        for row in rows(shared_data / "mbpp_sanitized.jsonl")
    ]


def failures(sandbox: Sandbox, known: list[Known], workers: int = 2) -> dict[str, Verdict]:
    with ThreadPoolExecutor(workers) as threads:
        judged = threads.map(lambda each: judge(sandbox, each.program, each.tests, LIMITS).verdict, known)
        return {each.name: verdict for each, verdict in zip(known, judged, strict=True) if verdict.status != "passed"}


def test_every_reference_solution_of_humaneval_passes(sandbox: Sandbox, humaneval: list[Known]) -> None:
    assert len(humaneval) == 164
    assert failures(sandbox, humaneval) == {}


@pytest.mark.slow
def test_every_reference_solution_of_mbpp_passes(sandbox: Sandbox, mbpp: list[Known]) -> None:
    assert len(mbpp) == 427
    assert failures(sandbox, mbpp) == {}


@pytest.mark.slow
def test_eight_workers_on_few_cores_give_the_same_verdicts(humaneval: list[Known]) -> None:
    mixed = [Known(each.name, each.program if n % 2 else emptied(each), each.tests) for n, each in enumerate(humaneval)]
    with Sandbox(workers=8, packages=()) as crowded, Sandbox(workers=1, packages=()) as quiet:
        many = {name: verdict.status for name, verdict in failures(crowded, mixed, 8).items()}
        one = {name: verdict.status for name, verdict in failures(quiet, mixed, 1).items()}
    assert many == one
    assert len(one) == 82


def entry(tree: ast.Module, name: str) -> ast.FunctionDef:
    return next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)


def emptied(known: Known) -> str:
    """The program with the body of its entry point replaced by `pass`."""
    tree = ast.parse(known.program)
    entry(tree, known.tests.functions[0]).body = [ast.Pass()]
    return ast.unparse(tree)


def test_every_solution_of_humaneval_without_its_body_fails(sandbox: Sandbox, humaneval: list[Known]) -> None:
    empty = [Known(each.name, emptied(each), each.tests) for each in humaneval]
    verdicts = failures(sandbox, empty)
    assert len(verdicts) == 164
    assert {verdict.status for verdict in verdicts.values()} == {"failed"}
    assert {verdict.reason for verdict in verdicts.values()} <= {"wrong_answer", "runtime_error"}


SWAPS = {
    ast.Lt: ast.GtE,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Mod: ast.Mult,
    ast.FloorDiv: ast.Mult,
}


def mutants(known: Known) -> Iterator[str]:
    """Programs that differ from the solution in one operator or one number of the entry point."""
    count = sum(1 for _ in places(ast.parse(known.program), known.tests.functions[0]))
    for index in range(count):
        tree = ast.parse(known.program)
        owner, field, position = list(places(tree, known.tests.functions[0]))[index]
        old = getattr(owner, field)
        if position is not None:
            old[position] = SWAPS[type(old[position])]()
        elif isinstance(owner, ast.Constant):
            owner.value += 1
        else:
            setattr(owner, field, SWAPS[type(old)]())
        yield ast.unparse(tree)


def places(tree: ast.Module, name: str) -> Iterator[tuple[Any, str, int | None]]:
    for node in ast.walk(entry(tree, name)):
        if isinstance(node, ast.Compare):
            yield from ((node, "ops", n) for n, op in enumerate(node.ops) if type(op) in SWAPS)
        elif isinstance(node, ast.BinOp | ast.BoolOp) and type(node.op) in SWAPS:
            yield node, "op", None
        elif isinstance(node, ast.Constant) and type(node.value) is int:
            yield node, "value", None


def seen_by_its_tests(known: Known, program: str) -> bool:
    """Whether the tests, run plainly beside the mutant in this process, notice it; the slow reference."""
    namespace: dict[str, Any] = {}
    try:
        exec(program, namespace)
        exec(known.tests.tests[0], namespace)
    except Exception:
        return True
    return False


@pytest.mark.slow
def test_a_mutant_that_its_tests_can_see_fails_and_no_other(sandbox: Sandbox, humaneval: list[Known]) -> None:
    hasty = Limits(cpu_seconds=2, wall_seconds=20, total_cpu_seconds=4)
    chosen = [(each, program) for each in humaneval for program in list(mutants(each))[:2]]

    def status(pair: tuple[Known, str]) -> Verdict:
        return judge(sandbox, pair[1], pair[0].tests, hasty).verdict

    with ThreadPoolExecutor(2) as threads:
        verdicts = list(threads.map(status, chosen))
    assert len(chosen) > 200
    plain = [
        verdict.reason in ("timeout", "memory_limit") or seen_by_its_tests(*pair)  # those would not end here
        for verdict, pair in zip(verdicts, chosen, strict=True)
    ]
    assert ["failed" if seen else "passed" for seen in plain] == [verdict.status for verdict in verdicts]
    assert sum(plain) > 150


def is_seen_by_a_fresh_interpreter(known: Known, program: str) -> bool:
    """The slow reference: the tests in the program's own process, which must end well within ten seconds."""
    command = [sys.executable, "-I", "-c", f"{program}\n{known.tests.tests[0]}"]
    try:
        return subprocess.run(command, capture_output=True, timeout=10, check=False).returncode != 0
    except subprocess.TimeoutExpired:
        return True


@pytest.mark.slow
def test_every_solution_of_humaneval_with_one_change_that_its_tests_see_fails(
    sandbox: Sandbox, humaneval: list[Known]
) -> None:
    def first_seen(each: Known) -> str | None:
        return next((program for program in mutants(each) if is_seen_by_a_fresh_interpreter(each, program)), None)

    hasty = Limits(cpu_seconds=4, wall_seconds=40, total_cpu_seconds=8)
    with ThreadPoolExecutor(2) as threads:
        changed = dict(zip(humaneval, threads.map(first_seen, humaneval), strict=True))
        wrong = [(each, program) for each, program in changed.items() if program is not None]
        verdicts = list(threads.map(lambda pair: judge(sandbox, pair[1], pair[0].tests, hasty).verdict, wrong))
    assert [verdict.status for verdict in verdicts] == ["failed"] * 151  # the other 13 have no such change to make
