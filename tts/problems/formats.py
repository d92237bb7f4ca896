"""What a file or a pipe holds, told from its first bytes: JSON lines, a JSON array, CSV or Parquet, compressed or not.

A name's ending says nothing here. What is none of these is refused in one message that says what it is and what to do.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from itertools import count
from typing import Any, BinaryIO

from tts.errors import MissingExtraError, ProblemsError
from tts.problems.jsonl import BadRow, Row, check_portable, parse, read_json_lines
from tts.types import JSON, RowError

HEAD_BYTES = 2**16
MOST_HEAD_LINES = 100

RECODE = "re-encode it, as in `iconv -f {} -t UTF-8`"
FOREIGN = {
    b"\xff\xfe\x00\x00": ("UTF-32 text", RECODE.format("UTF-32")),
    b"\x00\x00\xfe\xff": ("UTF-32 text", RECODE.format("UTF-32")),
    b"\xff\xfe": ("UTF-16 text", RECODE.format("UTF-16")),
    b"\xfe\xff": ("UTF-16 text", RECODE.format("UTF-16")),
    b"\xfd7zXZ\x00": ("compressed by xz", "unpack it, as in `xz -dc FILE | tts …`"),
    b"BZh": ("compressed by bzip2", "unpack it, as in `bzip2 -dc FILE | tts …`"),
    b"\x04\x22\x4d\x18": ("compressed by lz4", "unpack it, as in `lz4 -dc FILE | tts …`"),
    b"7z\xbc\xaf": ("a 7z archive", "unpack it"),
    b"PK\x03\x04": ("a zip archive (a spreadsheet is one, too)", "unpack it, or save the sheet as CSV"),
    b"ARROW1": ("an Arrow file", "write it as Parquet or as JSON lines"),
    b"Obj\x01": ("an Avro file", "write it as Parquet or as JSON lines"),
    b"SQLite format 3": ("an SQLite database", "export its table as CSV"),
    b"%PDF": ("a PDF", "give the rows as JSON lines"),
    b"\x89HDF": ("an HDF5 file", "write it as Parquet or as JSON lines"),
    b"\x93NUMPY": ("a NumPy array", "give the rows as JSON lines"),
}
"""First bytes → (what that is, what to do)."""
MARKED = (
    (rb"(?i)<!doctype html|<html", "HTML", "give the rows as JSON lines"),
    (rb"<\?xml|<[a-zA-Z]+[ >]", "XML", "give the rows as JSON lines"),
    (rb"---\s*$|- \w+:|\w+:( |\s*$)", "YAML", "convert it, as in `yq -o=json -I=0 '.[]' FILE`"),
    (rb"[^,;\t]+[,;\t]", "a table without a header that names {keys}", "name the columns so in its first line"),
    (rb"", "text", "write one JSON object a line"),
)


def read_records(
    stream: BinaryIO, label: str, keys: Collection[str], *, portable: bool = True
) -> Iterator[Row | RowError]:
    """Yield the rows that `stream` holds, called `label` in messages, in whatever form; of `keys` a row has one.

    JSON lines are read as they arrive. A row's line is its number in a JSON array or a Parquet file. CSV needs a header
    that names one of `keys`; its cells are text, and an empty one counts as absent. `portable` is `read_json_lines`'s.
    Raises ProblemsError where the
    stream holds none of this or breaks off, MissingExtraError where what reads it is not installed.
    """
    try:
        yield from _records(stream, label, keys, portable)
    except (OSError, EOFError, zlib.error) as error:
        raise ProblemsError(f"{label} cannot be read to its end ({error}): check the file.") from error


def _records(stream: BinaryIO, label: str, keys: Collection[str], portable: bool) -> Iterator[Row | RowError]:
    head = _Head(stream)
    start = head.first.removeprefix(codecs.BOM_UTF8)
    delimiter = _delimiter(start, keys)
    if start.startswith(b"\x1f\x8b"):
        rows = _records(io.BufferedReader(gzip.GzipFile(fileobj=head.whole())), label, keys, portable)
    elif start.startswith(b"\x28\xb5\x2f\xfd"):
        pyarrow = _pyarrow("zstd data", "; or unpack it, as in `zstd -dc FILE | tts …`")
        rows = _records(io.BufferedReader(pyarrow.CompressedInputStream(head.whole(), "zstd")), label, keys, portable)
    elif start.startswith(b"PAR1"):
        rows = _parquet(head.whole(), label)
    elif start.startswith(b"[") and _is_array(start, head):
        rows = _array(head.whole(), label, portable)
    elif delimiter is not None:
        rows = _table(head.whole(), delimiter, label)
    else:
        _refuse_foreign(start, head, label, keys)
        rows = read_json_lines(head.whole(), portable=portable)
    return rows


def _refuse_foreign(start: bytes, head: _Head, label: str, keys: Collection[str]) -> None:
    """Raise ProblemsError where these are no JSON lines; a bad first row alone does not make them another format."""
    for magic, (what, advice) in FOREIGN.items():
        if start.startswith(magic):
            raise ProblemsError(f"{label} is {what}: {advice}.")
    if b"\x00" in start:
        raise ProblemsError(f"{label} holds binary data of a kind unknown here: give the rows as JSON lines.")
    if start.startswith(b"{"):
        return _refuse_other_objects(start, head, label, keys)
    if not start or _is_json(start) or any(line.startswith(b"{") or _is_json(line) for line in head.more()):
        return None
    for pattern, what, advice in MARKED:
        if re.match(pattern, start):
            listed = ", ".join(f"`{key}`" for key in keys)
            raise ProblemsError(f"{label} is {what.format(keys=listed)}, not JSON lines: {advice}.")
    raise AssertionError("the last pattern matches everything")


class _Head:
    """The first lines of a stream, looked at and not used up. `first` is the first that is not blank, b"" for none."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._seen = b""
        self.first = b""
        for line in self._lines():
            self.first = line.lstrip()
            break

    def more(self) -> Iterator[bytes]:
        """Yield the next lines that are not blank, without the white space around, as far as a look is worth it."""
        for _, line in zip(range(MOST_HEAD_LINES), self._lines(), strict=False):
            yield line.strip()

    def _lines(self) -> Iterator[bytes]:
        while line := self._stream.readline(HEAD_BYTES):
            self._seen += line
            if line.removeprefix(codecs.BOM_UTF8).strip():
                yield line

    def whole(self) -> BinaryIO:
        """Return the stream from its beginning."""
        return io.BufferedReader(_Joined(self._seen, self._stream), HEAD_BYTES)


