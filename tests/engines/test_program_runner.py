"""The program runner: what a model wrote, programs and tests, is read and run in the sandbox alone."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tts.engines.program_runner import ProgramRunner
from tts.errors import CallError, EngineError
from tts.programs.runner import WRITES_NOTHING, Case, cases_of, found_in, to_assert, to_check, to_find, to_try
from tts.types import Completion, Message, Request

ADD = "def add(a, b):\n    return a + b\n"


@pytest.fixture(scope="module")
def runner() -> Iterator[ProgramRunner]:
    with ProgramRunner(packages=(), cpu_seconds=1, total_cpu_seconds=2) as runner:
        yield runner


def ask(runner: ProgramRunner, *asked: tuple[Message, ...]) -> list[Completion]:
    for key, messages in enumerate(asked):
        runner.add(Request("p", str(key), messages, WRITES_NOTHING, 0, "test"))
    ended: dict[str, Completion] = {}
    began = time.monotonic()
    while len(ended) < len(asked) and time.monotonic() < began + 60:
        ended |= {one.key: one for one in runner.step()}
    return [ended[str(key)] for key in range(len(asked))]


def test_each_test_has_an_outcome_and_says_what_went_wrong(runner: ProgramRunner) -> None:
    tests = ["assert add(1, 2) == 3", "assert add(1, 2) == 4", "assert add(1) == 1", "assert add(unknown, 1) == 1"]
    found = cases_of(ask(runner, to_assert(ADD, "add", tests))[0])
    assert [one.outcome for one in found] == ["ok", "wrong_answer", "runtime_error", "harness_error"]
    told = cases_of(ask(runner, to_check(ADD, {"asserts": tests[:3], "entry_point": "add"}))[0])
    assert [(one.outcome, bool(one.text)) for one in told] == [
        ("ok", False), ("wrong_answer", True), ("runtime_error", True)
    ]  # fmt: skip
    assert "add(1, 2) returned 3" in told[1].text


def test_what_never_ends_is_stopped_and_the_other_tests_count(runner: ProgramRunner) -> None:
    program = "def add(a, b):\n    while a < 0:\n        pass\n    return a + b\n"
    [reply] = ask(runner, to_assert(program, "add", ["assert add(-1, 1) == 0", "assert add(1, 1) == 2"]))
    assert [one.outcome for one in cases_of(reply)] == ["timeout", "ok"]


def test_examples_of_every_form_are_run(runner: ProgramRunner) -> None:
    echo = {"stdin": [{"input": "a", "output": "a"}, {"input": "b", "output": "c"}]}
    calls = {"calls": [{"args": [1, 2], "expected": 3}], "entry_point": "add"}
    first, second = ask(runner, to_check("print(input())", echo), to_check(ADD, calls))
    assert [one.outcome for one in cases_of(first)] == ["ok", "wrong_answer"]
    assert cases_of(second) == [Case("ok")]


def test_assertions_are_found_however_they_are_laid_out(runner: ProgramRunner) -> None:
    text = (
        "Sure:\n```python\nassert add(1,2)==3, 'three'\n  assert add(\n    1,\n    1,\n  ) == 2\n"
        "assert other(1) == 1\n- assert add(1, 2) == 3\n2. `assert candidate(5, 5) == 10`\n```\nassert add(1, is it"
    )
    found = found_in(ask(runner, to_find("add", [text, "none", text], 3))[0])
    want = ["assert add(1, 2) == 3", "assert add(1, 1) == 2", "assert add(1, 2) == 3"]
    assert found == [want, [], want]
    assert found_in(ask(runner, to_find("add", [text], 9))[0])[0][-1] == "assert add(5, 5) == 10"
    method = "assert Solution().add(1, 2) == 3\nassert add(1, 2) == 3"
    assert found_in(ask(runner, to_find("Solution.add", [method], 9))[0]) == [["assert Solution().add(1, 2) == 3"]]


@pytest.mark.parametrize(
    "hostile",
    [
        "assert add(" + "(" * 3000,
        "assert add(" + "-" * 3900 + "1)",
        "assert add(1)\n" * 20_000,
        "assert add(1, await x)",
        "assert (yield add(1))",
        "assert add(1) == 9" + "9" * 5000,
        "\x00assert add(\x00)",
        "assert add('\ud800')",
        "assert add(1) and " + "not " * 900 + "1",
    ],
)
def test_a_text_that_no_reader_can_take_costs_the_others_nothing(runner: ProgramRunner, hostile: str) -> None:
    found = found_in(ask(runner, to_find("add", ["assert add(1, 2) == 3", hostile], 5))[0])
    assert found[0] == ["assert add(1, 2) == 3"]
    assert len(found) == 2
    assert len(found[1]) <= 5
    if found[1]:  # what was read can be run
        assert len(cases_of(ask(runner, to_assert(ADD, "add", [*found[0], *found[1]]))[0])) == 1 + len(found[1])


def test_what_is_no_task_is_an_error_and_the_engine_goes_on(runner: ProgramRunner) -> None:
    prompt, unread, fine = ask(
        runner, (Message("user", "What is 1+1?"),), to_check(ADD, {"asserts": 3}), to_assert(ADD, "add", ["assert add"])
    )
    assert prompt.finish_reason == "error"
    assert "writes no answers" in (prompt.error or "")
    assert "asserts" in (unread.error or "")
    assert fine.error is None
    with pytest.raises(CallError):
        cases_of(ask(runner, to_assert(ADD, "add", ["assert unknown"]))[0])


def test_a_closed_runner_says_so_and_one_that_waits_can_be_cancelled() -> None:
    with pytest.raises(EngineError, match="must be open"):
        ProgramRunner().add(Request("p", "0", (), WRITES_NOTHING, 0, "test"))
    slow = "import time\ntime.sleep(0.5)\ndef add(a, b): return 3"
    with ProgramRunner(packages=(), workers=1) as runner:
        assert runner.num_free == 2
        for key in ("0", "1"):
            runner.add(Request("p", key, to_assert(slow, "add", ["assert add(1, 2) == 3"]), WRITES_NOTHING, 0, "test"))
        assert runner.num_free == 0
        runner.cancel("p", "1")
        runner.cancel("p", "7")
        ended = [*runner.step(5), *runner.step(5)]
        assert {one.key: one.finish_reason for one in ended} == {"0": "stop", "1": "cancelled"}
        assert not runner.step(5)


def test_what_programs_make_of_an_input_is_told_so_that_equal_values_are_equal_texts(runner: ProgramRunner) -> None:
    program = "def f(n):\n    return {3, 1, n} if n else [0] * 2000\n"
    other = "def f(n):\n    return {n, 1, 3} if n else [0] * 1999 + [1]\n"
    inputs = ["f(2)", "f(0)", "f(1, 2)"]
    first, second = (cases_of(one) for one in ask(runner, to_try(program, "f", inputs), to_try(other, "f", inputs)))
    assert [one.outcome == "ok" for one in first] == [True, True, False]
    assert first[0] == second[0] == Case("ok", "{1, 2, 3}")
    assert first[1] != second[1]
    assert len(first[1].text) < 1200
    assert cases_of(ask(runner, to_try("print(input() * 2)", "", ["ab\n"]))[0]) == [Case("ok", "abab")]
    texts = ["f(1)", "so\n```\nf([1,\n 2])\nf(3)\n```", "assert f(1)"]
    assert found_in(ask(runner, to_find("f", texts, 1, calls=True))[0]) == [["f(1)"], ["f([1, 2])"], []]
