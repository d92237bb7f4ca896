"""What run.json says, and whether a folder goes on with another recipe."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts.components import registry
from tts.errors import RunFolderError
from tts.recipe import Recipe, changes_no_candidate, differences, rebuild_recipe
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
        folder["candidates.jsonl"].append(candidate("a", 0))
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
        folder["candidates.jsonl"].append(candidate("a", 0))
        with pytest.raises(RunFolderError, match=r"(?s)Changed:\n.*temperature.*another --run DIR"):
            job.prepare(folder, recipe("sampler.temperature=0.1"), "-", None)


CHANGES = {  # an override → whether a run may go on with it
    "engine.batch_size=3": True,
    "engine.delay_seconds=0.5": True,
    "engine.crash_after=7": True,
    "problems=elsewhere/p.jsonl": True,
    "description=another word": True,
    "selector=first": True,
    "task.verifier={name: math, workers: 1}": True,
    "engine.script=[y]": False,
    "engine.failures=[{problem_id: a, index: 0}]": False,
    "sampler.temperature=0.1": False,
    "sampler.num_candidates=3": False,
    "task.system=Be brief.": False,
    "seed=1": False,
}


@settings(max_examples=60, derandomize=True)
@given(st.sets(st.sampled_from(sorted(CHANGES)), max_size=5), st.booleans())
def test_a_run_goes_on_exactly_if_no_candidate_could_be_another(overrides: set[str], drawn: bool) -> None:
    with TemporaryDirectory() as path, RunFolder(Path(path)) as folder:
        job.prepare(folder, recipe(), "p.jsonl", None)
        if drawn:
            folder["candidates.jsonl"].append(candidate("a", 0))
        changed = recipe(*sorted(overrides))
        if drawn and not all(CHANGES[one] for one in overrides):
            with pytest.raises(RunFolderError, match="holds a run of another recipe"):
                job.prepare(folder, changed, "p.jsonl", None)
        else:
            job.prepare(folder, changed, "p.jsonl", None)
            found = read_job(folder.path)
            assert found is not None
            assert {**found.recipe, "description": ""} == {**changed.resolved(), "description": ""}


@pytest.mark.parametrize(("scope", "goes_on"), [("prompt", True), ("shared", False)])
def test_where_problems_share_a_distiller_the_batch_decides_who_learns_from_whom(scope: str, goes_on: bool) -> None:
    drawn, asked = (recipe(f"sampler.scope={scope}", *more, sampler="esamp") for more in ([], ["engine.batch_size=3"]))
    changes = differences(drawn.resolved(), asked.resolved())
    assert changes_no_candidate(changes, asked) is goes_on


@pytest.mark.parametrize("name", registry.names("engines"))
def test_circumstances_are_keys(name: str) -> None:
    engine = registry.load("engines", name)
    assert engine.circumstances <= engine.model_fields.keys()


def test_a_folder_in_which_nothing_was_drawn_takes_other_problems(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as folder:
        job.prepare(folder, recipe(), "wrong.jsonl", 1)
        folder["problems.jsonl"].append({"end": 0})
        job.prepare(folder, recipe(), "right.jsonl", 2)
        assert not (tmp_path / "problems.jsonl").exists()
        folder["problems.jsonl"].append({"end": 0})
        job.prepare(folder, recipe("seed=1"), "right.jsonl", 2, rows_come=False)
        assert (tmp_path / "problems.jsonl").exists()
        found = read_job(tmp_path)
    assert found is not None
    assert (found.problems, found.limit, found.recipe["seed"]) == ("right.jsonl", 2, 1)


def test_rows_come_from_where_the_recipe_moved_unless_they_came_from_elsewhere(tmp_path: Path) -> None:
    old, moved = recipe("problems=/old/p.jsonl"), recipe("problems=/new/p.jsonl")
    for given_as, expected in (("/old/p.jsonl", "/new/p.jsonl"), ("other.jsonl", "other.jsonl")):
        with RunFolder(tmp_path / expected.replace("/", "-")) as folder:
            job.prepare(folder, old, given_as, None)
            folder["candidates.jsonl"].append(candidate("a", 0))
            found = job.stored(folder.path)
            assert found is not None
            assert (found.problems_for(moved), found.problems_for(old)) == (expected, given_as)
            assert (found.reads_anew(moved), found.reads_anew(old)) == (expected != given_as, False)


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


def test_runs_that_begin_together_get_a_folder_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with ThreadPoolExecutor(20) as threads:
        claimed = list(threads.map(lambda _: job.claim_path("r"), range(60)))
    assert len(set(claimed)) == 60
    assert sorted(path.name for path in claimed) == sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert len(job.claim_path("ä" * 200).name.encode()) < 200


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(RunFolderError, match="cannot make"):
        job.claim_path("r")
