"""`tts grade` and `tts select`: stored candidates, judged anew without a model."""

import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_parts import Result, rows

from tts.cli.interrupt import stop_on_signals

Command = Callable[..., Result]
DERIVED = ("selections.jsonl", "verdicts.jsonl", "summary.json")


@pytest.fixture
def run(tts: Command, recipe: Path, tmp_path: Path) -> Path:
    recipe.write_text(recipe.read_text().replace("task: math", "task: math\nproblems: ./p.jsonl"))
    (tmp_path / "p.jsonl").write_text(rows([("a", "42"), ("b", "41"), ("c", "42")]))
    assert tts("solve", "-r", recipe, "--run", "r").code == 0
    return tmp_path / "r"


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_grading_gives_what_solving_gave_and_changes_nothing(tts: Command, run: Path) -> None:
    before = contents(run)
    result = tts("grade", "r")
    assert result.code == 0, result.err
    assert {row["id"]: row["verdict"]["status"] for row in result.records} == {
        "a": "passed",
        "b": "failed",
        "c": "passed",
    }
    assert {row["run"] for row in result.records} == {"r"}
    assert "3 problems graded: majority_vote 66.7 %" in result.err
    assert contents(run) == before


def test_lost_derived_files_come_back_as_they_were(tts: Command, run: Path) -> None:
    before = contents(run)
    for name in DERIVED:
        (run / name).unlink()
    assert tts("grade", "r", "--write").code == 0
    after = contents(run)
    assert {name: after[name] for name in after if name != "lock"} == {
        name: before[name] for name in before if name != "lock"
    }


def test_another_selector_chooses_anew_and_only_writes_when_told(tts: Command, run: Path) -> None:
    before = contents(run)
    voted, first = tts("select", "r"), tts("select", "r", "--selector", "first")
    assert (voted.code, first.code) == (0, 0), first.err
    assert {tuple(row["selection"]["weights"]) for row in voted.records} == {(2.0, 1.0)}
    assert {tuple(row["selection"]["weights"]) for row in first.records} == {(1.0, 0.0, 0.0)}
    assert contents(run) == before
    assert tts("select", "r", "--selector", "first", "--write").code == 0
    after = contents(run)
    assert json.loads(after["run.json"])["recipe"]["selector"]["name"] == "first"
    assert {name for name in before if before[name] != after[name]} == {"run.json", "selections.jsonl"}
    assert tts("solve", "--run", "r").records[0]["selection"]["weights"] == [1.0, 0.0, 0.0]


@pytest.mark.usefixtures("run")
def test_a_bound_may_be_shown_and_is_not_written(tts: Command) -> None:
    shown = tts("select", "r", "--selector", "oracle")
    assert {row["verdict"]["status"] for row in shown.records} == {"passed"}
    assert tts("select", "r", "--selector", "oracle", "--write").code == 2


