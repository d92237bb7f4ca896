"""Server-sent events, read from bytes.

Lines are cut as bytes, at the line feed alone, and decoded whole: half a character waits for its other half, and the
line separators that JSON may hold within a string (U+2028, U+0085) cut nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from tts.errors import shown


class NotJSONError(ValueError):
    """What should have been JSON is something else."""


def parsed(data: bytes) -> Any:
    """Return what JSON holds, whatever of it only Python reads (NaN, half a surrogate pair) included."""
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError:
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            raise NotJSONError(f"something else than JSON: {shown(data[:80].decode(errors='replace'))}") from error


def encoded(body: Mapping[str, Any]) -> bytes:
    """Return a body as JSON; what UTF-8 cannot hold, as halves of a surrogate pair, is written as an escape."""
    try:
        return msgspec.json.encode(body)
    except (UnicodeEncodeError, OverflowError):
        return json.dumps(dict(body)).encode()


class Events:
    """Takes a stream in pieces of any size and gives what its events hold. Comments and other fields are left out."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []

    def take(self, piece: bytes) -> list[Any]:
        """Return the events that are whole with this piece. Raises NotJSONError."""
        if b"\n" not in piece:
            self._rest.append(piece)
            return []
        *lines, rest = b"".join([*self._rest, piece]).split(b"\n")
        self._rest = [rest]
        return [event for line in lines for event in _event(line)]

    def end(self) -> list[Any]:
        """Return what stands on a last line that was not ended."""
        rest, self._rest = b"".join(self._rest), []
        return _event(rest)


def _event(line: bytes) -> list[Any]:
    if not line.startswith(b"data:"):
        return []
    data = line[5:].strip()
    return [] if not data or data == b"[DONE]" else [parsed(data)]
