"""Runs that are interrupted, killed, refused and resumed: real processes, real signals, real folders."""

import json
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_parts import TTS, Result, environment, rows, start

Command = Callable[..., Result]

NUM_PROBLEMS = 30
NUM_CANDIDATES = 4
REPEATABLE = ("candidates.jsonl", "selections.jsonl", "verdicts.jsonl")


@pytest.fixture
def slow_recipe(recipe: Path) -> Path:
    """The scripted recipe, taking about 1.5 s for 30 problems."""
    text = recipe.read_text().replace("name: replay", "name: replay\n  delay_seconds: 0.1\n  batch_size: 8")
    recipe.write_text(text)
    return recipe


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    path = tmp_path / "problems.jsonl"
    path.write_text(rows((f"q{number}", "42" if number % 3 else "41") for number in range(NUM_PROBLEMS)))
    return path


def wait_for_candidates(folder: Path, number: int) -> None:
    """Wait until a run has recorded `number` candidates."""
    path = folder / "candidates.jsonl"
    deadline = time.monotonic() + 60
    while not path.exists() or path.read_bytes().count(b"\n") < number:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def contents(folder: Path) -> dict[str, Any]:
    """Everything a finished run holds that must not depend on interruptions; lines in any order."""
    lines = {name: sorted((folder / name).read_text().splitlines()) for name in REPEATABLE}
    exact = {name: (folder / name).read_text() for name in ("run.json", "problems.jsonl", "summary.json")}
    return {**lines, **exact}


def results(result: Result) -> list[dict[str, Any]]:
    """The records, without what a clock wrote, in the order of their ids."""
    for record in result.records:
        assert record["error"] is None
    kept = [{**record, "usage": {**record["usage"], "wall_seconds": None}} for record in result.records]
    return sorted(kept, key=lambda record: str(record["id"]))


@pytest.mark.timeout(600)
def test_killed_at_twenty_moments_the_folder_ends_as_if_never_interrupted(
    tts: Command, slow_recipe: Path, problems: Path, tmp_path: Path
) -> None:
    whole = tts("solve", problems, "-r", slow_recipe, "--run", "whole")
    rng = random.Random(20)
    kills = 0
    while kills < 20:
        folder = tmp_path / f"killed-{kills}"
        for _ in range(rng.choice([1, 1, 2, 3])):
            process = start("solve", problems, "-r", slow_recipe, "--run", folder, cwd=tmp_path)
            time.sleep(rng.uniform(0.2, 3.0))
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills += 1
        drawn = (folder / "candidates.jsonl").read_bytes() if (folder / "candidates.jsonl").exists() else b""
        resumed = tts("solve", problems, "-r", slow_recipe, "--run", folder)
        assert resumed.code == 0
        assert results(resumed) == results(whole)
        assert contents(folder) == contents(tmp_path / "whole")
        whole_lines = drawn[: drawn.rfind(b"\n") + 1]
        assert (folder / "candidates.jsonl").read_bytes().startswith(whole_lines)


def test_a_torn_line_is_drawn_again_and_nothing_else(
    tts: Command, recipe: Path, problems: Path, tmp_path: Path
) -> None:
    assert tts("solve", problems, "-r", recipe, "--run", "r").code == 0
    expected = contents(tmp_path / "r")
    for name in REPEATABLE:
        path = tmp_path / "r" / name
        path.write_bytes(path.read_bytes()[:-20])
    assert tts("solve", "--run", "r").code == 0
    assert contents(tmp_path / "r") == expected


def test_derived_files_can_be_deleted_and_come_back(tts: Command, recipe: Path, problems: Path, tmp_path: Path) -> None:
    first = tts("solve", problems, "-r", recipe, "--run", "r")
    expected = contents(tmp_path / "r")
    for name in ("selections.jsonl", "verdicts.jsonl", "summary.json"):
        (tmp_path / "r" / name).unlink()
    assert results(tts("solve", "--run", "r")) == results(first)
    assert contents(tmp_path / "r") == expected


def test_one_ctrl_c_keeps_what_was_drawn_and_says_how_to_resume(
    tts: Command, slow_recipe: Path, problems: Path, tmp_path: Path
) -> None:
    process = start("solve", problems, "-r", slow_recipe, "--run", "r", cwd=tmp_path)
    wait_for_candidates(tmp_path / "r", 20)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"resume with: tts solve --run r" in errors
    assert b"Traceback" not in errors
    drawn = len((tmp_path / "r" / "candidates.jsonl").read_text().splitlines())
    assert 20 <= drawn < NUM_PROBLEMS * NUM_CANDIDATES
    told = re.findall(rb"; candidates: (\d+) |not judged yet: (\d+) candidate", errors)
    assert sum(int(number) for pair in told for number in pair if number) == drawn
    resumed = tts("solve", "--run", "r")
    assert resumed.code == 0
    assert len(resumed.records) == NUM_PROBLEMS
    indices = [json.loads(line) for line in (tmp_path / "r" / "candidates.jsonl").read_text().splitlines()]
    assert len({(row["problem_id"], row["index"]) for row in indices}) == len(indices) == NUM_PROBLEMS * NUM_CANDIDATES


