"""Files and pipes in every form: read, or refused in one message that says what they are."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import sys
from collections.abc import Callable
from typing import Any

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from tts.errors import MissingExtraError, ProblemsError
from tts.problems.formats import read_records
from tts.problems.jsonl import Row
from tts.types import RowError

KEYS = ("problem", "question")
TWO = [{"id": "a", "problem": "6*7?", "answer": "42"}, {"id": "b", "problem": "Größe,\n«1/2»?", "answer": "0.50"}]


def lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def table(rows: list[dict[str, Any]], delimiter: str = ",") -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def columns(rows: list[dict[str, Any]]) -> bytes:
    file = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    return file.getvalue()


FORMS: dict[str, Callable[[list[dict[str, Any]]], bytes]] = {
    "lines": lines,
    "array": lambda rows: json.dumps(rows).encode(),
    "array of lines": lambda rows: b"[" + lines(rows).replace(b"\n", b",\n").rstrip(b",\n") + b"\n]\n",
    "pretty array": lambda rows: json.dumps(rows, indent=2, ensure_ascii=False).encode(),
    "comma": table,
    "tabulator": lambda rows: table(rows, "\t"),
    "semicolon": lambda rows: table(rows, ";"),
    "parquet": columns,
}
WRAPPINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "byte order mark": lambda content: b"\xef\xbb\xbf" + content,
    "gzip": gzip.compress,
    "zstd": lambda content: pyarrow.compress(content, codec="zstd", asbytes=True),
    "gzip twice": lambda content: gzip.compress(gzip.compress(content)),
}


class Trickle(io.RawIOBase):
    """A pipe from which a byte comes at a time."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._content.read(1)
        buffer[: len(block)] = block
        return len(block)


def read(content: bytes) -> list[Row | RowError]:
    return list(read_records(io.BytesIO(content), "it", KEYS))


def values(content: bytes) -> list[dict[str, Any]]:
    found = read(content)
    assert all(isinstance(row, Row) for row in found), found
    return [dict(row.values) for row in found if isinstance(row, Row)]


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_told_by_its_first_bytes(form: str, wrapping: str) -> None:
    if (form, wrapping) == ("parquet", "byte order mark"):
        return  # binary files have none
    content = WRAPPINGS[wrapping](FORMS[form](TWO))
    assert values(content) == TWO
    trickled = list(read_records(io.BufferedReader(Trickle(content)), "it", KEYS))
    assert trickled == read(content)


rows_of_text = st.lists(
    st.fixed_dictionaries({"id": st.text(min_size=1), "problem": st.text(min_size=1)}), min_size=1, max_size=4
)


@given(rows_of_text, st.sampled_from(sorted(FORMS)), st.sampled_from(sorted(WRAPPINGS)))
def test_whatever_is_written_comes_back(rows: list[dict[str, str]], form: str, wrapping: str) -> None:
    try:
        content = FORMS[form](rows)
    except UnicodeEncodeError:  # a lone surrogate, which this form cannot hold
        return
    if form in {"comma", "tabulator", "semicolon"}:
        rows = [{key: value for key, value in row.items() if value} for row in rows]
        if any("\0" in value for row in rows for value in row.values()):
            return
    if (form, wrapping) == ("parquet", "byte order mark"):
        return
    found = read(WRAPPINGS[wrapping](content))
    assert len(found) == len(rows)
    for row, given_row in zip(found, rows, strict=True):
        assert isinstance(row, RowError) or row.values == given_row


@given(st.binary(max_size=200))
def test_any_bytes_are_rows_or_one_error(content: bytes) -> None:
    try:
        found = read(content)
    except ProblemsError as error:
        said = str(error)
    else:
        said = "it was read"
        num_lines = sum(bool(line.strip()) for line in content.removeprefix(b"\xef\xbb\xbf").split(b"\n"))
        assert len(found) <= max(num_lines, content.count(b"\r") + num_lines)
    assert said.startswith("it ")
    assert "\n" not in said


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (lzma.compress(lines(TWO)), "compressed by xz: unpack it"),
        (bz2.compress(lines(TWO)), "compressed by bzip2"),
        (lines(TWO).decode().encode("utf-16"), "UTF-16 text: re-encode it"),
        (lines(TWO).decode().encode("utf-32"), "UTF-32 text"),
        (b"PK\x03\x04rest", "a zip archive"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"\x01\x02\x00\x03", "binary data of a kind unknown here"),
        (b"<!DOCTYPE html>\n<html></html>", "HTML, not JSON lines"),
        (b"- problem: x\n  answer: 2\n", "YAML, not JSON lines"),
        (b"name,answer\nx,2\n", "a table without a header that names `problem`, `question`"),
        (b"What is 6*7?\nWhat is 5*8?\n", "text, not JSON lines: write one JSON object a line"),
        (b"\n".join(json.dumps(row, indent=1).encode() for row in TWO), "JSON over several lines"),
        (json.dumps(TWO).encode()[:-9], "no whole JSON array"),
        (b'[{"problem": "x"}]\n{"problem": "y"}\n', "no whole JSON array"),
        (b'{"line": 1, "problem": {"id": "a"}, "reference": {}}\n', "the problems.jsonl of a run folder"),
        (b'{"problem_id": "a", "text": "42"}\n', "holds candidates, not problems"),
        (b"problem,problem\nx,y\n", "each column once"),
        (gzip.compress(lines(TWO), mtime=0)[:-12], "cannot be read to its end"),
        (b"PAR1 and nothing more", "a Parquet file that cannot be read"),
    ],
)
def test_the_rest_is_called_by_its_name(content: bytes, says: str) -> None:
    with pytest.raises(ProblemsError, match=f"^it .*{says}"):
        read(content)


def test_bad_rows_at_the_beginning_do_not_make_lines_another_format() -> None:
    for start in (b"garbage\n", b"{\n", b"[]\n", b"[1, 2]\n", b"null\n", b"\xff\n", b"a,b\n<x>\n", b"[unclosed\n"):
        found = read(start + lines(TWO))
        assert [row.values["id"] for row in found if isinstance(row, Row)] == ["a", "b"], start
        assert len(found) == 2 + start.count(b"\n"), start


def test_bad_rows_of_other_forms_are_told_by_their_number() -> None:
    array = b'[{"problem": "x"}, 7, {"problem": "y", "v": NaN}, {"problem": "z"}]'
    kinds = [row.error_type if isinstance(row, RowError) else row.line for row in read(array)]
    assert kinds == [1, "not_an_object", "bad_number", 4]
    cells = b'id,problem\na,"x\ny"\nb,x,y\nc,caf\xe9\nd,\n'
    told = [(row.line, row.error_type if isinstance(row, RowError) else row.values) for row in read(cells)]
    assert told == [(2, {"id": "a", "problem": "x\ny"}), (4, "bad_csv"), (5, "not_utf8"), (6, {"id": "d"})]


def test_what_reads_them_may_be_missing_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    contents = [columns(TWO), pyarrow.compress(lines(TWO), codec="zstd", asbytes=True)]
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for content in contents:
        with pytest.raises(MissingExtraError, match=r"pip install .*\[datasets\]'"):
            read(content)
    assert values(table(TWO)) == TWO
