from __future__ import annotations

import gzip
import io
import json
import os
import pty
from pathlib import Path

import pytest

from tts.errors import ProblemsError
from tts.problems import ProblemSource, named_problem_sets, open_problems
from tts.types import Kind, ProblemRow, RowError

TWO_ROWS = b'{"id": "a", "problem": "p", "answer": 1}\n{"id": "b", "problem": "q"}\n'


def open_source(spec: str | None, stdin: bytes = b"") -> ProblemSource:
    return open_problems(spec, default_kind="math", seed=0, stdin=io.BytesIO(stdin))


def ids(spec: str | None, stdin: bytes = b"") -> list[str]:
    with open_source(spec, stdin) as source:
        return [row.problem.id for row in source if isinstance(row, ProblemRow)]


@pytest.mark.parametrize("spec", [None, "-"])
def test_no_specification_and_a_dash_are_standard_input(spec: str | None) -> None:
    assert ids(spec, TWO_ROWS) == ["a", "b"]


def test_standard_input_stays_open() -> None:
    stdin = io.BytesIO(TWO_ROWS)
    with open_problems("-", default_kind="math", seed=0, stdin=stdin) as source:
        next(iter(source))
    assert not stdin.closed


def test_waiting_for_a_keyboard_has_to_be_asked_for() -> None:
    controller, terminal = pty.openpty()
    with os.fdopen(controller, "wb"), os.fdopen(terminal, "rb") as keyboard:
        with pytest.raises(ProblemsError, match="No problems were given"):
            open_problems(None, default_kind="math", seed=0, stdin=keyboard)
        assert open_problems("-", default_kind="math", seed=0, stdin=keyboard).label == "standard input"


@pytest.mark.parametrize("name", ["problems.jsonl", "noextension", "sp ace.JSONL"])
def test_a_path_is_read_as_json_lines(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(TWO_ROWS)
    assert ids(str(tmp_path / name)) == ["a", "b"]


def test_a_gzipped_file_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "problems.jsonl.gz"
    path.write_bytes(gzip.compress(TWO_ROWS))
    assert ids(str(path)) == ["a", "b"]


def test_the_home_folder_may_be_abbreviated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.jsonl").write_bytes(TWO_ROWS)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ids("~/mine.jsonl") == ["a", "b"]


def test_a_name_means_the_set_and_a_path_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "quickstart").write_bytes(TWO_ROWS)
    monkeypatch.chdir(tmp_path)
    assert ids("quickstart")[:2] == ["arith-01", "arith-02"]
    assert ids("./quickstart") == ["a", "b"]


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("quickstrat", "Did you mean `quickstart`"),
        ("gsm_8k", "Did you mean `gsm8k`"),
        ("/no/such/file.jsonl", "There is no such file"),
        ("", "a folder"),
        ("/", "a folder of data files is hf:///"),
        ("nul\0byte", "null byte"),
    ],
)
def test_what_is_not_there_is_an_error_before_the_first_row(spec: str, says: str) -> None:
    with pytest.raises(ProblemsError, match=says):
        open_source(spec)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ProblemsError) as caught:
        open_source("zzz")
    assert all(known.name in str(caught.value) for known in named_problem_sets())


@pytest.mark.parametrize("num_rows", [50, 100_000])
def test_a_broken_archive_is_an_error_that_names_the_file(tmp_path: Path, num_rows: int) -> None:
    path = tmp_path / "broken.jsonl.gz"
    path.write_bytes(gzip.compress(TWO_ROWS * num_rows)[:-20])
    with pytest.raises(ProblemsError, match=r"broken\.jsonl\.gz cannot be read"), open_source(str(path)) as source:
        list(source)


@pytest.mark.filterwarnings("error::ResourceWarning")
def test_a_source_closes_itself_when_nobody_reads_on(tmp_path: Path) -> None:
    path = tmp_path / "problems.jsonl"
    path.write_bytes(TWO_ROWS)
    assert len(list(open_source(str(path)))) == 2
    for row in open_source(str(path)):
        assert row.line == 1
        break


def test_closing_twice_and_before_the_first_row_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "problems.jsonl"
    path.write_bytes(TWO_ROWS)
    source = open_source(str(path))
    source.close()
    source.close()


def test_the_named_sets_are_described_and_the_bundled_ones_have_that_many_problems() -> None:
    known = {known.name: known for known in named_problem_sets()}
    mathematics = {"quickstart", "aime_2024", "aime_2025", "math_500", "gsm8k", "gpqa_diamond"}
    assert set(known) == mathematics | {"creative", "humaneval", "mbpp", "livecodebench"}
    assert all(entry.description and entry.num_problems > 0 for entry in known.values())
    for name in [name for name, entry in known.items() if entry.source == "bundled"]:
        with open_source(name) as source:
            assert len(list(source)) == known[name].num_problems == source.num_rows


def test_rows_come_out_while_the_writer_is_still_there(tmp_path: Path) -> None:
    path = tmp_path / "pipe.jsonl"
    os.mkfifo(path)
    writer = os.open(path, os.O_RDWR)
    os.write(writer, TWO_ROWS)
    with open_source(str(path)) as source:
        rows = iter(source)
        assert [next(rows).line, next(rows).line] == [1, 2]
    os.close(writer)


PUBLIC_SETS: dict[str, tuple[Kind, int]] = {
    "aime_2024": ("math", 30),
    "aime_2025": ("math", 30),
    "creative_prompts": ("text", 20),
    "gsm8k_test": ("math", 1319),
    "math500": ("math", 500),
}


@pytest.mark.parametrize("name", PUBLIC_SETS)
def test_every_row_of_a_public_benchmark_is_a_problem(shared_data: Path, name: str) -> None:
    kind, size = PUBLIC_SETS[name]
    path = shared_data / f"{name}.jsonl"
    with open_problems(str(path), default_kind=kind, seed=0, stdin=io.BytesIO()) as source:
        rows = list(source)
    assert [row for row in rows if isinstance(row, RowError)] == []
    assert len(rows) == size
    originals = [json.loads(line) for line in path.read_text().splitlines()]
    for row, original in zip(rows, originals, strict=True):
        assert isinstance(row, ProblemRow)
        assert row.problem.kind == kind
        assert row.problem.id == original["id"]
        assert row.reference.answer == original["answer"]
        assert row.reference.tests == original.get("tests")
