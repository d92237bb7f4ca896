"""CodeT: programs and tests that a model wrote support each other."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tts.errors import RecipeError
from tts.pipeline.run import open_run
from tts.programs.agreement import agreement
from tts.programs.forms import as_object
from tts.recipe import load_recipe
from tts.scorers.written_tests import pairs_in
from tts.types import Problem, ProblemRow, Reference, Solution

REFERENCE = Reference(tests=as_object(["assert top([3, 1, 2]) == 3", "assert top([]) is None"], "top"))


def program(value: str) -> str:
    return f"```python\ndef top(xs):\n    return {value}\n```"


RIGHT, FIRST, LAST = program("max(xs, default=None)"), program("xs[0]"), program("xs[-1]")
PROGRAMS = [FIRST, RIGHT, FIRST, program("max(xs) if xs else None"), LAST, FIRST]
"""By behaviour: the first item three times, right twice, the last item once."""

TESTS = [
    "```python\nassert top([1, 2]) == 2\nassert top([2, 1]) == 2\nassert top([]) is None\n```",
    "assert top([5, 9, 7]) == 9\nassert top([]) is None",
    "I would rather not.",
]


def solve(folder: Path, programs: list[Any], tests: list[Any], number: int = 2, **keys: Any) -> list[Solution]:
    """Return the solutions of some problems of the same programs, chosen between by CodeT."""
    scorer = {"name": "codet", "num_samples": len(tests), "writer": {"name": "replay", "script": tests}, **keys}
    recipe = {
        "task": {"name": "code", "verifier": {"name": "code", "packages": [], "cpu_seconds": 0.3}},
        "engine": {"name": "replay", "script": programs},
        "sampler": {"name": "temperature", "num_candidates": len(programs)},
        "selector": {"name": "best_of_n", "scorer": scorer},
    }
    folder.mkdir(exist_ok=True)
    (folder / "r.yaml").write_text(yaml.safe_dump(recipe))
    rows = [
        ProblemRow(Problem(f"p{one}", f"Write top, {one}.", "code", entry_point="top"), REFERENCE, one + 1)
        for one in range(number)
    ]
    with open_run(load_recipe(str(folder / "r.yaml")), rows, folder / "run") as run:
        return [outcome.solution for outcome in run.outcomes(keep_order=True)]


def scores(folder: Path) -> list[Any]:
    lines = [json.loads(line) for line in (folder / "run/scores.jsonl").read_bytes().splitlines()]
    return next(line["scores"] for line in lines if line["problem_id"] == "p0")


def test_the_score_is_the_root_of_the_programs_times_the_tests_both_as_often_as_they_were_written() -> None:
    groups = [({"a", "b"}, 3), ({"c"}, 1), ({"d"}, 5), (set[str](), 4)]
    passed = [tests for tests, size in groups for _ in range(size)]
    times = {"a": 3, "b": 1, "c": 6, "d": 2}
    found = agreement(passed, times)
    assert [found[0], found[3], found[4], found[9]] == pytest.approx([6.9282, 6.0, 4.4721, 0.0], abs=1e-4)
    assert found[:3] == [found[0]] * 3


@given(
    st.lists(st.frozensets(st.integers(0, 5)), max_size=8),
    st.lists(st.integers(1, 4), min_size=6, max_size=6),
    st.randoms(use_true_random=False),
)
def test_the_order_of_programs_means_nothing_and_repeated_tests_are_as_many_tests(
    passed: list[frozenset[int]], times: list[int], chance: Any
) -> None:
    found = agreement(passed, dict(enumerate(times)))
    order = list(range(len(passed)))
    chance.shuffle(order)
    assert agreement([passed[one] for one in order], dict(enumerate(times))) == [found[one] for one in order]
    each = [frozenset((test, copy) for test in one for copy in range(times[test])) for one in passed]
    copies = Counter((test, copy) for test in range(6) for copy in range(times[test]))
    assert agreement(each, copies) == pytest.approx(found)


def test_programs_that_agree_with_the_tests_win_against_more_that_agree_with_each_other(tmp_path: Path) -> None:
    solutions = solve(tmp_path, PROGRAMS, TESTS)
    assert [one.verdict.status for one in solutions] == ["passed", "passed"]
    right, first, last = 5 * math.sqrt(2), math.sqrt(3), 1.0
    assert [one["value"] for one in scores(tmp_path)] == pytest.approx([first, right, first, right, last, first])
    assert scores(tmp_path)[1]["detail"] == "5 of 5 tests"
    assert scores(tmp_path)[0]["figures"] == {"asked": 3, "unread": 0, "tests": 5, "different_tests": 4}
    spent = solutions[0].usage.engines
    assert spent["selector.scorer.writer"].num_calls == 3
    assert (spent["selector.scorer.runner"].num_calls, spent["selector.scorer.runner"].written_tokens) == (1 + 4, 0)


@pytest.mark.parametrize(
    ("tests", "told"),
    [
        (["no", "assert bottom(1)"], "the model wrote no test that can be read"),
        (["assert top([1]) == 7"], "no program passes any test that the model wrote"),
        (["assert nothing(top([1]))"], "no program passes any test that the model wrote"),
    ],
)
def test_tests_that_tell_nothing_leave_the_plain_vote(tmp_path: Path, tests: list[str], told: str) -> None:
    for one in solve(tmp_path, PROGRAMS, tests):
        assert told in one.selection.fallback
        assert one.selection.index in (0, 2, 5)  # without examples to run, equal texts are one answer


def test_what_holds_no_program_has_no_score_and_what_never_ends_costs_the_others_nothing(tmp_path: Path) -> None:
    endless = "```python\ndef top(xs):\n    while True: pass\n```"
    runner = {"name": "program_runner", "packages": [], "cpu_seconds": 0.2, "total_cpu_seconds": 0.4}
    solutions = solve(tmp_path, ["I cannot.", endless, RIGHT, {"text": RIGHT, "finish_reason": "length"}], TESTS,
                      number=1, runner=runner)  # fmt: skip
    found = scores(tmp_path)
    assert [one["value"] for one in found] == [None, 0.0, 5.0, None]
    assert found[0]["detail"] == "no program"
    assert solutions[0].verdict.status == "passed"


def pair(read: str, printed: str) -> str:
    return f"Input:\n```\n{read}\n```\n\n**Output**:\n```text\n{printed}\n```\n"


def test_programs_that_read_their_standard_input_have_tests_of_inputs_and_outputs(tmp_path: Path) -> None:
    programs = [
        "print(max(map(int, input().split())))",
        "print(input().split()[0])",
        "print(sorted(input().split())[-1])",
    ]
    tests = [
        "Here you are.\n" + pair("1 2", "2") + pair("7 3", "7"),
        pair("1 2", "2") + pair("9 10", "10") + "Input:\n```\n5\n```\nand so on",
        pair("1 2", "1"),
    ]
    writer = {"name": "replay", "script": tests}
    recipe = {
        "task": {"name": "code", "verifier": {"name": "code", "packages": []}},
        "engine": {"name": "replay", "script": [f"```python\n{one}\n```" for one in (programs[1], *programs)]},
        "sampler": {"name": "temperature", "num_candidates": 4},
        "selector": {"name": "best_of_n", "scorer": {"name": "codet", "num_samples": 3, "writer": writer}},
    }
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(recipe))
    rows = [ProblemRow(Problem(f"p{one}", "The largest.", "code"), Reference(), one + 1) for one in range(2)]
    with open_run(load_recipe(str(tmp_path / "r.yaml")), rows, tmp_path / "run") as run:
        chosen = [outcome.solution.text for outcome in run.outcomes()]
    assert programs[0] in chosen[0]
    assert programs[0] in chosen[1]
    # 2 for 1 2 twice, 7 for 7 3, 10 for 9 10, 1 for 1 2: two print the first number, one the largest, one the last word
    found = {one["detail"]: one["value"] for one in scores(tmp_path)}
    assert found == pytest.approx({"4 of 5 tests": 4.0, "2 of 5 tests": 2 * math.sqrt(2), "3 of 5 tests": 3.0})


def test_a_block_is_what_it_is_called() -> None:
    named = "```input\n1\n```\n```output\n2\n```\n"
    assert pairs_in(named, 9) == [("1\n", "2\n")]
    assert pairs_in(f"{named}Input:\n```\n3\n```\nthat is\n```python\nprint()\n```\nOutput\n```\n4\n```", 9) == [
        ("1\n", "2\n")
    ]
    assert pairs_in("Sample Output:\n```\n3\n```\nInput\n```\n\n```\nIts output is cut\n```\n4", 9) == []
    assert pairs_in("input ```" * 20_000 + "\ninput\n```\n" * 20_000, 9) == []


@given(
    st.lists(st.tuples(*[st.text("ab 1\n", max_size=6)] * 2), max_size=4),
    st.lists(st.sampled_from(["so", "Input:", "output", "```\nx\n```"]), max_size=2),
)
@settings(derandomize=True, max_examples=60)
def test_pairs_are_read_as_they_were_written_whatever_stands_before(
    pairs: list[tuple[str, str]], before: list[str]
) -> None:
    text = "\n".join([*before, *(pair(read, printed) for read, printed in pairs)])
    found = pairs_in(text, 99)
    assert [*pairs_in(text, 1)] == found[:1]
    if before:
        return  # whatever is read, nothing breaks
    assert found == [(f"{read}\n", f"{printed}\n") for read, printed in pairs]


def test_an_engine_of_the_wrong_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(
        "task: code\nengine: {name: replay, script: [a]}\nsampler: greedy\n"
        "selector: {name: best_of_n, scorer: {name: codet, runner: {name: replay, script: [a]}}}\n"
    )
    with pytest.raises(RecipeError, match=r"capability `runs_programs`.*program_runner"):
        load_recipe(str(tmp_path / "r.yaml"))
    (tmp_path / "r.yaml").write_text("task: code\nengine: program_runner\nsampler: greedy\nselector: first\n")
    with pytest.raises(RecipeError, match="which runs programs: put it where a `runner` is wanted"):
        load_recipe(str(tmp_path / "r.yaml"))