class _Joined(io.RawIOBase):
    """Bytes, and then what a stream still has, as it arrives."""

    def __init__(self, start: bytes, rest: BinaryIO) -> None:
        self._start = start
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._start[: len(buffer)] or self._rest.read1(len(buffer))  # type: ignore[attr-defined]  # all have it
        self._start = self._start[len(block) :]
        buffer[: len(block)] = block
        return len(block)


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _is_array(start: bytes, head: _Head) -> bool:
    """Tell an array of rows from lines of which the first is, by mistake, a list."""
    try:
        found = json.loads(start)
    except RecursionError:
        return False
    except ValueError:  # it goes on below, or beyond the part that was looked at
        return start.rstrip().endswith((b"[", b"{", b",", b":")) or re.match(rb"\[\s*\{", start) is not None
    return (bool(found) and all(isinstance(item, dict) for item in found)) or next(head.more(), None) is None


def _refuse_other_objects(start: bytes, head: _Head, label: str, keys: Collection[str]) -> None:
    """Raise ProblemsError for objects over several lines, and for lines of a run folder that are no rows."""
    if start.strip() == b"{":
        if next(head.more(), b"").startswith((b'"', b"}")):
            raise ProblemsError(f"{label} is JSON over several lines: write one object a line, as in `jq -c . FILE`.")
        return
    try:
        found = json.loads(start)
    except (ValueError, RecursionError):
        return
    if isinstance(found.get("problem"), dict) and "reference" in found:
        raise ProblemsError(
            f"{label} is the problems.jsonl of a run folder: go on in that folder with --run DIR, or give the file "
            "that its problems came from."
        )
    if "problem_id" in found and "problem_id" not in keys and not found.keys() & set(keys) - {"text"}:
        raise ProblemsError(f"{label} holds candidates, not problems: give it to `tts grade` with --problems FILE.")


