from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from code_parts import (
    CLIP,
    CLIP_ABSOLUTE,
    CLIP_CONSTANT,
    CLIP_RIGHT,
    CLIP_TESTS,
    SUM,
    SUM_DIGITS,
    SUM_RIGHT,
    SUM_TESTS,
    SUM_WRONG,
    answers,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from tts.problems import open_problems
from tts.problems.code_formats import PRELUDE
from tts.programs.behaviour import classes
from tts.programs.forms import as_object
from tts.programs.judging.records import Observation
from tts.types import Problem, ProblemRow, Reference
from tts.verifiers.code import CodeVerifier

CRASHES = ("def clip(x, top):\n    return 1 / 0", "def clip(x, top):\n    return nothing")
LOOPS = "def clip(x, top):\n    while True:\n        pass"


@pytest.fixture(scope="module")
def verifier() -> Iterator[CodeVerifier]:
    with CodeVerifier(cpu_seconds=2.0, packages=()) as verifier:
        yield verifier


def reasons(verifier: CodeVerifier, problem: Problem, reference: Reference, *programs: str | None) -> list[str]:
    verdicts = verifier.verify(problem, answers(*programs), reference)
    return [f"{verdict.status} {verdict.reason}".strip() for verdict in verdicts]


def test_programs_are_judged_by_the_hidden_tests_and_order_is_kept(verifier: CodeVerifier) -> None:
    programs = (CLIP_RIGHT[0], CLIP_CONSTANT, None, CLIP_RIGHT[1], CLIP_ABSOLUTE, CRASHES[0], CLIP_RIGHT[2])
    assert reasons(verifier, CLIP, CLIP_TESTS, *programs) == [
        "passed",
        "failed runtime_error",
        "failed no_answer",
        "passed",
        "failed wrong_answer",
        "failed runtime_error",
        "passed",
    ]
    assert reasons(verifier, SUM, SUM_TESTS, SUM_WRONG, *SUM_RIGHT) == ["failed wrong_answer", "passed", "passed"]


def test_a_verdict_names_the_test_that_failed_and_what_came_of_it(verifier: CodeVerifier) -> None:
    [verdict] = verifier.verify(CLIP, answers(CLIP_ABSOLUTE), CLIP_TESTS)
    assert "test 2 of 2" in verdict.detail
    assert "-1" in verdict.detail
    assert len(verdict.detail) < 2000


def test_a_program_that_never_ends_is_failed_and_like_no_other() -> None:
    with CodeVerifier(cpu_seconds=0.3, packages=()) as hasty:
        assert reasons(hasty, CLIP, CLIP_TESTS, LOOPS, CLIP_RIGHT[0]) == ["failed timeout", "passed"]
        assert hasty.group(CLIP, answers(LOOPS, CLIP_RIGHT[0], f"{LOOPS}\n", CLIP_RIGHT[1])).nodes == (0, 1, 2, 1)


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        (Reference(), "no_reference"),
        (Reference(answer=CLIP_RIGHT[0]), "no_reference"),
        (Reference(tests=[]), "unparsable_reference"),
        (Reference(tests={"stdin": [{"input": 1, "output": ""}]}), "unparsable_reference"),
    ],
)
def test_without_tests_to_judge_by_all_is_undecided(reference: Reference, reason: str) -> None:
    verifier = CodeVerifier()  # no sandbox is started
    for problem in (CLIP, SUM):
        assert reasons(verifier, problem, reference, "x", None) == [f"undecided {reason}", "failed no_answer"]


def test_a_prelude_stands_before_every_program(verifier: CodeVerifier) -> None:
    tests = {"calls": [{"args": [2.5], "expected": 2}], "entry_point": "f", "prelude": "from math import *\n"}
    uses, future = "def f(x):\n    return floor(x)", "from __future__ import annotations\ndef f(x): return floor(x)"
    assert reasons(verifier, CLIP, Reference(tests=tests), uses, future, "def f(x): return x") == [
        "passed",
        "passed",
        "failed wrong_answer",
    ]


def test_a_tolerance_makes_numbers_of_what_is_printed(verifier: CodeVerifier) -> None:
    cases = [{"input": "", "output": "2.5"}]
    programs = ("print('2.50')", "print(2.5)", "print(2.4999999)")
    for tolerance, passed in ((None, [0, 1, 0]), (0, [1, 1, 0]), (1e-6, [1, 1, 1])):
        tests = Reference(tests={"stdin": cases, **({} if tolerance is None else {"tolerance": tolerance})})
        assert [reason == "passed" for reason in reasons(verifier, SUM, tests, *programs)] == passed


