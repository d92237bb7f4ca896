"""Files of candidates that another tool made: nothing sound is lost, and what is not known is said."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts.errors import UsageError
from tts.pipeline.rejudging import Rejudging
from tts.report.analyse import report_of
from tts.runs.candidate_file import CandidateFile
from tts.types import Solution

Rows = Sequence[dict[str, Any]]


def write(folder: Path, candidates: Rows, problems: Rows = ({"id": "a", "problem": "?", "answer": "1"},)) -> Path:
    (folder / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in problems))
    (folder / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in candidates))
    return folder / "c.jsonl"


def opened(path: Path, *overrides: str) -> CandidateFile:
    return CandidateFile(path, str(path.parent / "p.jsonl"), overrides)


def box(answer: object, **keys: Any) -> dict[str, Any]:
    return {"problem_id": "a", "text": f"so \\boxed{{{answer}}}", "finish_reason": "stop", **keys}


def solutions(run: CandidateFile, *, afresh: bool = False) -> dict[str, Solution]:
    found = list(Rejudging(run, afresh).outcomes())
    run.close()
    return {one.solution.problem_id: one.solution for one in found if hasattr(one, "solution")}


def lines(path: Path, figure: str, **keys: Any) -> list[tuple[int, float]]:
    report = report_of([path], problems=str(path.parent / "p.jsonl"), embeddings="none", **keys)
    return [(point.k, round(point.lower, 4)) for point in report.arms[0].points(figure)]


@pytest.mark.parametrize(
    ("indices", "expected"),
    [
        ([1, None, None], {0: 1, 1: 0, 2: 2}),
        ([None, 0, None], {0: 1, 1: 0, 2: 2}),
        ([None, None], {0: 0, 1: 1}),
        ([5, None], {0: 1, 5: 0}),
    ],
)
def test_a_row_without_an_index_gets_the_lowest_that_no_row_names(
    tmp_path: Path, indices: list[int | None], expected: dict[int, int]
) -> None:
    run = opened(write(tmp_path, [box(place, index=index) for place, index in enumerate(indices)]))
    assert {one.index: int(one.text[-2]) for one in run.candidates("a")} == expected
    assert run.errors == []
    run.close()


@settings(max_examples=60, derandomize=True)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.none() | st.integers(0, 4)), max_size=12))
def test_no_row_is_lost_but_a_second_of_the_same_index(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int | None]]
) -> None:
    problems = [{"id": name, "problem": "?", "answer": "1"} for name in "ab"]
    candidates = [box(place, problem_id=name, index=index) for place, (name, index) in enumerate(rows)]
    run = opened(write(tmp_path_factory.mktemp("c"), candidates, problems))
    named = [row for row in rows if row[1] is not None]
    kept = [candidate.text for name in run.problem_ids for candidate in run.candidates(name)]
    assert len(run.errors) == len(named) - len(set(named))
    assert len(kept) == len(set(kept)) == len(rows) - len(run.errors)
    run.close()


def test_a_bad_number_costs_the_number_alone_and_is_told(tmp_path: Path) -> None:
    brought: Rows = [{"mean_logprob": float("nan")}, {"num_tokens": 12.0}, {"num_tokens": "x"}, {"finish_reason": None}]
    rows = [box(2 if "x" in row.values() else 1) | row for row in brought]
    run = opened(write(tmp_path, rows))
    assert [one.num_tokens for one in run.candidates("a")] == [2, 12, 2, 2]
    assert [one.finish_reason for one in run.candidates("a")] == ["stop"] * 4
    assert run.errors == []
    told = "\n".join(run.notes)
    assert "`mean_logprob` must be a finite number; in 1 row it is not (line 1): the rest is kept, without it" in told
    assert "`num_tokens` must be a whole number; in 1 row it is not (line 3)" in told
    assert "no finish_reason in 1 row:" in told
    run.close()


def test_refused_rows_are_counted_in_the_report(tmp_path: Path) -> None:
    path = write(tmp_path, [box(1, index=0), box(1, index=0), box(2, problem_id="zz"), box(2), {"problem_id": "a"}])
    report = report_of([path], problems=str(tmp_path / "p.jsonl"), embeddings="none")
    (told,) = [warning for warning in report.warnings if "could not be used" in warning]
    assert "in no figure: 1 bad_candidate, 1 duplicate_candidate, 1 unknown_problem" in told
    assert report.arms[0].quality.num_candidates == 2


def test_a_compressed_file_is_read_whatever_it_is_called(tmp_path: Path) -> None:
    content = write(tmp_path, [box(1), box(2)]).read_bytes()
    for name in ("c.jsonl.gz", "c.GZ", "plain"):
        (tmp_path / name).write_bytes(gzip.compress(content))
        run = opened(tmp_path / name)
        assert len(run.candidates("a")) == 2
        run.close()


def test_a_torn_compressed_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, [box(number) for number in range(2000)])
    path.write_bytes(gzip.compress(path.read_bytes())[:-20])
    with pytest.raises(UsageError, match="cannot be read to its end"):
        opened(path)


def test_an_answer_stands_in_the_place_of_the_text(tmp_path: Path) -> None:
    problems = [
        {"id": "a", "problem": "?", "answer": r"\frac{x^2}{2}"},
        {"id": "b", "problem": "?", "choices": ["red", "blue"], "answer": "B"},
        {"id": "c", "problem": "?", "answer": "3"},
    ]
    rows = [
        {"problem_id": "a", "answer": "$x^2/2$"},
        {"problem_id": "b", "answer": "blue"},
        {"problem_id": "b", "answer": "a"},
        {"problem_id": "c", "answer": None},
        {"problem_id": "c", "answer": 3.0},
    ]
    run = opened(write(tmp_path, rows, problems))
    found = solutions(run)
    assert [found[name].verdict.status for name in "abc"] == ["passed", "failed", "passed"]
    assert (found["b"].counts.num_passed, found["c"].counts.num_no_answer) == (1, 1)


def test_a_reward_ranks_without_any_code_of_ones_own(tmp_path: Path) -> None:
    rows = [box(2, score=0.1), box(2, score=0.2), box(1, score=0.9)]
    path = write(tmp_path, rows)
    assert solutions(opened(path))["a"].verdict.status == "failed"
    assert solutions(opened(path, "selector.scorer=given"))["a"].verdict.status == "passed"
    assert lines(path, "best_of_n(score)")[-1] == (3, 1.0)
    write(tmp_path, [{**row, "scores": {"likelihood": row["score"], "prm": -row.pop("score")}} for row in rows])
    by_prm = opened(path, "selector.scorer.name=given", "selector.scorer.key=prm")
    assert solutions(by_prm)["a"].verdict.status == "failed"
    assert lines(path, "best_of_n(given likelihood)")[-1] == (3, 1.0)
    assert lines(path, "best_of_n(prm)")[-1] == (3, 0.0)


def test_verdicts_that_come_along_stand_until_another_verifier_is_asked(tmp_path: Path) -> None:
    path = write(tmp_path, [box(1, correct=False), box(2, correct=True), box(2)])
    assert solutions(opened(path))["a"].counts.num_passed == 1  # the second, as its row says
    assert lines(path, "pass@k")[0] == (1, 0.3333)
    assert solutions(opened(path, "task.verifier=math"))["a"].counts.num_passed == 1  # the first
    assert solutions(opened(path), afresh=True)["a"].verdict.status == "failed"


def test_where_there_is_no_reference_the_verdicts_that_come_along_are_all_there_is(tmp_path: Path) -> None:
    problems = [{"id": "a", "problem": "?"}, {"id": "b", "problem": "?"}]
    rows = [box(1, correct=True), box(2, correct=False), box(3, problem_id="b")]
    path = write(tmp_path, rows, problems)
    found = solutions(opened(path), afresh=True)
    assert (found["a"].counts.num_passed, found["b"].counts.num_passed) == (1, None)
    assert lines(path, "pass@k", ks=[1]) == [(1, 0.5)]


def test_a_scorer_that_knows_nothing_is_said_and_decides_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, [box(1), box(2)])
    found = solutions(opened(path, "selector=best_of_n", "selector.scorer=likelihood"))["a"]
    assert (found.verdict.status, found.verdict.reason) == ("undecided", "no_score")
    some = write(tmp_path, [box(1), box(2, mean_logprob=-1.0)])
    assert solutions(opened(some, "selector.scorer=likelihood"))["a"].verdict.status == "failed"
    report = report_of([some], problems=str(tmp_path / "p.jsonl"), embeddings="none")
    assert "c: no score of likelihood for 1 of 2 candidates: they abstain where it chooses" in report.warnings


def test_a_large_file_is_not_held_in_memory(tmp_path: Path) -> None:
    problems = [{"id": f"p{number}", "problem": "?" * 1000, "answer": "1"} for number in range(400)]
    path = write(tmp_path, [box("x" * 100_000, problem_id=f"p{number}") for number in range(400)], problems)
    program = (
        "import resource, sys; from pathlib import Path; from tts.runs.candidate_file import CandidateFile\n"
        "import tts.report.analyse\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "run = CandidateFile(Path(sys.argv[1]), sys.argv[2])\n"
        "print(sum(len(run.candidates(name)) for name in run.problem_ids))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    command = [sys.executable, "-c", program, str(path), str(tmp_path / "p.jsonl")]
    number, grown_kb = map(int, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert number == 400
    assert grown_kb < 20_000  # of 40 MB
