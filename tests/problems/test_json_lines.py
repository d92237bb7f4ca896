from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from typing import BinaryIO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.problems import jsonl, read_rows
from tts.types import ProblemRow, RowError

GOOD = b'{"id": "good", "problem": "p"}\n'


def error_beside_good(line: bytes) -> RowError:
    """Return the error of `line`, and check that the row after it is read none the worse."""
    error, row = read_rows(io.BytesIO(line + b"\n" + GOOD), "math")
    assert isinstance(row, ProblemRow)
    assert (row.problem.id, row.line) == ("good", 2)
    assert isinstance(error, RowError)
    assert error.line == 1
    return error


def problems(content: bytes) -> list[ProblemRow]:
    rows = list(read_rows(io.BytesIO(content), "math"))
    assert all(isinstance(row, ProblemRow) for row in rows), rows
    return cast("list[ProblemRow]", rows)


@pytest.mark.parametrize(
    ("line", "error_type", "says"),
    [
        (b"{bad", "not_json", "column 2"),
        (b"{'problem': 'x'}", "not_json", "double quotes"),
        (b'{"problem": "x"} {"problem": "y"}', "not_json", "Extra data"),
        (b'{"problem": "x"', "not_json", "one object a line"),
        (b'{"problem": "x\ty"}', "not_json", "control character"),
        (b"[]", "not_an_object", "got []"),
        (b'"text"', "not_an_object", 'got "text"'),
        (b"null", "not_an_object", "got null"),
        (b"NaN", "not_an_object", "got NaN"),
        (b'{"id": "a", "problem": "x", "problem": "y"}', "duplicate_key", '"problem" twice'),
        (b'{"id": "a", "problem": "x", "m": {"k": [{"d": 1, "d": 1}]}}', "duplicate_key", '"d" twice'),
        (b'{"id": "a", "problem": "x", "v": NaN}', "bad_number", "null or a string"),
        (b'{"id": "a", "problem": "x", "v": [-Infinity]}', "bad_number", "null or a string"),
        (b'{"id": "a", "problem": "x", "answer": 1e999}', "bad_number", "null or a string"),
        (b'{"problem": "x", "v": ' + b"9" * 5000 + b"}", "bad_number", "as a string"),
        (b'{"id": "a", "problem": "\\ud800"}', "lone_surrogate", "\\ud800"),
        (b'{"id": "a", "problem": "x", "\\udfff": 1}', "lone_surrogate", "\\udfff"),
        (b'{"id": "a\\ud800", "problem": "x"}', "lone_surrogate", "\\ud800"),
        (b'{"problem": "caf\xe9"}', "not_utf8", "0xe9 at position 17"),
        (b"\xff\xfe{\x00}\x00", "not_utf8", "0xff at position 1"),
        (b"[" * 100_000, "nested_too_deep", "100 deep"),
        (b'{"id": "a", "problem": "x", "v": ' + b"[" * 200 + b"]" * 200 + b"}", "nested_too_deep", "100 deep"),
    ],
)
def test_a_line_that_is_no_row_says_what_is_wrong_with_it(line: bytes, error_type: str, says: str) -> None:
    error = error_beside_good(line)
    assert error.error_type == error_type
    assert says in error.message
    assert error.problem_id == ("a" if b'"id": "a",' in line else None)


def test_an_error_record_can_always_be_written_out() -> None:
    for line in (b'"\\ud800"', b'{"problem": "\\ud800"}', b'{"\\ud800": 1, "\\ud800": 2}', b'{"problem": ["\\u0000"]}'):
        error = error_beside_good(line)
        error.message.encode()
        assert len(error.message) < 300


def test_a_byte_order_mark_crlf_and_a_missing_last_line_end_are_no_matter() -> None:
    rows = problems(b'\xef\xbb\xbf{"problem": "one"}\r\n\r\n{"problem": "two\xe2\x80\xa8three"}')
    assert [(row.line, row.problem.prompt) for row in rows] == [(1, "one"), (3, "two\u2028three")]