def test_programs_that_behave_alike_are_one_class_without_any_reference(verifier: CodeVerifier) -> None:
    programs = (CLIP_RIGHT[0], CLIP_ABSOLUTE, CLIP_RIGHT[1], None, CLIP_CONSTANT, CLIP_RIGHT[2], CLIP_RIGHT[0])
    shown = replace(CLIP, public_tests=as_object(["assert clip(-5, 3) == -5"], "clip"))
    assert verifier.group(shown, answers(*programs)).nodes == (0, 1, 0, None, 2, 0, 0)
    assert verifier.group(SUM, answers(SUM_WRONG, *SUM_RIGHT)).nodes == (0, 1, 1)


SAME = {
    "blanks at line ends": (
        {"stdin": [{"input": "", "output": "1\n2"}]},
        ["print('1 \\n2')", "print('1\\n2\\n')", "print('1\\n 2')"],
    ),
    "numbers": (
        {"stdin": [{"input": "", "output": "2.5"}], "tolerance": 0},
        ["print('2.50')", "print(2.5)", "print('25e-1')"],
    ),
    "near": (
        {"stdin": [{"input": "", "output": "2.5"}], "tolerance": 1e-3},
        ["print(2.5001)", "print(2.4999)", "print(2.5)"],
    ),
    "sequences": (
        {"asserts": ["assert list(f(3)) == [0, 1, 2]"], "entry_point": "f"},
        ["def f(n): return range(n)", "def f(n):\n    for i in range(n): yield i", "def f(n): return list(range(n))"],
    ),
    "numbers returned": (
        {"calls": [{"args": [3], "expected": 1.5}], "entry_point": "f"},
        [
            "def f(n): return n / 2",
            "from fractions import Fraction\ndef f(n): return Fraction(n, 2)",
            "from decimal import Decimal\ndef f(n): return Decimal(n) / 2",
        ],
    ),
    "tuples": (
        {"calls": [{"args": [3], "expected": [3]}], "entry_point": "f"},
        ["def f(n): return [n]", "def f(n): return (n,)", "def f(n): return [float(n)]"],
    ),
    "numbers of thousands of digits": (
        {"asserts": ["assert f(3) > 10**5000"], "entry_point": "f"},
        ["def f(n): return n * 10**5000", "def f(n): return 10**4999 * n * 10"],
    ),
    "sets": (
        {"asserts": ["assert f('ab') == {'a', 'b'}"], "entry_point": "f"},
        ["def f(s): return set(s)", "def f(s): return frozenset(s)", "def f(s): return dict.fromkeys(s).keys()"],
    ),
    "classes": (
        {"asserts": ["assert S().p(3) == 4", "assert S(2).p(3) == 6"], "entry_point": "S"},
        [
            "class S:\n    def __init__(self, k=1): self.k = k\n"
            "    def p(self, n): return n + 1 if self.k == 1 else n * self.k",
            "class S:\n    def __init__(self, k=1): self.q = k\n"
            "    def p(self, x): return x * self.q if self.q != 1 else 1 + x",
        ],
    ),
    "several statements": (
        {"asserts": ["a = [2, 1]\nf(a)\nassert a == [1, 2]", "assert f([3]) is None"], "entry_point": "f"},
        ["def f(a): a.sort()", "def f(a): a[:] = sorted(a)", "def f(a):\n    b = sorted(a)\n    a.clear()\n    a += b"],
    ),
    "a check in a loop": (
        {"check": "def check(c):\n    for n in range(3): assert c(n) == n + 1", "entry_point": "f"},
        ["def f(n): return n + 1", "def f(n): return -~n", "def f(n): return sum([n, 1])"],
    ),
    "an object that is kept": (
        {"asserts": ["s = S(3)\ns.add(4)\nassert s.total() == 7"], "entry_point": "S"},
        [
            "class S:\n    def __init__(self, k): self.k = k\n    def add(self, n): self.k += n\n"
            "    def total(self): return self.k",
            "class S:\n    def __init__(self, k): self.all = [k]\n    def add(self, n): self.all.append(n)\n"
            "    def total(self): return sum(self.all)",
        ],
    ),
    "what is raised": (
        {"asserts": ["try:\n    f(3)\n    assert False\nexcept ValueError:\n    pass"], "entry_point": "f"},
        ["def f(n): raise ValueError", "def f(n): raise ValueError(n)", "def f(n): int('n')"],
    ),
    "about": (
        {"asserts": ["assert abs(f(3) - 0.3) < 1e-6", "assert abs(f(6) - 0.6) < 1e-6"], "entry_point": "f"},
        ["def f(n): return n * 0.1", "def f(n): return n / 10", "def f(n): return n / 10 + 1e-8"],
    ),
    "close": (
        {"asserts": ["import math\nassert math.isclose(f(3), 0.3, rel_tol=0.001)"], "entry_point": "f"},
        ["def f(n): return n * 0.10001", "def f(n): return n * 0.1", "def f(n): return n / 10"],
    ),
    "keywords": (
        {"asserts": ["assert f(3, k=5) == 8"], "entry_point": "f"},
        ["def f(n, k=1): return n + k", "def f(n, k=2): return k + n"],
    ),
}
OTHER = {
    "several statements": "def f(a): pass",
    "an object that is kept": "class S:\n    def __init__(self, k): pass\n    add = total = __init__",
    "keywords": "def f(n, k): return 7",
    "what is raised": "def f(n): raise TypeError",
    "sequences": "def f(n): return [*range(n)][::-1]",
    "tuples": "def f(n): return n",
    "numbers of thousands of digits": "def f(n): return n * 10**5000 + 1",
    "sets": "def f(s): return sorted(s)",
    "classes": "class S:\n    def __init__(self, k=1): self.k = k\n    def p(self, n): return n",
}


