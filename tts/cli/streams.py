"""Standard output and standard error: what cannot be written, what a terminal must not be sent, what it cannot spell.

`prepare` makes both safe to use, before anything is written. Standard output raises `OutputError` where it is full or
closed, and `ReaderLeftError` where its reader has gone (`| head`). Standard error never raises: no run ends because
nobody can be told of it. A character that the encoding lacks becomes a simpler one.
"""

from __future__ import annotations

import codecs
import io
import os
import re
import select
import sys
from typing import Any

from tts.errors import TTSError

SIMPLER = dict(zip("✓✗·…–—−×●○▲△◆◇│├└─┼→«»", '+x.~---xoOxX*#|++-+>""', strict=True))
"""What stands for a mark where the encoding lacks it; each is one cell wide."""

HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What moves the cursor, recolours or reorders a terminal's text, and what no encoding has; not tabs, not line ends."""


class OutputError(TTSError):
    """Standard output cannot be written: it is closed, or its disk is full."""


class ReaderLeftError(Exception):
    """Nobody reads standard output any more."""


def harmless(text: str) -> str:
    """Return the text with control characters spelled out, as in `\\x1b`: shown, not sent."""
    return HARMFUL.sub(lambda found: repr(found[0])[1:-1], text)


def tell(message: str) -> None:
    """Print a line of ours on stderr."""
    print(f"tts: {harmless(message)}", file=sys.stderr)


def spells_unicode() -> bool:
    """Tell whether standard output's encoding has every character."""
    return (sys.stdout.encoding or "utf-8").lower().startswith("utf")


class _Stdout(io.FileIO):
    def write(self, data: Any, /) -> int:
        """Write all that fits; a stream that others made non-blocking is waited for."""
        try:
            while (written := super().write(data)) is None:
                select.select([], [self], [])
        except BrokenPipeError as error:
            raise ReaderLeftError from error
        except OSError as error:
            raise OutputError(f"cannot write standard output: {error.strerror}") from error
        return written


class _Stderr(io.FileIO):
    def write(self, data: Any, /) -> int:
        """Write what can be written."""
        try:
            return super().write(data) or len(data)
        except OSError:
            return len(data)


def prepare() -> None:
    """Put safe streams in the place of the process's own; streams that somebody else put there stay."""
    codecs.register_error("simpler", _simpler)
    for descriptor, flags in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:  # closed, so the next file that is opened would be taken for it; it is kept from that
            os.open(os.devnull, flags)  # standard output, too, for reading: writing is an error, told by `_Stdout`
    if sys.stdout is sys.__stdout__:
        sys.stdout = _text(_Stdout(1, "w", closefd=False), sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _text(_Stderr(2, "w", closefd=False), sys.stderr)


def discard_stdout() -> None:
    """Let what is still to be written to standard output vanish."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _text(raw: io.FileIO, before: Any) -> io.TextIOWrapper:
    encoding = "utf-8" if before is None else before.encoding
    by_line = raw.isatty() or raw.fileno() == 2
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, "simpler", line_buffering=by_line)


def _simpler(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(SIMPLER.get(one) or one.encode("ascii", "backslashreplace").decode() for one in text), error.end
