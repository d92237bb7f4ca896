"""Which problems `tts solve` works on: a question, several files, some ids, a random order; and for how long."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_parts import Result, rows

from tts.cli.options import read_seconds
from tts.errors import UsageError

Command = Callable[..., Result]
LETTERS = "abcdefghijkl"


@pytest.fixture
def many(tmp_path: Path) -> Path:
    path = tmp_path / "many.jsonl"
    path.write_text(rows((letter, "42") for letter in LETTERS))
    return path


def ids(result: Result) -> list[str]:
    return [record["id"] for record in result.records]


def test_a_question_is_answered_and_its_run_goes_on(tts: Command, recipe: Path, tmp_path: Path) -> None:
    result = tts("solve", "What is 6*7?", "-r", recipe, "--run", "r")
    assert result.code == 0
    [record] = result.records
    assert (record["id"], record["answer"], record["verdict"]["reason"]) == ("question", "42", "no_reference")
    problem = json.loads((tmp_path / "r" / "problems.jsonl").read_text().splitlines()[0])["problem"]
    assert problem["prompt"] == "What is 6*7?"
    (tmp_path / "r" / "problems.jsonl").write_text("")  # as if it had been killed before it had read anything
    (tmp_path / "r" / "candidates.jsonl").write_text("")
    assert ids(tts("solve", "--run", "r")) == ["question"]


@pytest.mark.parametrize("name", ["my problems.jsonl", "./a set of problems", "data/my set of rows", "my problems"])
def test_a_path_to_nothing_stays_a_path(tts: Command, recipe: Path, tmp_path: Path, name: str) -> None:
    result = tts("solve", name, "-r", recipe)
    assert (result.code, result.out) == (2, "")
    assert f"got {name!r}" in result.err
    assert not (tmp_path / "runs").exists()


def test_several_files_are_read_one_after_another_and_told_apart(tts: Command, recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "one.jsonl").write_text('{"problem":"p"}\n{"id":"x","problem":"q"}\n')
    (tmp_path / "two.jsonl").write_text('{"problem":"p"}\n{"id":"x","problem":"q"}\n{"id":"y"}\n')
    result = tts("solve", "one.jsonl", "two.jsonl", "-r", recipe, "--run", "r", "--keep-order")
    assert result.code == 1
    assert ids(result) == ["one.jsonl:1", "x", "two.jsonl:1", "x", "y"]
    assert "line 2: in two.jsonl: `id` must be unique" in result.err
    assert "first on line 2 of one.jsonl" in result.err
    assert json.loads((tmp_path / "r" / "run.json").read_text())["problems"] == ["one.jsonl", "two.jsonl"]
    assert ids(tts("solve", "--run", "r", "--keep-order")) == ids(result)
    missing = tts("solve", "one.jsonl", "three.jsonl", "-r", recipe)
    assert (missing.code, missing.out) == (2, "")
    twice = tts("solve", "one.jsonl", "one.jsonl", "-r", recipe)
    assert (twice.code, twice.out) == (2, "")


def test_ids_and_shuffle_choose_problems_once_and_a_resumed_run_keeps_them(
    tts: Command, recipe: Path, many: Path, tmp_path: Path
) -> None:
    some = tts("solve", many, "-r", recipe, "--run", "some", "--id", "k", "--id", "b", "--keep-order")
    assert (some.code, ids(some)) == (0, ["b", "k"])
    assert ids(tts("solve", many, "--run", "some", "--keep-order")) == ["b", "k"]
    other = tts("solve", "--run", "some", "--id", "c")
    assert (other.code, other.out) == (2, "")
    assert "`--id`" in other.err

    whole = ids(tts("solve", many, "-r", recipe, "--shuffle", "--keep-order", "--run", "whole"))
    assert sorted(whole) == list(LETTERS) != whole
    assert ids(tts("solve", many, "-r", recipe, "--shuffle", "--keep-order", "--set", "seed=1")) != whole
    first = tts("solve", many, "-r", recipe, "--shuffle", "--limit", 3, "--keep-order", "--run", "first")
    assert ids(first) == whole[:3]
    assert json.loads((tmp_path / "first" / "run.json").read_text())["shuffle"] is True
    assert ids(tts("solve", many, "--run", "first", "--limit", 5, "--keep-order")) == whole[:5]


def test_an_id_that_is_not_there_is_refused_before_anything_is_written(
    tts: Command, recipe: Path, many: Path, tmp_path: Path
) -> None:
    result = tts("solve", many, "-r", recipe, "--id", "a", "--id", "zz", "--run", "r")
    assert (result.code, result.out) == (2, "")
    assert '`--id` must be in the problems, got "zz"' in result.err
    assert not (tmp_path / "r").exists()


def test_a_time_limit_stops_in_good_order_and_the_run_goes_on(tts: Command, recipe: Path, many: Path) -> None:
    recipe.write_text(recipe.read_text().replace("script:", "batch_size: 4\n  delay_seconds: 0.4\n  script:"))
    result = tts("solve", many, "-r", recipe, "--run", "r", "--time-limit", "1s")  # all would take 4.8 s
    assert result.code == 3
    assert "the time limit of 1s is reached; resume with: tts solve --run r" in result.err
    assert 0 < len(result.records) < len(LETTERS)
    recipe_kept = tts("solve", "--run", "r", "--time-limit", "1h")
    assert recipe_kept.code == 0
    assert sorted(ids(recipe_kept)) == list(LETTERS)


def test_a_benchmark_stops_at_its_time_limit_too(tts: Command, recipe: Path, many: Path) -> None:
    recipe.write_text(recipe.read_text().replace("script:", "batch_size: 4\n  delay_seconds: 0.4\n  script:"))
    result = tts("bench", many, "-r", recipe, "--run", "b", "--time-limit", "1s")
    assert (result.code, result.out) == (3, "")
    assert "resume with: tts bench --run b" in result.err


@pytest.mark.parametrize("duration", ["0", "0s", "-5", "soon", "", "1e3", "1m 2", "nan", "9" * 400])
def test_a_wrong_time_limit_is_refused(duration: str) -> None:
    with pytest.raises(UsageError, match="`--time-limit` must be a time above 0"):
        read_seconds(duration)


def test_times_are_read_with_or_without_their_units() -> None:
    texts = (None, "90", "45s", "0.5s", "10m", "1h30m", "2d")
    assert [read_seconds(text) for text in texts] == [None, 90, 45, 0.5, 600, 5400, 172800]
