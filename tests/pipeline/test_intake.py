import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tts.errors import ProblemsError, RunFolderError
from tts.pipeline.intake import Intake
from tts.runs.files import AppendFile
from tts.types import InputRow, Message, Problem, ProblemRow, Reference, RowError

WAIT = 5.0


def row(name: str, answer: str | None = "1") -> ProblemRow:
    problem = Problem(
        name, f"What is {name}?", "math", (Message("user", "hi"),), ("x", "y"), {"level": 3, "tags": ["t"]}
    )
    return ProblemRow(problem, Reference(answer), 1)


BAD = RowError(2, None, "not_json", "broken")


def intake(path: Path, rows: Iterable[InputRow] | None, stop: threading.Event | None = None) -> Intake:
    thread = Intake(rows, AppendFile(path / "problems.jsonl"), stop or threading.Event())
    thread.start()
    return thread


def taken(thread: Intake) -> list[InputRow]:
    rows = []
    try:
        while not thread.exhausted:
            found = thread.take(WAIT)
            if found is not None:
                rows.append(found)
    finally:
        thread.close()
    return rows


def test_rows_come_out_as_they_went_in(tmp_path: Path) -> None:
    rows = [row("a"), BAD, row("b", None)]
    assert taken(intake(tmp_path, rows)) == rows


def test_stored_rows_are_all_where_no_input_is_given(tmp_path: Path) -> None:
    rows = [row("a"), BAD, row("b")]
    taken(intake(tmp_path, rows))
    assert taken(intake(tmp_path, None)) == rows


def test_the_same_input_again_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    rows = [row("a"), BAD, row("b")]
    taken(intake(tmp_path, rows))
    before = (tmp_path / "problems.jsonl").read_bytes()
    assert taken(intake(tmp_path, rows)) == rows
    assert (tmp_path / "problems.jsonl").read_bytes() == before


def test_more_input_is_added_behind_the_stored_rows(tmp_path: Path) -> None:
    taken(intake(tmp_path, [row("a")]))
    rows = [row("a"), row("b"), BAD]
    assert taken(intake(tmp_path, rows)) == rows
    assert taken(intake(tmp_path, None)) == rows


def test_another_input_is_refused_with_the_row(tmp_path: Path) -> None:
    taken(intake(tmp_path, [row("a"), row("b")]))
    with pytest.raises(RunFolderError, match="row 2 of the input is not the one that"):
        taken(intake(tmp_path, [row("a"), row("c")]))


def test_an_input_that_breaks_off_raises_once_its_rows_are_taken(tmp_path: Path) -> None:
    def broken() -> Iterator[InputRow]:
        yield row("a")
        raise ProblemsError("the file ended in the middle")

    thread = intake(tmp_path, broken())
    assert thread.take(WAIT) == row("a")
    with pytest.raises(ProblemsError, match="ended in the middle"):
        thread.take(WAIT)
    thread.close()


def test_a_row_is_there_before_the_next_one_is_read(tmp_path: Path) -> None:
    gate = threading.Event()

    def slow() -> Iterator[InputRow]:
        yield row("a")
        assert gate.wait(WAIT)
        yield row("b")

    thread = intake(tmp_path, slow())
    assert thread.take(WAIT) == row("a")
    assert thread.take(0.0) is None
    assert not thread.exhausted
    gate.set()
    assert taken(thread) == [row("b")]


def test_a_stopped_reading_leaves_no_end_mark_so_that_it_is_read_again(tmp_path: Path) -> None:
    stop = threading.Event()

    def endless() -> Iterator[InputRow]:
        number = 0
        while True:
            yield row(str(number))
            number += 1
            time.sleep(0.001)

    thread = intake(tmp_path, endless(), stop)
    assert thread.take(WAIT) == row("0")
    stop.set()
    thread.join(WAIT)
    assert not thread.is_alive()
    assert b'"end"' not in (tmp_path / "problems.jsonl").read_bytes()
    thread.close()