@pytest.mark.parametrize("kind", SAME)
def test_programs_that_the_judge_cannot_tell_apart_are_one_answer(verifier: CodeVerifier, kind: str) -> None:
    tests, programs = SAME[kind]
    shown = Problem("same", "p", "code", public_tests=as_object(tests), entry_point=str(tests.get("entry_point", "")))
    assert reasons(verifier, shown, Reference(tests=as_object(tests)), *programs) == ["passed"] * len(programs)
    other = OTHER.get(kind, "print(7)" if "stdin" in tests else "def f(n): return 7")
    for order in (programs, programs[::-1]):
        assert verifier.group(shown, answers(other, *order)).nodes == (0, *[1] * len(programs))


LENGTHS = st.lists(st.integers(0, 8), min_size=1, max_size=8)


@settings(derandomize=True, max_examples=60)
@given(LENGTHS, st.randoms(use_true_random=False))
def test_classes_are_what_pairs_hold_together_in_any_order(values: list[int], rng: random.Random) -> None:
    """Two values of 0.1 steps are the same within 0.1, and a chain of such pairs is one class."""
    behaviours = {f"p{place}": (Observation("ok", value),) for place, value in enumerate(values)}
    found = classes(behaviours, lambda one, other: abs(one - other) <= 1)  # type: ignore[operator] # integers
    names = rng.sample(list(behaviours), len(behaviours))
    assert classes({name: behaviours[name] for name in names}, lambda a, b: abs(a - b) <= 1) == found  # type: ignore[operator] # ditto
    for one in behaviours:
        for other in behaviours:
            low, high = sorted(behaviours[name][0].value for name in (one, other))  # type: ignore[type-var] # integers
            chained = all({step, step + 1} <= set(values) for step in range(low, high))  # type: ignore[call-overload] # ditto
            assert (found[one] == found[other]) is chained


def test_inputs_like_the_examples_tell_apart_what_the_examples_do_not(verifier: CodeVerifier) -> None:
    only_examples = CodeVerifier(num_mutants=0, packages=())
    shown = replace(CLIP, public_tests=as_object(["assert clip(5, 3) == 3", "assert clip(2, 3) == 2"], "clip"))
    programs = answers(CLIP_RIGHT[0], CLIP_CONSTANT, CLIP_RIGHT[1])
    assert only_examples.group(shown, programs).nodes == (0, 0, 0)
    only_examples.close()
    assert verifier.group(shown, programs).nodes == (0, 1, 0)


def test_the_partition_does_not_depend_on_the_order_nor_on_the_time(verifier: CodeVerifier) -> None:
    programs = [*CLIP_RIGHT, CLIP_ABSOLUTE, CLIP_CONSTANT, *CRASHES]
    expected = None
    for seed in range(2):
        order = random.Random(seed).sample(programs, len(programs))
        nodes = verifier.group(CLIP, answers(*order)).nodes
        partition = {frozenset(p for p, c in zip(order, nodes, strict=True) if c == number) for number in nodes}
        expected = expected or partition
        assert partition == expected
    assert expected is not None
    assert any(set(CLIP_RIGHT) <= alike for alike in expected)
    assert len(expected) == 4  # the right ones (with the one that is wrong below 0), the constant, and each crash


def test_what_fails_on_an_example_is_like_no_other(verifier: CodeVerifier) -> None:
    assert verifier.group(CLIP, answers(*CRASHES, CRASHES[0], "syntax error")).nodes == (0, 1, 0, 2)
    assert verifier.group(SUM, answers("input(", "1 / 0", SUM_RIGHT[0])).nodes == (0, 1, 2)


def test_an_input_that_most_programs_refuse_says_nothing(verifier: CodeVerifier) -> None:
    shown = Problem("root", "p", "code", public_tests=as_calls([[4], 2.0], [[0], 0.0]), entry_point="root")
    refuses = "import math\ndef root(x):\n    if x not in (0, 4):\n        raise ValueError\n    return math.sqrt(x)"
    also = "def root(x):\n    assert x in (0, 4)\n    return x ** 0.5"
    takes = "def root(x):\n    return abs(x) ** 0.5"
    assert verifier.group(shown, answers(refuses, also, takes)).nodes == (0, 0, 0)
    assert verifier.group(shown, answers(refuses, takes, takes + "\n")).nodes == (0, 1, 1)


