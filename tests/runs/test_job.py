"""What run.json says, and whether a folder goes on with another recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from tts.errors import RunFolderError
from tts.recipe import Recipe, rebuild_recipe
from tts.runs import job
from tts.runs.folder import RunFolder, read_job
from tts.types import Candidate


def recipe(*overrides: str, sampler: str = "temperature") -> Recipe:
    engine = (
        {"name": "transformers", "model": "nobody/nothing"}
        if sampler == "esamp"
        else {"name": "replay", "script": ["x"]}
    )
    return rebuild_recipe(
        {
            "task": "math",
            "engine": engine,
            "sampler": {"name": sampler, "num_candidates": 2},
            "selector": "majority_vote",
        },
        overrides,
        name="mine",
    )


def candidate(problem_id: str, index: int, finish: str = "stop") -> Candidate:
    error = "broken" if finish == "error" else None
    return Candidate(problem_id, index, "x", None, finish, 1, 1, None, None, None, 0, "s", error=error)  # type: ignore[arg-type]  # a literal


def test_a_new_folder_gets_its_job(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "r") as folder:
        job.prepare(folder, recipe(), "problems.jsonl", 3)
        found = read_job(folder.path)
    assert found is not None
    assert (found.name, found.problems, found.limit) == ("mine", "problems.jsonl", 3)
    assert found.recipe == recipe().resolved()


def test_a_later_stage_may_change_and_what_it_derived_goes(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as folder:
        job.prepare(folder, recipe(), "-", None)
        folder["verdicts.jsonl"].append({"problem_id": "a"})
        job.prepare(folder, recipe(), "-", None)
        assert (tmp_path / "verdicts.jsonl").exists()  # nothing changed
        job.prepare(folder, recipe("selector=first"), "-", None)
        assert not (tmp_path / "verdicts.jsonl").exists()
        found = read_job(tmp_path)
    assert found is not None
    assert found.recipe["selector"] == {"name": "first"}


def test_any_other_change_is_refused_with_what_changed(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as folder:
        job.prepare(folder, recipe(), "-", None)
        with pytest.raises(RunFolderError, match=r"(?s)Changed:\n.*temperature.*another --run DIR"):
            job.prepare(folder, recipe("sampler.temperature=0.1"), "-", None)


def test_the_stored_job_is_taken_where_none_is_named(tmp_path: Path) -> None:
    assert job.stored(None) is None
    assert job.stored(tmp_path) is None
    with RunFolder(tmp_path) as folder:
        job.prepare(folder, recipe(), "-", None)
        folder["problems.jsonl"].append({"error": {"line": 1, "problem_id": None, "error_type": "x", "message": "y"}})
        cut = job.stored(tmp_path)
        folder["problems.jsonl"].append({"end": 1})
        whole = job.stored(tmp_path)
    assert cut is not None
    assert whole is not None
    assert (cut.input_complete, whole.input_complete) == (False, True)
    again = job.recipe_of(whole, None, ["selector=first"])
    assert again.resolved()["selector"] == {"name": "first"}
    assert job.recipe_of(None, None, []).name == "quickstart"


def redrawn(folder: RunFolder, sampler: str, *, retry_errors: bool) -> set[tuple[str, int]]:
    """What is to be drawn anew of: `a` whole, `b` with a failed candidate, `c` with one missing."""
    lines = [candidate("a", 0), candidate("a", 1), candidate("b", 0), candidate("b", 1, "error"), candidate("c", 0)]
    folder["candidates.jsonl"].append(*lines)
    number = job.redraw(folder, recipe(sampler=sampler), retry_errors=retry_errors)
    kept = {(name, index) for name, places in folder.recorded().items() for index in places}
    gone = {(one.problem_id, one.index) for one in lines} - kept
    assert len(gone) == number
    return gone


@pytest.mark.parametrize(
    ("sampler", "retry_errors", "expected"),
    [
        ("temperature", False, set()),
        ("temperature", True, {("b", 1)}),
        ("esamp", False, {("c", 0)}),  # its candidates influence each other: an unfinished group goes whole
        ("esamp", True, {("b", 0), ("b", 1), ("c", 0)}),
    ],
)
def test_failed_candidates_and_unfinished_groups_are_set_aside(
    tmp_path: Path, sampler: str, retry_errors: bool, expected: set[tuple[str, int]]
) -> None:
    with RunFolder(tmp_path) as folder:
        assert redrawn(folder, sampler, retry_errors=retry_errors) == expected
