"""`tts report` as a process, on runs of the replay engine."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_parts import Result, rows

Command = Callable[..., Result]
FOUR = rows([("6*7", "42"), ("5*8+1", "41"), ("40+2", "42"), ("2*3*7", "42")])


@pytest.fixture
def runs(tts: Command, recipe: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Two runs of four candidates on the same four problems; the second finds 41 where the first finds nothing."""
    other = tmp_path / "other.yaml"
    other.write_text(recipe.read_text().replace("no idea", "\\\\boxed{41}"))
    for name, path in (("first", recipe), ("second", other)):
        done = tts("solve", "--recipe", path, "--run", name, stdin=FOUR)
        assert done.code == 0, done.err
    return tmp_path / "first", tmp_path / "second"


def make(tts: Command, *arguments: object) -> Result:
    return tts("report", *arguments, "--embeddings", "ngrams")


def test_the_page_of_one_run_lies_in_it(tts: Command, runs: tuple[Path, Path]) -> None:
    result = make(tts, runs[0])
    assert (result.code, result.out) == (0, ""), result.err
    page = (runs[0] / "report.html").read_text()
    assert "maj@2 of" in page  # the largest k of which two subsets share no candidate
    assert f"the page is {runs[0] / 'report.html'}" in result.err


def test_two_runs_are_compared_on_one_page(tts: Command, runs: tuple[Path, Path], tmp_path: Path) -> None:
    result = make(tts, *runs, "--out", "both.html", "--k", "1,2")
    assert result.code == 0, result.err
    page = (tmp_path / "both.html").read_text()
    assert "2 recipes" in page
    assert "maj@2" in page
    assert "maj@4" not in page
    assert not (runs[0] / "report.html").exists()


def test_json_is_the_whole_report_and_writes_no_page(tts: Command, runs: tuple[Path, Path], tmp_path: Path) -> None:
    result = make(tts, *runs, "--json")
    assert result.code == 0, result.err
    (found,) = result.records
    assert [arm["num_problems"] for arm in found["arms"]] == [4, 4]
    assert [len(problem["arms"]) for problem in found["problems"]] == [2] * 4
    assert not list(tmp_path.glob("**/report.html"))


def test_a_baseline_is_what_the_others_are_compared_with(tts: Command, runs: tuple[Path, Path]) -> None:
    (plain,) = make(tts, *runs, "--json").records
    first, second = (arm["name"] for arm in plain["arms"])
    (found,) = make(tts, *runs, "--json", "--baseline", second).records
    assert {(one["first"], one["second"]) for one in plain["contrasts"]} == {(second, first)}
    assert {(one["first"], one["second"]) for one in found["contrasts"]} == {(first, second)}
    refused = make(tts, *runs, "--json", "--baseline", "neither")
    assert (refused.code, "`baseline` must be one of" in refused.err) == (2, True)


@pytest.mark.usefixtures("png")
def test_data_and_figures_go_into_folders(tts: Command, runs: tuple[Path, Path], tmp_path: Path) -> None:
    result = make(tts, *runs, "--out", "page.html", "--figures", "figures", "--csv", "data")
    assert result.code == 0, result.err
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert {"maj-at-k.svg", "maj-at-k.png", "tokens.svg", "tokens.png"} <= names
    candidates = list(csv.DictReader((tmp_path / "data" / "candidates.csv").read_text().splitlines()))
    assert len(candidates) == 2 * 4 * 4
    assert {row["answer"] for row in candidates} == {"42", "41", ""}
    curves = list(csv.DictReader((tmp_path / "data" / "curves.csv").read_text().splitlines()))
    at = {(row["figure"], row["k"]): float(row["lower"]) for row in curves if row["arm"] == curves[0]["arm"]}
    assert at["pass@k", "4"] == 1.0
    assert at["random", "1"] == pytest.approx((3 * 2 / 4 + 1 / 4) / 4)


def test_more_candidates_than_were_drawn_are_refused(tts: Command, runs: tuple[Path, Path]) -> None:
    result = make(tts, runs[0], "--k", "1,64")
    assert result.code == 2
    assert "64" in result.err
    assert not (runs[0] / "report.html").exists()


@pytest.mark.parametrize("arguments", [("nowhere",), ()])
def test_a_run_that_is_not_there_is_an_error(tts: Command, arguments: tuple[str, ...]) -> None:
    result = tts("report", *arguments)
    assert result.code == 2
    assert "Traceback" not in result.err


def test_a_page_that_cannot_be_written_is_one_line(tts: Command, runs: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for arguments in (("--out", "file/page.html"), ("--csv", "file"), ("--out", "missing/page.html", "--csv", "data")):
        result = make(tts, runs[0], *arguments)
        assert result.code == 2, arguments
        assert "Traceback" not in result.err
        assert "file" in result.err or "missing" in result.err


def test_json_keys_are_those_of_the_records(tts: Command, runs: tuple[Path, Path]) -> None:
    (found,) = make(tts, runs[0], "--json", "--no-candidates").records
    assert set(found) == {
        "title",
        "headline",
        "headline_k",
        "ks",
        "arms",
        "contrasts",
        "method",
        "warnings",
        "problems",
        "speeds",
    }
    assert json.dumps(found["problems"]) == "[]"
