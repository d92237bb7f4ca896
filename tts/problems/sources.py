"""Where problems come from: a specification such as `-`, a path or a set's name becomes an open source of rows."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import BinaryIO, Self, cast

from tts.errors import ProblemsError
from tts.problems.rows import ProblemRow, read_rows
from tts.types import Kind, RowError

BUNDLED = {"quickstart": 65}


class ProblemSource:
    """An open source of rows, read once, lazily and in order. Close it, or use it in a `with` statement.

    `label` names it in messages; `num_rows` is None where it is not known before the end. Iterating raises
    ProblemsError where the source breaks off.
    """

    def __init__(
        self, label: str, num_rows: int | None, rows: Iterator[ProblemRow | RowError], stack: ExitStack
    ) -> None:
        self.label = label
        self.num_rows = num_rows
        self._rows = rows
        self._stack = stack

    def __iter__(self) -> Iterator[ProblemRow | RowError]:
        try:
            yield from self._rows
        except (OSError, EOFError, zlib.error) as error:
            raise ProblemsError(f"{self.label} cannot be read to its end ({error}): check the file") from error

    def close(self) -> None:
        """Close what was opened (never standard input). Safe to call twice."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_problems(spec: str | None, *, default_kind: Kind, seed: int, stdin: BinaryIO) -> ProblemSource:  # noqa: ARG001 - for sets whose options are shuffled
    """Open the problems that `spec` names.

    `-` or None is `stdin`; a name is a bundled set; anything else is a path to JSON lines (gzip where it ends in
    `.gz`). `seed` orders the options of sets that come without an order. Raises ProblemsError at once where there is
    nothing to read.
    """
    if spec is None or spec == "-":
        return _open_stdin(spec, default_kind, stdin)
    if spec in BUNDLED:
        return _open_bundled(spec, default_kind)
    return _open_path(spec, default_kind)


def _open_stdin(spec: str | None, default_kind: Kind, stdin: BinaryIO) -> ProblemSource:
    if spec is None and stdin.isatty():
        raise ProblemsError("No problems were given: name a file or a set, pipe rows in, or type them after `-`.")
    return ProblemSource("standard input", None, read_rows(stdin, default_kind), ExitStack())


def _open_bundled(name: str, default_kind: Kind) -> ProblemSource:
    stack = ExitStack()
    stream = stack.enter_context(resources.files("tts").joinpath("data", f"{name}.jsonl").open("rb"))
    return ProblemSource(name, BUNDLED[name], read_rows(cast("BinaryIO", stream), default_kind), stack)


def _open_path(spec: str, default_kind: Kind) -> ProblemSource:
    stack = ExitStack()
    try:
        stream = stack.enter_context(_open_file(Path(spec)))
    except FileNotFoundError as error:
        raise _not_found(spec) from error
    except OSError as error:
        raise ProblemsError(f"The problems in {spec} cannot be read ({error.strerror}): check the path.") from error
    return ProblemSource(spec, None, read_rows(stream, default_kind), stack)


def _open_file(path: Path) -> BinaryIO:
    if path.suffix == ".gz":
        return cast("BinaryIO", gzip.open(path, "rb"))
    return path.open("rb")


def _not_found(spec: str) -> ProblemsError:
    names = sorted(BUNDLED)
    near = get_close_matches(spec, names, n=1)
    hint = f"did you mean `{near[0]}`? " if near else ""
    return ProblemsError(f"`problems` must be a file or one of {', '.join(names)}, got {spec!r}: {hint}no such file.")
