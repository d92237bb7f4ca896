from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tts.programs.forms import as_object
from tts.scorers.public_tests import PublicTests
from tts.types import Candidate, FinishReason, Problem

MAXIMUM = Problem(
    "max",
    "Write top(xs).",
    "code",
    entry_point="top",
    public_tests=as_object([f"assert top({xs}) == {max(xs)}" for xs in ([1, 2], [3, 1], [5], [4, 4])]),
)
ECHO = Problem("echo", "Print the input.", "code", public_tests=as_object([{"input": "a\n", "output": "a"}] * 2))


@pytest.fixture(scope="module")
def scorer() -> Iterator[PublicTests]:
    with PublicTests(packages=()) as scorer:
        yield scorer


def candidate(text: str, finish_reason: FinishReason = "stop") -> Candidate:
    return Candidate("p", 0, text, None, finish_reason, 1, 1, None, None, None, 0, "greedy")


def program(body: str) -> Candidate:
    return candidate(f"Here:\n```python\n{body}\n```\n")


def scores(scorer: PublicTests, problem: Problem, *candidates: Candidate) -> list[float | None]:
    return [score.value for score in scorer.score(problem, candidates)]


def test_the_score_is_the_share_of_the_examples_that_the_program_passes(scorer: PublicTests) -> None:
    right, first, last = (program(f"def top(xs):\n    return {value}") for value in ("max(xs)", "xs[0]", "xs[-1]"))
    broken, other = program("def top(xs):\n    return nothing"), program("def bottom(xs):\n    return min(xs)")
    assert scores(scorer, MAXIMUM, first, right, last, broken, other, right) == [0.75, 1.0, 0.75, 0.0, 0.0, 1.0]
    assert scores(scorer, ECHO, program("print(input())"), program("print(1)")) == [1.0, 0.0]


def test_what_is_no_finished_program_has_no_score(scorer: PublicTests) -> None:
    text = "```python\nprint(input())\n```"
    found = scorer.score(ECHO, [candidate(text, "length"), candidate("I give up."), candidate(text)])
    assert [score.value for score in found] == [None, None, 1.0]
    assert found[0].detail


@pytest.mark.parametrize("public_tests", [None, [], {"asserts": ["assert"]}])
def test_a_problem_without_examples_gives_no_scores_and_starts_no_sandbox(public_tests: object) -> None:
    problem = replace(MAXIMUM, public_tests=public_tests)  # type: ignore[arg-type]
    found = PublicTests().score(problem, [program("def top(xs): return 1"), candidate("no")])
    assert [score.value for score in found] == [None, None]
    assert all("examples" in score.detail for score in found)
