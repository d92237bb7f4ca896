"""JSON lines, read strictly: bytes in, one `Row` a line out, and a line that is none becomes a `RowError`."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import BinaryIO

from tts.errors import shown
from tts.types import JSON, RowError

MAX_LINE_BYTES = 64 * 2**20
MAX_DEPTH = 100


@dataclass(frozen=True, slots=True)
class Row:
    """One row before it is understood.

    `line` is 1-based; `default_id` names it where it brings no id; `extra` is metadata whatever its keys are.
    """

    line: int
    default_id: str
    values: Mapping[str, JSON]
    extra: Mapping[str, JSON] = field(default_factory=dict)


class BadRow(Exception):  # noqa: N818 - caught where it is raised; what leaves this package is the RowError record
    """Why a row cannot be used; `problem_id` where the row brought a usable one."""

    def __init__(self, error_type: str, message: str, problem_id: str | None = None) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.problem_id = problem_id

    def record(self, line: int) -> RowError:
        """Return the record that stands for the row on `line`."""
        return RowError(line, self.problem_id, self.error_type, str(self))


def read_json_lines(stream: BinaryIO, *, portable: bool = True) -> Iterator[Row | RowError]:
    """Yield every line that is not blank, as it arrives.

    UTF-8, with or without a byte order mark; LF or CRLF; the last line needs no end. Lines over 64 MiB, values nested
    more than 100 deep, repeated keys, lone surrogates, NaN and Infinity are refused: none of them could be handed back.
    `portable` False lets lone surrogates and such numbers through, for a reader that hands no row back.
    """
    for number, line in _numbered_lines(stream):
        try:
            yield Row(number, f"line-{number}", parse(line, portable=portable))
        except BadRow as error:
            yield error.record(number)


def usable_id(value: JSON) -> str | None:
    """Return the id as a string (numbers 1 and "1" are the same id), or None where it cannot serve as one."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip() or re.search("[\ud800-\udfff]", value):
        return None
    return value


def check_portable(values: Mapping[str, JSON]) -> None:
    """Raise BadRow where `values` could be read but not written again."""
    problem_id = usable_id(values.get("id"))
    if _deeper_than(MAX_DEPTH, dict(values)):
        raise _too_deep(problem_id)
    try:
        json.dumps(values, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except UnicodeEncodeError as error:
        bad = f"\\u{ord(error.object[error.start]):04x}"
        message = f"text must be valid Unicode, got the lone surrogate {bad}: remove it or complete the pair"
        raise BadRow("lone_surrogate", message, problem_id) from error
    except ValueError as error:
        message = "a number must be finite, got NaN or Infinity: write null or a string"
        raise BadRow("bad_number", message, problem_id) from error


def _numbered_lines(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    for number in count(1):
        line = stream.readline(MAX_LINE_BYTES + 1)
        if not line:
            return
        if _too_long(line):
            while (rest := stream.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                pass
        content = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        if content.strip():
            yield number, content


def _too_long(line: bytes) -> bool:
    return len(line) > MAX_LINE_BYTES and not line.endswith(b"\n")


def parse(line: bytes, *, portable: bool = True) -> dict[str, JSON]:
    """Return the object that a line holds. Raises BadRow where it holds none, or one that could not be handed back."""
    repeated: list[str] = []

    def unique(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
        values = dict(pairs)
        if len(values) < len(pairs):
            keys = [key for key, _ in pairs]
            repeated.extend(key for key in values if keys.count(key) > 1)
        return values

    if _too_long(line):
        raise BadRow("line_too_long", f"a row must have at most {MAX_LINE_BYTES:,} bytes, got more: split it")
    try:
        text = line.decode("utf-8")
        values = json.loads(text, object_pairs_hook=unique, parse_int=int if portable else _int_or_infinity)
    except UnicodeDecodeError as error:
        byte = line[error.start]
        message = f"a row must be UTF-8, got byte 0x{byte:02x} at position {error.start + 1}: re-encode the file"
        raise BadRow("not_utf8", message) from error
    except json.JSONDecodeError as error:
        got = f"{shown(text.strip())} ({error.msg}, column {error.colno})"
        raise BadRow("not_json", f"a row must be one JSON object, got {got}: correct it, one object a line") from error
    except RecursionError as error:
        raise _too_deep(None) from error
    except ValueError as error:  # an integer beyond Python's limit of digits
        raise BadRow("bad_number", f"a number must be of sensible length, got {error}: write it as a string") from error
    if not isinstance(values, dict):
        raise BadRow("not_an_object", f"a row must be one JSON object, got {shown(values)}: write {{…}}, one a line")
    if repeated:
        message = f"a row must have each key once, got {shown(repeated[0])} twice: keep one of them"
        raise BadRow("duplicate_key", message, usable_id(values.get("id")))
    if portable:
        check_portable(values)
    elif _deeper_than(MAX_DEPTH, values):
        raise _too_deep(None)
    return values


def _int_or_infinity(digits: str) -> int | float:
    return int(digits) if len(digits) < 400 else float(digits)


def _too_deep(problem_id: str | None) -> BadRow:
    return BadRow("nested_too_deep", f"values must be nested at most {MAX_DEPTH} deep, got more: flatten", problem_id)


def _deeper_than(limit: int, value: JSON) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return limit == 0 or any(_deeper_than(limit - 1, item) for item in inner)