def test_a_second_ctrl_c_stops_at_once(recipe: Path, problems: Path, tmp_path: Path) -> None:
    recipe.write_text(recipe.read_text().replace("name: replay", "name: replay\n  delay_seconds: 0.1\n  batch_size: 2"))
    process = start("solve", problems, "-r", recipe, "--run", "r", cwd=tmp_path)
    wait_for_candidates(tmp_path / "r", 4)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130


def test_an_interrupted_pipe_loses_no_row_that_was_read(tts: Command, slow_recipe: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*TTS, "solve", "-r", slow_recipe, "--run", "r"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
        env=environment(),
    )
    assert process.stdin is not None
    process.stdin.write(rows((f"q{number}", "42") for number in range(9)).encode())
    process.stdin.flush()
    wait_for_candidates(tmp_path / "r", 4)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    process.stdin.close()
    resumed = tts("solve", "--run", "r")
    assert {record["id"] for record in resumed.records} == {f"q{number}" for number in range(9)}
    assert "interrupted while it read standard input" in resumed.err


def test_another_recipe_is_refused_with_what_changed(
    tts: Command, recipe: Path, problems: Path, tmp_path: Path
) -> None:
    tts("solve", problems, "-r", recipe, "--run", "r")
    before = contents(tmp_path / "r")
    refused = tts("solve", problems, "-r", recipe, "--run", "r", "--set", "sampler.temperature=0.5")
    assert refused.code == 2
    assert "sampler.temperature: 0.7 → 0.5" in refused.err
    assert contents(tmp_path / "r") == before


def test_another_selector_is_applied_to_the_stored_candidates(
    tts: Command, recipe: Path, problems: Path, tmp_path: Path
) -> None:
    voted = tts("solve", problems, "-r", recipe, "--run", "r")
    drawn = (tmp_path / "r" / "candidates.jsonl").read_bytes()
    first = tts("solve", problems, "-r", recipe, "--run", "r", "--set", "selector=first")
    assert first.code == 0
    assert {tuple(record["selection"]["weights"]) for record in voted.records} == {(2.0, 1.0)}
    assert {record["selection"]["num_abstained"] for record in first.records} == {1}
    assert json.loads((tmp_path / "r" / "run.json").read_text())["recipe"]["selector"]["name"] == "first"
    assert (tmp_path / "r" / "candidates.jsonl").read_bytes() == drawn


def test_other_problems_are_refused(tts: Command, recipe: Path, problems: Path, tmp_path: Path) -> None:
    tts("solve", problems, "-r", recipe, "--run", "r")
    (tmp_path / "other.jsonl").write_text(rows([("q0", "42"), ("z", "1")]))
    refused = tts("solve", "other.jsonl", "-r", recipe, "--run", "r")
    assert refused.code == 2
    assert "row 1 of the input is not the one" in refused.err


def test_an_engine_that_dies_leaves_its_work_and_the_rest_can_be_drawn(
    tts: Command, recipe: Path, problems: Path, tmp_path: Path
) -> None:
    text = recipe.read_text()
    recipe.write_text(text.replace("name: replay", "name: replay\n  crash_after: 50\n  batch_size: 8"))
    crashed = tts("solve", problems, "-r", recipe, "--run", "r")
    assert crashed.code == 3
    assert "Traceback" not in crashed.err
    assert "tts solve --run r" in crashed.err
    assert len((tmp_path / "r" / "candidates.jsonl").read_text().splitlines()) >= 40
    again = tts("solve", "--run", "r")  # the engine dies again, 50 candidates further on
    assert again.code == 3
    assert tts("solve", "--run", "r").code == 0


def test_failed_candidates_are_drawn_anew_only_when_asked(tts: Command, recipe: Path, tmp_path: Path) -> None:
    stored = tmp_path / "stored.jsonl"
    lines = [
        json.dumps({"problem_id": name, "index": index, "text": "\\boxed{42}"}) for name in "ab" for index in (0, 1)
    ]
    stored.write_text("\n".join(lines[:3]) + "\n")
    recipe.write_text(
        "task: math\nengine: {name: replay, source: ./stored.jsonl}\n"
        "sampler: {name: temperature, num_candidates: 2}\nselector: majority_vote\n"
    )
    text = rows([("a", "42"), ("b", "42")])
    assert tts("solve", "-r", recipe, "--run", "r", stdin=text).code == 1
    stored.write_text("\n".join(lines) + "\n")
    assert tts("solve", "--run", "r").code == 1
    again = tts("solve", "--run", "r", "--retry-errors")
    assert again.code == 0
    recorded = [json.loads(line) for line in (tmp_path / "r" / "candidates.jsonl").read_text().splitlines()]
    assert sorted((row["problem_id"], row["index"]) for row in recorded) == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    # What was paid for is the sum over all lines, those that were set aside among them, whoever adds it up.
    (aside,) = [json.loads(line) for line in (tmp_path / "r" / "superseded.jsonl").read_text().splitlines()]
    paid = {
        "num_calls": len(recorded) + 1,
        "prompt_tokens": sum(row["num_prompt_tokens"] for row in [*recorded, aside]),
        "written_tokens": sum(row["num_tokens"] for row in [*recorded, aside]),
    }
    graded = tts("grade", "r")
    for solved in (again.records, graded.records[:2]):
        engines = [record["usage"]["engines"]["engine"] for record in solved]
        assert {name: sum(one[name] for one in engines) for name in paid} == paid
    (report,) = tts("report", "r", "--json", "--embeddings", "none").records
    assert report["arms"][0]["cost"]["engines"] == {"engine": paid}