def as_calls(*cases: list[object]) -> dict[str, object]:
    return {"calls": [{"args": args, "expected": value} for args, value in cases], "entry_point": "root"}


@pytest.mark.parametrize("public_tests", [None, []])
def test_without_an_example_to_run_only_the_same_text_is_the_same(public_tests: object) -> None:
    verifier = CodeVerifier()  # no sandbox is started
    problem = Problem("p", "p", "code", entry_point="f", public_tests=public_tests)  # type: ignore[arg-type]
    assert verifier.group(problem, answers("a", "b", None, "a")).nodes == (0, 1, None, 0)
    assert verifier.group(SUM, answers("a", "a", None)).nodes == (0, 0, None)


def test_hidden_tests_are_no_part_of_a_group(verifier: CodeVerifier) -> None:
    """The reference is not even an argument; two programs that only the hidden tests tell apart are one class."""
    shown = replace(SUM, public_tests={"stdin": [{"input": "1 2\n", "output": "3\n"}]})
    assert verifier.group(shown, answers(SUM_RIGHT[0], SUM_DIGITS)).nodes == (0, 0)
    negative = Reference(tests={"stdin": [{"input": "-3 1\n", "output": "-2\n"}]})
    assert reasons(verifier, shown, negative, SUM_RIGHT[0], SUM_DIGITS) == ["passed", "failed wrong_answer"]


def test_a_closed_verifier_starts_anew() -> None:
    other = CodeVerifier(packages=())
    other.close()
    assert reasons(other, SUM, SUM_TESTS, SUM_RIGHT[0]) == ["passed"]
    other.close()
    other.close()
    assert reasons(other, SUM, SUM_TESTS, SUM_WRONG) == ["failed wrong_answer"]
    other.close()


def test_what_livecodebench_promises_its_programs_is_there(verifier: CodeVerifier) -> None:
    deep = "def f(n): return n and 1 + f(n - 1)\n"
    method = "class Solution:\n    def f(self, n): return n and 1 + self.f(n - 1)"
    stdin = {"stdin": [{"input": "5000", "output": "5000"}], "tolerance": 0, "prelude": PRELUDE}
    calls = {"calls": [{"args": [5000], "expected": 5000}], "entry_point": "Solution.f", "prelude": PRELUDE}
    long = {"stdin": [{"input": "", "output": f"1{'0' * 20000}"}], "tolerance": 0, "prelude": PRELUDE}
    programs = ((stdin, f"{deep}print(f(int(input())))"), (calls, method), (long, "print(10**20000)"))
    for tests, program in programs:
        assert reasons(verifier, SUM, Reference(tests=tests), program) == ["passed"]


def test_published_figures_are_compared_as_their_harness_does() -> None:
    lines = {"stdin": [{"input": "", "output": "1 2"}], "tolerance": 0}
    nested = {"calls": [{"args": [], "expected": [[1, 2]]}], "entry_point": "f"}
    program, function = "print('1\\n2')", "def f(): return [(1, 2)]"
    for comparison, expected in (("tolerant", ["passed"]), ("livecodebench", ["failed wrong_answer"])):
        with CodeVerifier(comparison=comparison, packages=()) as strict:  # type: ignore[arg-type] # one of the two
            assert reasons(strict, SUM, Reference(tests=lines), program) == expected
            assert reasons(strict, SUM, Reference(tests=nested), function) == expected


PUBLISHED = {
    "humaneval": ("HumanEval/38", "def decode_cyclic(s):\n    return encode_cyclic(encode_cyclic(s))"),
    "mbpp_sanitized": ("mbpp/77", "def is_Diff(n):\n    return n % 11 == 0"),
    "livecodebench_v5": (
        "lcb/2727",
        "class Solution:\n    def countSeniors(self, details: List[str]) -> int:\n"
        "        return sum(int(each[11:13]) > 60 for each in details)",
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_an_answer_to_a_published_problem_is_judged_with_all_that_its_set_promises(
    verifier: CodeVerifier, shared_data: Path, name: str
) -> None:
    """Helpers of the prompt, imports of the set, and the tests' own spelling of the function."""
    wanted, code = PUBLISHED[name]
    rows = (row for row in open_problems(str(shared_data / f"{name}.jsonl")) if isinstance(row, ProblemRow))
    [row] = [row for row in rows if row.problem.id == wanted]
    found = [verifier.extract(row.problem, f"So:\n```python\n{text}\n```") for text in (code, code + "  + 1")]
    assert [verdict.status for verdict in verifier.verify(row.problem, found, row.reference)] == ["passed", "failed"]
