"""Where problems come from: a specification such as `-`, a path or a set's name becomes an open source of rows."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import IO, BinaryIO, Self, cast

from tts.errors import ProblemsError, nearest
from tts.problems.code_sets import CODE_SETS, code_set_request
from tts.problems.hub import hub_rows, load_hub_set, parse_hub_spec
from tts.problems.jsonl import Row, read_json_lines
from tts.problems.named import BUNDLED_SETS, HUB_SETS, named_hub_rows
from tts.problems.rows import read_rows, understand
from tts.types import Kind, ProblemRow, RowError


class ProblemSource:
    """An open source of rows, read once, lazily and in order.

    It closes itself when its iteration ends, however that comes; `close` is for where there was none. `label` names it
    in messages; `num_rows` is None where it is not known before the end. Iterating raises ProblemsError where the
    source breaks off.
    """

    def __init__(
        self,
        label: str,
        rows: Iterator[ProblemRow | RowError],
        *,
        num_rows: int | None = None,
        file: IO[bytes] | None = None,
    ) -> None:
        self.label = label
        self.num_rows = num_rows
        self._rows = rows
        self._file = file

    def __iter__(self) -> Iterator[ProblemRow | RowError]:
        try:
            yield from self._rows
        except (OSError, EOFError, zlib.error) as error:
            raise ProblemsError(f"{self.label} cannot be read to its end ({error}): check the file.") from error
        finally:
            self.close()

    def close(self) -> None:
        """Close the file that was opened (standard input stays open). Safe to call twice."""
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_problems(
    spec: str | None, *, default_kind: Kind = "math", seed: int = 0, stdin: BinaryIO | None = None
) -> ProblemSource:
    """Open the problems that `spec` names.

    `-` or None is `stdin` (None: the process's own); a name is one of `named_problem_sets`;
    the code benchmarks among them take options (`livecodebench?release=v5&from=2024-08`, `humaneval?path=FILE`);
    `hf://owner/name?split=…&problem=column&answer=column`
    is a Hugging Face data set (downloaded whole, then cached); anything else is a path to JSON lines, gzipped where it
    ends in `.gz` (`./name` where a file is called like a set). `seed` orders the options of gpqa_diamond. What cannot
    be read at all raises ProblemsError or MissingExtraError here, before the first row.
    """
    if spec is None or spec == "-":
        stdin = stdin or sys.stdin.buffer
        if spec is None and stdin.isatty():
            raise ProblemsError("No problems were given: name a file or a set, pipe rows in, or type them after `-`.")
        return ProblemSource("standard input", read_rows(stdin, default_kind))
    file, num_rows = None, None
    rows: Iterable[Row | RowError]
    if spec in BUNDLED_SETS:
        file = cast("BinaryIO", resources.files("tts").joinpath("data", f"{spec}.jsonl").open("rb"))
        num_rows, rows = BUNDLED_SETS[spec].num_problems, read_json_lines(file)
    elif spec in HUB_SETS:
        num_rows, rows = HUB_SETS[spec].num_problems, named_hub_rows(spec, seed)
    elif spec.partition("?")[0] in CODE_SETS:
        request = code_set_request(spec)
        if request.path:
            file = _open_path(request.path)
            rows = request.file_rows(read_json_lines(file))
        else:
            num_rows, rows = request.hub_rows()
    elif spec.startswith("hf://"):
        hub_set = parse_hub_spec(spec)
        dataset = load_hub_set(hub_set)
        num_rows, rows = len(dataset), hub_rows(hub_set, dataset)
    else:
        file = _open_path(spec)
        rows = read_json_lines(file)
    return ProblemSource(spec, understand(rows, default_kind), num_rows=num_rows, file=file)


def _open_path(spec: str) -> BinaryIO:
    path = Path(spec).expanduser()
    try:
        return cast("BinaryIO", gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")
    except FileNotFoundError as error:
        names = [*BUNDLED_SETS, *HUB_SETS, *CODE_SETS]
        advice = nearest(spec, names, otherwise=" There is no such file; check the path.", most=1)
        raise ProblemsError(
            f"The problems must be a file, hf://… or one of {', '.join(names)}, got {spec!r}.{advice}"
        ) from error
    except (OSError, ValueError) as error:
        raise ProblemsError(f"The problems in {spec!r} cannot be read ({error}): give a readable file.") from error