def test_a_run_folder_that_cannot_be_written_is_one_error(tts: Command, recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = tts("solve", "-r", recipe, "--run", "file/r", stdin=rows([("a", "42"), ("b", "41")]))
    assert result.code == 2
    assert result.err.startswith("tts: error: cannot use the run folder file/r")
    assert result.out == ""


def test_what_was_judged_while_candidates_were_missing_is_judged_anew(
    tts: Command, recipe: Path, problems: Path, tmp_path: Path
) -> None:
    assert tts("solve", problems, "-r", recipe, "--run", "whole").code == 0
    assert tts("solve", problems, "-r", recipe, "--run", "cut").code == 0
    lines = (tmp_path / "cut" / "candidates.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "cut" / "candidates.jsonl").write_bytes(b"".join(lines[:50]))
    assert tts("grade", "cut", "--write").code == 1  # problems without candidates
    assert tts("solve", "--run", "cut").code == 0
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_a_moved_job_goes_on_where_its_problems_are_the_same(tts: Command, recipe: Path, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    (here / "job.yaml").write_text("problems: ./p.jsonl\n" + recipe.read_text())
    (here / "p.jsonl").write_text(rows([("a", "42"), ("b", "41")]))
    assert tts("solve", "-r", here / "job.yaml", "--run", here / "run").code == 0
    here.rename(there)
    moved = tts("solve", "-r", there / "job.yaml", "--run", there / "run", "--set", "engine.batch_size=1")
    assert (moved.code, len(moved.records)) == (0, 2), moved.err
    assert json.loads((there / "run" / "run.json").read_text())["problems"] == str(there / "p.jsonl")
    (there / "p.jsonl").write_text(rows([("a", "42"), ("b", "7")]))
    (there / "q.jsonl").write_text(rows([("a", "42"), ("b", "41")]))
    assert tts("solve", there / "q.jsonl", "-r", there / "job.yaml", "--run", there / "run").code == 0
    changed = tts("solve", there / "p.jsonl", "-r", there / "job.yaml", "--run", there / "run")
    assert changed.code == 2
    assert "row 2 of the input is not the one" in changed.err


def test_a_folder_in_which_nothing_was_drawn_takes_the_corrected_recipe(
    tts: Command, recipe: Path, problems: Path
) -> None:
    broken = ("--set", "engine.script=null", "--set", "engine.source=nowhere.jsonl", "--set", "seed=1")
    assert tts("solve", problems, "-r", recipe, "--run", "r", "--set", "engine.crash_after=0").code != 0
    assert tts("solve", problems, "-r", recipe, "--run", "r", *broken).code == 2
    again = tts("solve", problems, "-r", recipe, "--run", "r", "--set", "seed=2", "--set", "sampler.num_candidates=2")
    assert (again.code, len(again.records)) == (0, NUM_PROBLEMS), again.err


def test_a_run_goes_on_to_the_limit_that_it_was_last_given(tts: Command, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(
        "task: math\nengine: {name: replay, script: ['\\boxed{1}'], delay_seconds: 0.3, batch_size: 1}\n"
        "sampler: {name: temperature, num_candidates: 1}\nselector: first\n"
    )
    (tmp_path / "rows.jsonl").write_text(rows((f"p{number}", "1") for number in range(12)))

    def drawn() -> int:
        return len((tmp_path / "run/candidates.jsonl").read_bytes().splitlines())

    assert tts("solve", "rows.jsonl", "-r", "r.yaml", "--run", "run", "--limit", "2").code == 0
    process = start("solve", "--run", "run", "--limit", "6", cwd=tmp_path)
    wait_for_candidates(tmp_path / "run", 4)
    process.kill()
    process.communicate()
    assert json.loads((tmp_path / "run/run.json").read_bytes())["limit"] == 6
    assert tts("solve", "--run", "run").code == 0
    assert drawn() == 6
    assert tts("solve", "rows.jsonl", "--run", "run").code == 0
    assert drawn() == 12
    assert json.loads((tmp_path / "run/run.json").read_bytes())["limit"] is None
