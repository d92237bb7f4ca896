import math
import os
import resource
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts.errors import RunFolderError, RunWriteError
from tts.runs.files import AppendFile, StoredFile
from tts.runs.folder import Job, RunFolder, candidate_places, read_job
from tts.runs.records import Session, dumps
from tts.types import Candidate


def test_records_come_back_in_order_and_by_offset(tmp_path: Path) -> None:
    file = AppendFile(tmp_path / "a.jsonl")
    offsets = [file.append({"n": number, "text": "é" * number}) for number in range(5)]
    assert [(offset, record["n"]) for offset, record in file.records(dict)] == list(zip(offsets, range(5), strict=True))
    assert file.read(offsets[3], dict) == {"n": 3, "text": "ééé"}


def test_a_record_larger_than_one_read_block_comes_back_whole(tmp_path: Path) -> None:
    file = AppendFile(tmp_path / "a.jsonl")
    file.append({"n": 1})
    offset = file.append({"text": "x" * 300_000})
    file.append({"n": 2})
    assert file.read(offset, dict) == {"text": "x" * 300_000}


@settings(max_examples=100, derandomize=True)
@given(sizes=st.lists(st.sampled_from([0, 1, 9, 65525, 65526, 65527, 131_072, 200_000]), max_size=6), data=st.data())
def test_lines_are_found_in_any_order_and_while_the_file_grows(sizes: list[int], data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        file = AppendFile(Path(folder, "a.jsonl"))
        lines = [dumps({"t": "x" * size}) for size in sizes]
        offsets: list[int] = []
        for line in lines:
            offsets.append(file.append_lines(line))
            for place in data.draw(st.lists(st.integers(0, len(offsets) - 1), max_size=3)):
                assert file.line(offsets[place]) == lines[place]
        assert file.last_line() == (lines[-1].rstrip() if lines else b"")
        file.close()


@pytest.mark.parametrize("tail", [b'{"n": 2', b"\xc3", b'{"n": 2}', b"x" * 200_000])
def test_a_torn_last_line_is_cut_off(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"n": 0}\n{"n": 1}\n' + tail)
    file = AppendFile(path)
    file.append({"n": 7})
    assert path.read_bytes() == b'{"n": 0}\n{"n": 1}\n{"n":7}\n'.replace(b'{"n":7}', b'{"n": 7}')


def test_a_file_that_is_one_torn_line_becomes_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"n"')
    assert AppendFile(path).size == 0
    assert path.read_bytes() == b""


@pytest.mark.parametrize("what", ["moved", "removed", "another in its place"])
def test_a_folder_that_is_gone_is_noticed(tmp_path: Path, what: str) -> None:
    with RunFolder(tmp_path / "r") as folder:
        folder["candidates.jsonl"]._looked = math.inf  # as right after another line
        folder["candidates.jsonl"].append({"n": 1})
        (tmp_path / "r").rename(tmp_path / "away")
        if what == "removed":
            shutil.rmtree(tmp_path / "away")
        elif what == "another in its place":
            shutil.copytree(tmp_path / "away", tmp_path / "r")
        for write in (
            lambda: folder.write_summary({}),
            lambda: folder.write_job(name="x"),
            lambda: folder.note_session(Session(0, 1, True, 1, 1, 1)),
        ):
            with pytest.raises(RunWriteError, match="moved or removed while it was being written"):
                write()
        folder["candidates.jsonl"]._looked = 0.0  # a second later
        with pytest.raises(RunWriteError, match=r"candidates\.jsonl is not there any more"):
            folder["candidates.jsonl"].append({"n": 2})
    assert (tmp_path / "r").exists() == (what == "another in its place")


def test_damage_inside_a_file_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"n": 0}\n{"n": \n{"n": 2}\n')
    with pytest.raises(RunFolderError, match=r"a\.jsonl:2 cannot be read: "):
        list(AppendFile(path).records(dict))


def test_text_with_a_lone_surrogate_is_stored_and_read_back(tmp_path: Path) -> None:
    file = AppendFile(tmp_path / "a.jsonl")
    offset = file.append({"text": "a\ud800b"})
    assert file.read(offset, dict) == {"text": "a\ud800b"}


def test_a_second_writer_is_refused_until_the_first_has_gone(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from tts.runs.folder import RunFolder; RunFolder(Path(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(tmp_path)]
    with RunFolder(tmp_path):
        refused = subprocess.run(command, capture_output=True, text=True, check=False)
        assert refused.returncode == 1
        assert f"is being written by process {os.getpid()}" in refused.stderr
    assert subprocess.run(command, check=False).returncode == 0


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match=r"cannot use the run folder .*file/run.*--run DIR"):
        RunFolder(tmp_path / "file" / "run")


def test_a_folder_with_other_things_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(RunFolderError, match=r"no run folder.*thesis\.tex"):
        RunFolder(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def _fill_until_limit(path: str) -> None:
    """Write records until the file size limit stops it, as a full disk would."""
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
    file = AppendFile(Path(path))
    for number in range(10_000):
        file.append({"n": number, "pad": "x" * 100})


def test_a_full_disk_is_one_error_and_leaves_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); from test_run_folder import *; "
    call = "\ntry: _fill_until_limit(sys.argv[1])\nexcept RunWriteError as e: print(e)"
    result = subprocess.run(
        [sys.executable, "-c", code + "from test_run_folder import _fill_until_limit" + call, str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "cannot write" in result.stdout
    assert "File too large" in result.stdout
    content = path.read_bytes()
    assert content.endswith(b"\n")
    numbers = [record["n"] for _, record in AppendFile(path).records(dict)]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > 50


def test_run_json_of_another_format_is_refused(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as folder:
        folder.write_job(name="mine", recipe={}, problems="-", limit=None)
        folder.write_job(limit=3, host="here")
        assert read_job(tmp_path) == Job("mine", {}, "-", 3)
    (tmp_path / "run.json").write_text('{"format": 99}')
    with pytest.raises(RunFolderError, match="format 99; this version of tts reads format 1"):
        read_job(tmp_path)


def candidate(problem_id: str, index: int) -> Candidate:
    return Candidate(problem_id, index, "x", None, "stop", 1, 1, None, None, None, 0, "temperature")


def test_candidates_set_aside_move_to_their_own_file_and_derived_files_go(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as folder:
        for problem_id in ("a", "b"):
            for index in range(2):
                folder["candidates.jsonl"].append(candidate(problem_id, index))
        folder["verdicts.jsonl"].append({"problem_id": "b"})
        assert folder.set_aside(lambda key: key.problem_id == "a") == 2
        assert set(folder.recorded()) == {"b"}
        assert [one.problem_id for _, one in folder["superseded.jsonl"].records(Candidate)] == ["a", "a"]
        assert not (tmp_path / "verdicts.jsonl").exists()
        assert folder.set_aside(lambda _: False) == 0


def test_write_errors_are_kept_apart_from_wrong_commands() -> None:
    assert RunWriteError.exit_code == 3
    assert RunFolderError.exit_code == 2


def lines_of(folder: Path, *candidates: Candidate) -> Path:
    path = folder / "candidates.jsonl"
    path.write_bytes(b"".join(map(dumps, candidates)))
    return path


def test_a_candidate_that_is_there_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    path = lines_of(tmp_path, candidate("a", 0), candidate("a", 1), candidate("a", 0))
    with pytest.raises(RunFolderError, match=r"candidates\.jsonl:3 holds candidate 0 of problem 'a' again"):
        candidate_places(StoredFile(path))


@pytest.mark.parametrize("change", [{"index": -1}, {"num_tokens": -5}, {"num_prompt_tokens": 2**64 - 1}])
def test_a_number_that_no_engine_counts_is_refused_with_its_line(tmp_path: Path, change: dict[str, int]) -> None:
    path = lines_of(tmp_path, candidate("a", 0), replace(candidate("a", 1), **change))
    with pytest.raises(RunFolderError, match=r"candidates\.jsonl:2 cannot be read: .* must be from 0 to"):
        candidate_places(StoredFile(path))


@pytest.mark.parametrize("name", ["run.json", "candidates.jsonl", "superseded.jsonl", "problems.jsonl", "scores.jsonl"])
def test_a_folder_or_a_dangling_link_in_place_of_a_file_is_one_clear_error(tmp_path: Path, name: str) -> None:
    with RunFolder(tmp_path / "r") as folder:
        folder.write_job(name="mine", recipe={}, problems="-", limit=None)
    (tmp_path / "r" / name).unlink(missing_ok=True)
    (tmp_path / "r" / name).mkdir()
    with pytest.raises(RunFolderError, match=rf"cannot (open|read) .*{name}"):
        read_job(tmp_path / "r") if name == "run.json" else StoredFile(tmp_path / "r" / name)
    (tmp_path / "r" / name).rmdir()
    (tmp_path / "r" / "run.json").unlink(missing_ok=True)
    (tmp_path / "r" / "run.json").symlink_to(tmp_path / "gone")
    with pytest.raises(RunFolderError, match=r"cannot read .*run\.json"):
        read_job(tmp_path / "r")


def test_setting_aside_again_after_a_crash_counts_nothing_twice(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as folder:
        folder["candidates.jsonl"].append(candidate("a", 0), candidate("b", 0))
        (line,) = [dumps(candidate("a", 0))]
        (tmp_path / "superseded.jsonl").write_bytes(line)  # what a crash between the two writes leaves
        (tmp_path / "candidates.jsonl.partial").write_bytes(dumps(candidate("b", 0)))
        assert folder.set_aside(lambda key: key.problem_id == "a") == 1
        assert (tmp_path / "superseded.jsonl").read_bytes() == line
        assert set(folder.recorded()) == {"b"}
        folder["candidates.jsonl"].append(candidate("a", 0))
        assert folder.set_aside(lambda key: key.problem_id == "a") == 1
        assert (tmp_path / "superseded.jsonl").read_bytes() == 2 * line  # drawn and set aside once more


def test_a_lone_surrogate_in_the_job_is_written_and_read_back(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as folder:
        folder.write_job(name="a\ud800", recipe={}, problems="-", limit=None)
    assert read_job(tmp_path) == Job("a\ud800", {}, "-", None)