def test_a_byte_order_mark_elsewhere_is_an_error() -> None:
    good, error = read_rows(io.BytesIO(GOOD + b'\xef\xbb\xbf{"problem": "x"}'), "math")
    assert isinstance(good, ProblemRow)
    assert isinstance(error, RowError)
    assert error.error_type == "not_json"


@pytest.mark.parametrize("content", [b"", b"\n", b"\xef\xbb\xbf", b" \r\n\t\n"])
def test_nothing_in_gives_nothing_out(content: bytes) -> None:
    assert problems(content) == []


def test_nesting_is_kept_up_to_the_limit() -> None:
    value = b"[" * 99 + b"]" * 99
    first, second = problems(b'{"problem": "x", "v": ' + value + b"}\n" + GOOD)
    assert json.dumps(first.problem.metadata["v"]).encode() == value
    assert second.problem.id == "good"


def test_lines_of_megabytes_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl, "MAX_LINE_BYTES", 8 * 2**20)
    prompt = "x" * (4 * 2**20)
    first, second = problems(json.dumps({"problem": prompt}).encode() + b"\n" + GOOD)
    assert first.problem.prompt == prompt
    assert second.line == 2


@pytest.mark.parametrize("length", [101, 102, 150, 199, 200, 201, 1000])
def test_a_line_over_the_limit_is_skipped_to_its_end(monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    monkeypatch.setattr(jsonl, "MAX_LINE_BYTES", 100)
    error = error_beside_good(b"x" * length)
    assert error.error_type == "line_too_long"


def test_a_line_of_exactly_the_limit_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    line = b'{"problem": "' + b"x" * 85 + b'"}'
    monkeypatch.setattr(jsonl, "MAX_LINE_BYTES", 100)
    assert len(line) == 100
    assert [row.line for row in problems(line + b"\n" + GOOD)] == [1, 2]
    assert [row.line for row in problems(GOOD + line)] == [1, 2]


def test_rows_come_out_while_the_stream_is_still_open() -> None:
    class Pipe(io.BytesIO):
        """A stream that tells how far it was read."""

    stream = Pipe(GOOD + b'{"id": "later", "problem": "q"}\n')
    rows: Iterator[ProblemRow | RowError] = read_rows(cast("BinaryIO", stream), "math")
    next(rows)
    assert stream.tell() == len(GOOD)
    assert len(list(rows)) == 1


@given(st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line), max_size=8))
def test_any_bytes_give_one_record_for_each_line_that_is_not_blank(lines: list[bytes]) -> None:
    records = list(read_rows(io.BytesIO(b"\n".join(lines)), "math"))
    contents = [lines[0].removeprefix(b"\xef\xbb\xbf"), *lines[1:]] if lines else []
    assert [record.line for record in records] == [i for i, line in enumerate(contents, 1) if line.strip()]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text("ab 1\ud800é\0", max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=4),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["id", "problem", "prompt", "question", "messages", "answer", "tests", "choices", "options", "kind", "x"]
)


@given(st.lists(st.dictionaries(KEYS, JSON_VALUES | st.sampled_from(["p", "math", "A"])), max_size=4))
def test_any_rows_give_records_that_can_be_written_out_with_unique_ids(rows: list[dict[str, object]]) -> None:
    records = list(read_rows(io.BytesIO("\n".join(map(json.dumps, rows)).encode()), "math"))
    assert [record.line for record in records] == list(range(1, len(rows) + 1))
    good = [record for record in records if isinstance(record, ProblemRow)]
    assert len({row.problem.id for row in good}) == len(good)
    for row in good:
        json.dumps([row.problem.prompt, dict(row.problem.metadata)], ensure_ascii=False, allow_nan=False).encode()
    for error in (record for record in records if isinstance(record, RowError)):
        error.message.encode()


def test_deep_nesting_is_caught_however_deep_the_reader_already_is() -> None:
    def at_depth(depth: int) -> str:
        return at_depth(depth - 1) if depth else error_beside_good(b"[" * 100_000).error_type

    assert at_depth(sys.getrecursionlimit() // 4) == "nested_too_deep"
