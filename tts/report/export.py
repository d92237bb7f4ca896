"""Candidates as rows of a table, for other tools: Parquet, CSV or JSON lines. A row a candidate, nothing judged anew.

Rows are read one problem at a time and written as they come, so memory does not grow with the run. The columns are the
same in all three; `answer` to `score` are what is stored as derived, and null where nothing was derived yet.
`engine_stats` is JSON text, since its keys are the engine's own. A lone surrogate is spelled out, as in `\\udc80`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from tts.errors import MissingExtraError, UsageError
from tts.runs import records
from tts.runs.files import writing_whole
from tts.runs.stored import StoredRun
from tts.types import Candidate, Judged, ProblemRow

COLUMNS = {
    "run": "string",
    "problem_id": "string",
    "kind": "string",
    "problem": "string",
    "reference": "string",
    "index": "int64",
    "text": "string",
    "thinking": "string",
    "answer": "string",
    "answer_rule": "string",
    "class": "int64",
    "verdict": "string",
    "verdict_reason": "string",
    "selected": "bool",
    "score": "double",
    "finish_reason": "string",
    "error": "string",
    "num_prompt_tokens": "int64",
    "num_tokens": "int64",
    "cumulative_logprob": "double",
    "mean_logprob": "double",
    "self_certainty": "double",
    "seed": "int64",
    "sampler": "string",
    "num_calls": "int64",
    "rewards": "list<double>",
    "engine_stats": "string",
}
"""The columns, and their types as Arrow calls them."""
GROUP_ROWS, GROUP_CHARACTERS = 5_000, 16_000_000
"""A row group of Parquet is written when it has as many rows, or texts so long."""

Row: TypeAlias = "dict[str, Any]"
Write: TypeAlias = "Callable[[Row], Any]"


def rows(run: StoredRun) -> Iterator[Row]:
    """Yield a row a candidate: problems in the order of the input, candidates by index."""
    empty = dict.fromkeys(COLUMNS)
    for problem_id in run.problem_ids:
        row, judged = run.row(problem_id), run.graded(problem_id)
        for place, candidate in enumerate(run.candidates(problem_id)):
            known = {"run": str(run.path), **_drawn(row, candidate), **_derived(judged, candidate.index, place)}
            yield {**empty, **known}


def _drawn(row: ProblemRow, candidate: Candidate) -> Row:
    """Return what is on record of a candidate and its problem."""
    return {
        "kind": row.problem.kind,
        "problem": row.problem.prompt,
        "reference": row.reference.answer,
        **{name: getattr(candidate, name) for name in COLUMNS if name in Candidate.__slots__},
        "thinking": candidate.reasoning,
        "num_calls": len(candidate.calls),
        "engine_stats": json.dumps(dict(candidate.engine_stats)) if candidate.engine_stats else None,
    }


def _derived(judged: Judged | None, index: int, place: int) -> Row:
    """Return what was derived from a candidate, which stands at `place` among its problem's."""
    if judged is None:
        return {}
    answer, verdict = judged.answers[place], judged.verdicts[place]
    return {
        "answer": None if answer is None else answer.text,
        "answer_rule": None if answer is None else answer.rule,
        "class": judged.nodes[place],
        "verdict": verdict.status,
        "verdict_reason": verdict.reason or None,
        "selected": judged.selection.index == index,
        "score": judged.scores[place].value if judged.scores else None,
    }


@contextmanager
def table(file: Path) -> Iterator[Write]:
    """Yield what writes a row into `file`, whose suffix says how; the file is there once all is written, else not.

    Raises UsageError for another suffix, MissingExtraError where Parquet cannot be written, RunWriteError.
    """
    form = FORMATS.get(file.suffix.lower())
    if form is None:
        raise UsageError(f"`--to` must end in {', '.join(FORMATS)}, or be - for JSON lines on stdout, got {file}")
    if file.suffix.lower() == ".parquet":
        _pyarrow()
    with writing_whole(file) as into, form(into) as write:
        yield write


@contextmanager
def _json_lines(into: BinaryIO) -> Iterator[Write]:
    yield lambda row: into.write(records.dumps(row))


@contextmanager
def _csv(into: BinaryIO) -> Iterator[Write]:
    text = io.TextIOWrapper(into, "utf-8", "backslashreplace", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    yield lambda row: writer.writerow(
        json.dumps(value) if isinstance(value, tuple) else value for value in row.values()
    )
    text.detach()


@contextmanager
def _parquet(into: BinaryIO) -> Iterator[Write]:
    pyarrow = _pyarrow()
    from pyarrow import parquet

    schema = pyarrow.schema([(name, _arrow_type(pyarrow, kind)) for name, kind in COLUMNS.items()])
    group: list[Row] = []
    num_characters = 0

    def flush() -> None:
        file.write_table(pyarrow.Table.from_pylist(group, schema=schema))
        group.clear()

    def write(row: Row) -> None:
        nonlocal num_characters
        group.append({name: _spelled(value) if isinstance(value, str) else value for name, value in row.items()})
        num_characters += sum(len(value) for value in row.values() if isinstance(value, str))
        if len(group) >= GROUP_ROWS or num_characters >= GROUP_CHARACTERS:
            flush()
            num_characters = 0

    with parquet.ParquetWriter(into, schema, compression="zstd") as file:
        yield write
        flush()


FORMATS: dict[str, Callable[[BinaryIO], AbstractContextManager[Write]]] = {
    ".parquet": _parquet,
    ".csv": _csv,
    ".jsonl": _json_lines,
}


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ModuleNotFoundError as error:
        raise MissingExtraError("pyarrow", "datasets", "Writing Parquet") from error
    return pyarrow


def _arrow_type(pyarrow: Any, kind: str) -> Any:
    return pyarrow.list_(pyarrow.float64()) if kind == "list<double>" else pyarrow.type_for_alias(kind)


def _spelled(text: str) -> str:
    """Return the text as UTF-8 has it."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
