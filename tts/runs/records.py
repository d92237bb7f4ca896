"""Records ↔ JSON lines: the one spelling of our types on disk and on stdout, and the one reader of what is on disk.

What stands on a line is decoded into its typed record. Keys that a later version added are ignored; a missing key or a
value of another type is a RunFolderError that names the file and the line.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar

import msgspec

from tts.errors import RunFolderError
from tts.types import (
    Answer,
    FinishReason,
    InputRow,
    PluginReport,
    Problem,
    ProblemRow,
    Reference,
    RowError,
    Score,
    Selection,
    Verdict,
)

Record = TypeVar("Record")
CHANGED = (
    "The file was changed from outside: restore it; or delete the line, and a candidate or what is derived from it is "
    "made anew"
)
"""Told of a damaged line: resuming alone would meet it again."""
MOST = 2**53
"""Above it a number of JSON is not exact in every reader."""


def as_dict(record: Any) -> dict[str, Any]:
    """Return the fields of a slotted record by name (shallow; `dumps` does the same to the records inside).

    Fields that came later (`LATER`) are left out at their default, so that older lines stay as they were.
    """
    kind: Any = type(record)
    names, values, later = _fields(kind)
    found = dict(zip(names, values(record), strict=False))
    for name, default in later:
        if found[name] == default:
            del found[name]
    return found


@cache
def _fields(kind: Any) -> tuple[tuple[str, ...], Callable[[Any], Any], tuple[tuple[str, Any], ...]]:
    """Return the names of a record's fields, what reads them all at once, and those that came later."""
    names = tuple(kind.__slots__)
    values = attrgetter(*names, names[0])  # of one name alone it would return no tuple
    return names, values, tuple(getattr(kind, "LATER", {}).items())


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=as_dict).encode
_encode_ascii = json.JSONEncoder(allow_nan=False, default=as_dict).encode


def dumps(record: Any) -> bytes:
    """Return one line of UTF-8 JSON with its newline; lone surrogates are escaped. NaN and infinities: ValueError."""
    try:
        return _encode(record).encode() + b"\n"
    except UnicodeEncodeError:
        return _encode_ascii(record).encode() + b"\n"


def pretty(record: Any) -> bytes:
    """Return UTF-8 JSON for people, indented; lone surrogates are escaped."""
    text = json.dumps(record, indent=2, ensure_ascii=False, default=as_dict)
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        text = json.dumps(record, indent=2, default=as_dict)
    return f"{text}\n".encode()


_decoder: Callable[[Any], Any] = cache(msgspec.json.Decoder)


def loads(text: bytes, kind: type[Record], where: Callable[[], str]) -> Record:
    """Return the record of type `kind` that JSON text holds; `where` says where it stands.

    Raises RunFolderError where it is none.
    """
    try:
        try:
            record: Record = _decoder(kind).decode(text)
            return record
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:  # no JSON, or a lone surrogate, which Python's reader takes
            return msgspec.convert(json.loads(text.decode(), parse_constant=_refuse), kind)
    except (ValueError, RecursionError) as error:
        raise RunFolderError(f"{where()} cannot be read: {error}. {CHANGED}") from error


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")


def finite(value: float | None) -> float | None:
    """Return `value`, or None for NaN and infinities, which JSON cannot hold."""
    return value if value is not None and math.isfinite(value) else None


@dataclass(frozen=True, slots=True)
class InputLine:
    """A line of problems.jsonl: a problem, a row that is none, or, once all are read, `end`, the number of rows."""

    line: int | None = None
    problem: Problem | None = None
    reference: Reference | None = None
    error: RowError | None = None
    end: int | None = None
    num_candidates: int | None = None
    max_tokens: int | None = None
    seed_name: str | None = None

    def __post_init__(self) -> None:
        """Refuse a line that is none of the three, or several."""
        named = [name for name in ("problem", "error", "end") if getattr(self, name) is not None]
        if len(named) != 1:
            raise ValueError("exactly one of `problem`, `error` and `end` must be there")
        if self.problem is not None and (self.reference is None or self.line is None):
            raise ValueError("a `problem` must have `reference` and `line` beside it")

    @property
    def row(self) -> InputRow | None:
        """The row; None for the line that marks the end."""
        if self.problem is not None and self.reference is not None and self.line is not None:
            less = (self.num_candidates, self.max_tokens, self.seed_name)
            return ProblemRow(self.problem, self.reference, self.line, *less)
        return self.error


@dataclass(frozen=True, slots=True)
class CandidateKey:
    """What finding a line of candidates.jsonl takes; the rest of it is checked when it is read as a `Candidate`."""

    problem_id: str
    index: int
    finish_reason: FinishReason
    num_prompt_tokens: int
    num_tokens: int | None

    def __post_init__(self) -> None:
        """Refuse numbers that no engine counts."""
        for name in ("index", "num_prompt_tokens", "num_tokens"):
            if not 0 <= (getattr(self, name) or 0) < MOST:
                raise ValueError(f"`{name}` must be from 0 to 2**53 - 1, got {getattr(self, name)}")


def input_line(row: InputRow) -> dict[str, Any]:
    """Return what a line of problems.jsonl holds of a row."""
    if isinstance(row, RowError):
        return {"error": row}
    fields = as_dict(row)
    return {"line": fields.pop("line"), **fields}


@dataclass(frozen=True, slots=True)
class Scores:
    """A line of scores.jsonl."""

    problem_id: str
    scores: tuple[Score, ...]


@dataclass(frozen=True, slots=True)
class Selections:
    """A line of selections.jsonl. `classes` are the nodes of the answers' `Grouping`; no `links`: there are none."""

    problem_id: str
    selection: Selection
    answers: tuple[Answer | None, ...]
    classes: tuple[int | None, ...]
    links: frozenset[tuple[int, int]] = frozenset()

    def as_line(self) -> dict[str, Any]:
        """Return what the line holds."""
        line = as_dict(self)
        links = sorted(line.pop("links"))
        return {**line, "links": links} if links else line


@dataclass(frozen=True, slots=True)
class Verdicts:
    """A line of verdicts.jsonl."""

    problem_id: str
    verdict: Verdict
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class Session:
    """A line of sessions.jsonl: one time that the run was worked on. All that another time would not repeat is here.

    `began` and `ended` are seconds since the epoch; `drawing_seconds` count from when the engine was ready. `turn`:
    which turn it was, where recipes took turns; `plugin`: what the sampler's plugin did; `capabilities`: what the
    engine could do, where it was opened.
    """

    began: float
    ended: float
    complete: bool
    num_candidates: int
    num_tokens: int
    drawing_seconds: float
    plugin: PluginReport | None = None
    capabilities: tuple[str, ...] | None = None
    turn: int | None = None
    host: dict[str, Any] | None = None
    versions: dict[str, str] | None = None