def _array(stream: BinaryIO, label: str, portable: bool) -> Iterator[Row | RowError]:
    """Yield the items of a JSON array, which is read whole and checked before the first."""
    try:
        text = stream.read().decode("utf-8-sig")
        json.loads(text)
    except UnicodeDecodeError as error:
        raise ProblemsError(
            f"{label} must be UTF-8, got byte 0x{error.object[error.start]:02x}: re-encode it."
        ) from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ProblemsError(f"{label} is no whole JSON array ({error.msg}, {place}): correct it.") from error
    except (ValueError, RecursionError) as error:
        raise ProblemsError(f"{label} is no JSON array that can be read ({error}): correct it.") from error
    decoder, gap = json.JSONDecoder(), re.compile(r"[\s,]*")
    at = text.index("[") + 1
    for number in count(1):
        between = gap.match(text, at)
        assert between is not None  # it may be empty
        at = between.end()
        if text[at] == "]":
            return
        _, end = decoder.raw_decode(text, at)
        yield _row(number, partial(parse, text[at:end].encode("utf-8", "surrogatepass"), portable=portable))
        at = end


def _row(number: int, read: Callable[[], Mapping[str, JSON]]) -> Row | RowError:
    try:
        return Row(number, f"line-{number}", read())
    except BadRow as error:
        return error.record(number)


def _delimiter(start: bytes, keys: Collection[str]) -> str | None:
    """Return what parts the columns of a table whose header this line is, None where it is none."""
    header = start.decode("utf-8", "replace").rstrip("\r\n")
    for delimiter in ",\t;":
        try:
            names = next(csv.reader([header], delimiter=delimiter), [])
        except csv.Error:
            return None
        if set(names) & set(keys):
            return delimiter
    return None


def _table(stream: BinaryIO, delimiter: str, label: str) -> Iterator[Row | RowError]:
    """Yield the rows of a table with a header; cells are text."""
    lines = csv.reader(io.TextIOWrapper(stream, "utf-8-sig", "surrogateescape", newline=""), delimiter=delimiter)
    header: list[str] = []
    while True:
        number = lines.line_num + 1
        try:
            cells = next(lines, None)
        except csv.Error as error:
            raise ProblemsError(f"{label} is no CSV from line {number} on ({error}): correct it.") from error
        if cells is None:
            return
        if not header:
            header = cells
            if len(set(header)) < len(header):
                raise ProblemsError(f"{label} must have each column once: rename the columns of the same name.")
        elif cells:
            yield _row(number, partial(_cells, header, cells))


def _cells(header: list[str], cells: list[str]) -> Mapping[str, JSON]:
    if len(cells) != len(header):
        wanted = f"a row must have {len(header)} cells, as the header has"
        raise BadRow("bad_csv", f"{wanted}, got {len(cells)}: quote a cell that holds the delimiter or a line end")
    if any(re.search("[\udc80-\udcff]", cell) for cell in cells):
        raise BadRow("not_utf8", "a row must be UTF-8, got other bytes: re-encode the file")
    values: dict[str, JSON] = {name: cell for name, cell in zip(header, cells, strict=True) if cell}
    check_portable(values)
    return values


def _parquet(stream: BinaryIO, label: str) -> Iterator[Row | RowError]:
    from tts.problems.hub import checked_row

    _pyarrow("A Parquet file", "")
    import pyarrow
    from pyarrow import parquet

    number = 0
    try:
        for batch in parquet.ParquetFile(io.BytesIO(stream.read())).iter_batches(batch_size=1024):
            for values in batch.to_pylist():
                yield checked_row(number, f"line-{number + 1}", values)
                number += 1
    except pyarrow.ArrowException as error:
        raise ProblemsError(f"{label} is a Parquet file that cannot be read ({error}): check it.") from error


def _pyarrow(needed_by: str, otherwise: str) -> Any:
    try:
        import pyarrow
    except ModuleNotFoundError as error:
        missing = MissingExtraError("pyarrow", "datasets", needed_by)
        missing.args = (f"{missing}{otherwise}",)
        raise missing from error
    return pyarrow