def test_scorers_rank_where_their_fields_are_there(tts: Command, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text(rows([("a", "1"), ("b", "2")]))
    lines = [
        {"problem_id": name, "text": f"\\boxed{{{answer}}}", "mean_logprob": logprob, "finish_reason": "stop"}
        for name in "ab"
        for answer, logprob in ((1, -2.0), (1, -3.0), (2, -0.5))
    ]
    (tmp_path / "c.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    voted = tts("select", "c.jsonl", "--problems", "p.jsonl")
    ranked = tts("select", "c.jsonl", "--problems", "p.jsonl", "--selector", "best_of_n", "--scorer", "likelihood")
    assert ranked.code == 0, ranked.err
    assert [row["answer"] for row in voted.records] == ["1", "1"]
    assert [row["answer"] for row in ranked.records] == ["2", "2"]


def test_a_file_of_candidates_is_judged_by_another_task(tts: Command, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text(
        json.dumps({"id": 1, "problem": "Which city?", "answer": "Rome"}) + "\n" + json.dumps({"id": 2, "problem": "?"})
    )
    (tmp_path / "c.jsonl").write_text('{"problem_id": 1, "text": "Answer: ROME."}\n{"problem_id": 7, "text": "x"}\n')
    result = tts("grade", "c.jsonl", "--problems", "p.jsonl", "--set", "task=text")
    assert result.code == 1
    assert {row["id"]: row["error"] and row["error"]["type"] for row in result.records} == {
        "1": None,
        None: "unknown_problem",
        "2": "no_candidates",
    }
    assert "line 2: c.jsonl" in result.err


@pytest.mark.parametrize("command", [("grade",), ("select",), ("select", "-s", "first")])
def test_a_run_is_judged_by_corrected_references(
    tts: Command, run: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    before = contents(run)
    (tmp_path / "fixed.jsonl").write_text(rows([("b", "42"), ("a", "42"), ("new", "1")]))
    result = tts(*command, "r", "--problems", "fixed.jsonl")
    assert result.code == 0, result.err
    assert {row["id"]: row["verdict"]["status"] for row in result.records} == dict.fromkeys("abc", "passed")
    assert "another reference, that of fixed.jsonl, judges 1 problem" in result.err
    assert "1 of its problems are not in fixed.jsonl and keep their references; 1 of that file are not in" in result.err
    assert tts("grade", "r", "--problems", "fixed.jsonl", "--write").code == 2
    assert contents(run) == before


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"id": "b", "problem": "Another?", "answer": "1"}, "line 1: problem 'b' must ask what the run was asked"),
        ({"id": "b", "problem": "What is b?", "answer": ")("}, "line 1: `answer` must be one that can be read"),
        ({"id": "b"}, "line 1: a row must have a prompt"),
    ],
)
@pytest.mark.usefixtures("run")
def test_what_corrects_no_reference_is_refused(tts: Command, tmp_path: Path, row: dict[str, str], told: str) -> None:
    (tmp_path / "fixed.jsonl").write_text(json.dumps(row) + "\n")
    refused = tts("grade", "r", "--problems", "fixed.jsonl")
    assert (refused.code, refused.out) == (2, "")
    assert told in refused.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("grade", "r", "--set", "sampler.temperature=1"), "judged anew, not drawn anew"),
        (("grade", "r", "--set", "task.verifier=chess"), "no verifier"),
        (("select", "r", "--scorer", "likelihood"), "must go with `--selector`"),
        (("select", "r", "--selector", "best_of_n"), "scorer"),
        (("grade", "p.jsonl"), "--problems"),
        (("grade", "nowhere"), "nothing there"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(
    tts: Command, run: Path, arguments: tuple[str, ...], told: str
) -> None:
    before = contents(run)
    refused = tts(*arguments)
    assert (refused.code, refused.out) == (2, "")
    assert told in refused.err
    assert contents(run) == before


def test_an_interruption_says_what_becomes_of_the_work(capfd: pytest.CaptureFixture[str]) -> None:
    stop = threading.Event()
    with stop_on_signals(stop, "nothing is changed") as signals:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.wait(10)
    assert signals == [signal.SIGINT]
    assert "stopping; nothing is changed (once more: stop at once)" in capfd.readouterr().err


def file_of(path: Path, candidates: dict[str, list[tuple[str, dict[str, object]]]]) -> str:
    written = [
        {"problem_id": name, "text": f"\\boxed{{{answer}}}", "finish_reason": "stop", **facts}
        for name, drawn in candidates.items()
        for answer, facts in drawn
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in written))
    return str(path)


def test_missing_scores_are_told_and_are_no_wrong_answers(tts: Command, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text(rows([("p0", "1"), ("p1", "1"), ("p2", "1")]))
    file_of(
        tmp_path / "c.jsonl",
        {"p0": [("1", {}), ("2", {})], "p1": [("1", {"mean_logprob": -1.0}), ("2", {})], "p2": [("2", {}), ("3", {})]},
    )
    ranked = tts("select", "c.jsonl", "--problems", "p.jsonl", "-s", "best_of_n", "--scorer", "likelihood")
    assert "best_of_n 33.3 – 66.7 %" in ranked.err.replace("\xa0", " ")
    assert "could tell nothing of any candidate of 1 of 3 problems" in ranked.err
    assert [row["verdict"]["reason"] for row in ranked.records] == ["no_score", "", "no_answer"]
    assert "no log-probabilities" in ranked.records[0]["verdict"]["detail"]
    shown = tts(
        "bench", "--from", "c.jsonl", "--problems", "p.jsonl", "--k", "1,2", "--embeddings", "none", "--run", "b"
    )
    points = {
        row["k"]: (row["lower"], row["upper"]) for row in shown.records if row.get("figure") == "best_of_n(likelihood)"
    }
    assert points == {1: (pytest.approx(1 / 6), pytest.approx(2 / 6)), 2: (pytest.approx(1 / 3), pytest.approx(2 / 3))}
    assert "no score of likelihood for 5 of 6 candidates: they abstain" in shown.err


def test_a_problem_without_candidates_counts_as_undecided_in_grade_and_in_bench(tts: Command, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text(rows([("p0", "1"), ("p1", "1"), ("p2", "1")]))
    file_of(tmp_path / "c.jsonl", {"p0": [("1", {})], "p1": [("2", {})]})
    graded = tts("grade", "c.jsonl", "--problems", "p.jsonl", "--set", "selector=majority_vote")
    assert "majority_vote 33.3 – 66.7 %" in graded.err.replace("\xa0", " ")
    assert graded.records[-1]["error"]["type"] == "no_candidates"
    shown = tts("bench", "--from", "c.jsonl", "--problems", "p.jsonl", "--embeddings", "none", "--run", "b")
    assert graded.code == shown.code == 1
    (point,) = [row for row in shown.records if row.get("figure") == "maj@k"]
    assert (point["lower"], point["upper"]) == pytest.approx((1 / 3, 2 / 3))
