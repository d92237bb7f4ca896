"""The command in this process: quicker than a process of its own, where signals and devices do not matter."""

import contextlib
import io
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from tts.cli import main


@dataclass(frozen=True)
class Said:
    """What the command said. `crash` is the traceback of an exception that escaped it."""

    code: int
    out: str
    err: str
    crash: str = ""


@contextlib.contextmanager
def standard_input(content: bytes | None) -> Iterator[None]:
    """Put a file of that content in the place of this process's standard input; None: /dev/null."""
    before = os.dup(0)
    try:
        with tempfile.TemporaryFile() if content is not None else open(os.devnull, "rb") as file:
            if content is not None:
                file.write(content)
                file.seek(0)
            os.dup2(file.fileno(), 0)
            yield
    finally:
        os.dup2(before, 0)
        os.close(before)


def tts(folder: Path, *arguments: object, stdin: bytes | None = None) -> Said:
    """Run the command in `folder`."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    code, crash = 0, ""
    with (
        contextlib.chdir(folder),
        patch.object(sys, "argv", ["tts", *map(str, arguments)]),
        patch.dict(os.environ, {"TTS_TRACEBACK": "1"}),
        standard_input(stdin),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except Exception:
            crash = traceback.format_exc()
    said, told = (stream.buffer.getvalue().decode() for stream in (out, err))  # type: ignore[attr-defined]  # BytesIO
    return Said(code, said, told, crash)
