"""Where problems come from: a specification such as `-`, a path or a set's name becomes an open source of rows."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from itertools import chain
from pathlib import Path
from typing import IO, BinaryIO, Self, TypeAlias, cast

from tts.errors import ProblemsError, nearest
from tts.problems.code_sets import CODE_SETS, code_set_request
from tts.problems.formats import read_records
from tts.problems.hub import hub_rows, load_hub_set, parse_hub_spec
from tts.problems.jsonl import Row, read_json_lines
from tts.problems.named import BUNDLED_SETS, HUB_SETS, named_hub_rows
from tts.problems.rows import PROMPT_KEYS, understand
from tts.types import InputRow, Kind, ProblemRow, RowError

Specs: TypeAlias = "str | tuple[str, ...]"
"""What names problems: a file, a set, an address; or several of them."""

FILE_KEYS = (*PROMPT_KEYS, "text", "question_content")
"""One of these a row has, the names of published code sets included."""


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
        files: Sequence[IO[bytes]] = (),
    ) -> None:
        self.label = label
        self.num_rows = num_rows
        self._rows = rows
        self._files = files

    def __iter__(self) -> Iterator[ProblemRow | RowError]:
        try:
            yield from self._rows
        finally:
            self.close()

    def close(self) -> None:
        """Close the files that were opened (standard input stays open). Safe to call twice."""
        for file in self._files:
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_problems(
    spec: Specs | None, *, default_kind: Kind = "math", seed: int = 0, stdin: BinaryIO | None = None
) -> ProblemSource:
    """Open the problems that `spec` names.

    `-` or None is `stdin` (None: the process's own), looked at when its first row is; a name is one of
    `named_problem_sets`; the code benchmarks among them take options (`livecodebench?release=v5&from=2024-08`,
    `humaneval?path=FILE`); `hf://owner/name?split=…&problem=column&answer=column` is a Hugging Face data set
    (downloaded whole, then cached); anything else is a path to a file of rows in any of the forms of
    `tts.problems.formats` (`./name` where a file is called like a set). Several are read one after another; what is
    wrong with a row then says in which, and a row without an id is called by its file and line. `seed` orders the
    options of gpqa_diamond. What cannot be read at all raises ProblemsError or MissingExtraError here, before the first
    row.
    """
    if isinstance(spec, str) or spec is None:
        opened = [_open(spec, seed, stdin)]
    else:
        for name in spec:
            if spec.count(name) > 1:
                raise ProblemsError(f"Problems must be named once, got {name!r} {spec.count(name)} times")
        opened = []
        try:
            for name in spec:
                opened.append(_open(name, seed, stdin))
        except BaseException:
            for one in opened:
                one.close()
            raise
    numbers = [one.num_rows for one in opened]
    return ProblemSource(
        ", ".join(one.label for one in opened),
        _understood(opened, default_kind),
        num_rows=None if None in numbers else sum(number or 0 for number in numbers),
        files=[one.file for one in opened if one.file is not None],
    )


def known_names() -> list[str]:
    """Return the names of all sets that can be opened by name."""
    return [*BUNDLED_SETS, *HUB_SETS, *CODE_SETS]


def known_size(spec: str) -> int | None:
    """Return how many problems a set has, without opening it; None where that is not known."""
    if spec in HUB_SETS or spec in CODE_SETS:
        return (HUB_SETS.get(spec) or CODE_SETS[spec]).num_problems
    return BUNDLED_SETS[spec].num_problems if spec in BUNDLED_SETS else None


@dataclass(frozen=True, slots=True)
class _Opened:
    """One source, before its rows are understood."""

    label: str
    rows: Iterable[Row | RowError]
    num_rows: int | None = None
    file: IO[bytes] | None = None

    def close(self) -> None:
        if self.file is not None:
            self.file.close()


def _open(spec: str | None, seed: int, stdin: BinaryIO | None) -> _Opened:
    if spec is None or spec == "-":
        stdin = stdin or sys.stdin.buffer
        if spec is None and stdin.isatty():
            raise ProblemsError("No problems were given: name a file or a set, pipe rows in, or type them after `-`.")
        return _Opened("standard input", read_records(stdin, "standard input", FILE_KEYS))
    if spec in HUB_SETS:
        return _Opened(spec, named_hub_rows(spec, seed), HUB_SETS[spec].num_problems)
    if spec.partition("?")[0] in CODE_SETS:
        request = code_set_request(spec)
        if request.path:
            file = _open_path(request.path)
            return _Opened(spec, request.file_rows(_begun(file, request.path)), file=file)
        num_rows, rows = request.hub_rows()
        return _Opened(spec, rows, num_rows)
    if spec.startswith("hf://"):
        hub_set = parse_hub_spec(spec)
        dataset = load_hub_set(hub_set)
        return _Opened(spec, hub_rows(hub_set, dataset), len(dataset))
    if spec in BUNDLED_SETS:
        file = cast("BinaryIO", resources.files("tts").joinpath("data", f"{spec}.jsonl").open("rb"))
        rows = read_json_lines(file)
    else:
        file = _open_path(spec)
        rows = _begun(file, spec)
    return _Opened(spec, rows, known_size(spec), file)


def _understood(opened: Sequence[_Opened], default_kind: Kind) -> Iterator[InputRow]:
    """Yield what all sources hold; of several, so that their rows can be told apart."""
    first_places: dict[str, str] = {}
    names = [Path(one.label.partition("?")[0]).name for one in opened]
    for one, name in zip(opened, names, strict=True):
        if len(opened) == 1:
            yield from understand(one.rows, default_kind)
            return
        own = name if names.count(name) == 1 else one.label
        for row in understand(_named(one.rows, own), default_kind, first_places, f" of {one.label}"):
            yield replace(row, message=f"in {one.label}: {row.message}") if isinstance(row, RowError) else row


def _named(rows: Iterable[Row | RowError], name: str) -> Iterator[Row | RowError]:
    """Yield the rows; one that would be called by its line is called by file and line."""
    for row in rows:
        if isinstance(row, Row) and row.default_id == f"line-{row.line}":
            yield replace(row, default_id=f"{name}:{row.line}")
        else:
            yield row


def _begun(file: BinaryIO, label: str) -> Iterator[Row | RowError]:
    """Return a file's rows, the first of which has been read: what cannot be read at all is refused now."""
    rows = read_records(file, label, FILE_KEYS)
    try:
        first = next(rows, None)
    except BaseException:
        file.close()
        raise
    return iter(()) if first is None else chain((first,), rows)


def _open_path(spec: str) -> BinaryIO:
    path = Path(spec).expanduser()
    try:
        return path.open("rb")
    except IsADirectoryError as error:
        is_run = (path / "run.json").exists()
        what = (
            "a run folder: go on in it with --run DIR" if is_run else f"a folder: a folder of data files is hf://{spec}"
        )
        raise ProblemsError(f"The problems must be a file or a set's name, got {spec!r}, {what}.") from error
    except FileNotFoundError as error:
        names = known_names()
        missing = " There is no such file; check the path."
        if len(spec.split()) > 1:
            missing += ' To ask a question of your own, pipe it in: {"problem": …}.'
        advice = nearest(spec, names, otherwise=missing, most=1)
        raise ProblemsError(
            f"The problems must be a file, hf://… or one of {', '.join(names)}, got {spec!r}.{advice}"
        ) from error
    except OSError as error:
        raise ProblemsError(
            f"The problems in {spec!r} cannot be read ({error.strerror}): give a readable file."
        ) from error
    except ValueError as error:
        raise ProblemsError(f"The problems in {spec!r} cannot be read ({error}): give a readable file.") from error
