"""Records ↔ JSON lines: the one spelling of our types on disk and on stdout."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from tts.types import (
    Answer,
    Candidate,
    InputRow,
    Message,
    Problem,
    ProblemRow,
    Reference,
    RowError,
    Score,
    Selection,
    Verdict,
)

Record = TypeVar("Record", Answer, Message, Reference, RowError, Score, Verdict)


def as_dict(record: Any) -> dict[str, Any]:
    """Return the fields of a slotted record by name (shallow; `dumps` does the same to the records inside)."""
    return {name: getattr(record, name) for name in record.__slots__}


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=as_dict).encode
_encode_ascii = json.JSONEncoder(allow_nan=False, default=as_dict).encode


def dumps(record: Any) -> bytes:
    """Return one line of UTF-8 JSON with its newline; lone surrogates are escaped. NaN and infinities: ValueError."""
    try:
        return _encode(record).encode() + b"\n"
    except UnicodeEncodeError:
        return _encode_ascii(record).encode() + b"\n"


def finite(value: float | None) -> float | None:
    """Return `value`, or None for NaN and infinities, which JSON cannot hold."""
    return value if value is not None and math.isfinite(value) else None


def plain(cls: type[Record], row: Mapping[str, Any]) -> Record:
    """Build a record whose fields are all plain JSON values."""
    return cls(**row)


def candidate(row: Mapping[str, Any]) -> Candidate:
    """Build a candidate from its JSON object."""
    logprobs = row.get("token_logprobs")
    return Candidate(**{**row, "token_logprobs": None if logprobs is None else tuple(logprobs)})


def problem(row: Mapping[str, Any]) -> Problem:
    """Build a problem from its JSON object."""
    messages = tuple(plain(Message, message) for message in row["messages"])
    return Problem(**{**row, "messages": messages, "choices": tuple(row["choices"])})


def selection(row: Mapping[str, Any]) -> Selection:
    """Build a selection from its JSON object."""
    return Selection(**{**row, "weights": tuple(row["weights"])})


def optional(cls: type[Record], rows: Sequence[Mapping[str, Any] | None]) -> tuple[Record | None, ...]:
    """Build a tuple of records, None where the JSON has null."""
    return tuple(None if row is None else plain(cls, row) for row in rows)


def row_record(row: InputRow) -> dict[str, Any]:
    """Return what a line of problems.jsonl holds of a row."""
    if isinstance(row, RowError):
        return {"error": row}
    return {"line": row.line, "problem": row.problem, "reference": row.reference}


def stored_row(record: dict[str, Any]) -> InputRow:
    """Return the row that a line of problems.jsonl holds; the line that marks the end holds none."""
    if "error" in record:
        return plain(RowError, record["error"])
    return ProblemRow(problem(record["problem"]), plain(Reference, record["reference"]), record["line"])
