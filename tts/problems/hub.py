"""Problems from a Hugging Face data set: `hf://owner/name?split=test&problem=question&answer=answer`."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from tts.errors import MissingExtraError, ProblemsError, ProblemsNotHereError, nearest
from tts.models.hub import hub_for
from tts.problems.jsonl import BadRow, Row, check_portable
from tts.problems.rows import CHOICES_KEYS, PROMPT_KEYS
from tts.types import JSON, RowError

if TYPE_CHECKING:
    import datasets

COLUMN_KEYS = ("id", "problem", "messages", "answer", "tests", "choices")
PLACE_KEYS = ("split", "config", "revision")


@dataclass(frozen=True, slots=True)
class HubSet:
    """Where a data set lies, and which of its columns means what.

    `path` is `owner/name` on the hub or a local folder of data files; `split` may be left out where there is only one;
    `columns` maps our keys to the set's columns; `files` names the JSON lines files to read, where not all are wanted.
    """

    path: str
    split: str | None = None
    config: str | None = None
    revision: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()


def parse_hub_spec(spec: str) -> HubSet:
    """Read `hf://PATH?KEY=VALUE&…`. The keys are split, config, revision, and our keys naming the set's columns.

    A plus means itself (`split=train+test`); `%20` or a space is a space.
    """
    path, _, query = spec.removeprefix("hf://").partition("?")
    if not path.strip("/"):
        raise ProblemsError(f"`problems` must name a data set after hf://, got {spec!r}: write hf://owner/name")
    values: dict[str, str] = {}
    for key, value in parse_qsl(query.replace("+", "%2B"), keep_blank_values=True):
        known = (*PLACE_KEYS, *COLUMN_KEYS)
        if key not in known:
            hint = nearest(key, known, "did you mean {}? Else ", most=1)
            raise ProblemsError(
                f"A key of {spec} must be one of {', '.join(known)}, got {key!r}: {hint}correct the name."
            )
        if not value or key in values:
            raise ProblemsError(f"`{key}` must have one value in {spec}, got {'two' if key in values else 'none'}.")
        values[key] = value
    columns = {key: values[key] for key in COLUMN_KEYS if key in values}
    return HubSet(path, values.get("split"), values.get("config"), values.get("revision"), columns)


def load_hub_set(hub_set: HubSet) -> datasets.Dataset:
    """Download the set (or find it in the cache) and return it. Raises ProblemsError saying what to do."""
    try:
        import datasets
    except ModuleNotFoundError as error:
        if error.name != "datasets":
            raise
        raise MissingExtraError("datasets", "datasets", f"The data set {hub_set.path}") from error
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    path, split = hub_set.path, hub_set.split
    with hub_for(path) as unreachable:
        try:
            if hub_set.files:
                folder = path if Path(path).is_dir() else f"hf://datasets/{path}"
                files = [f"{folder}/{name}" for name in hub_set.files]
                loaded = datasets.load_dataset("json", data_files=files, split=split)
            else:
                loaded = datasets.load_dataset(path, hub_set.config, split=split, revision=hub_set.revision)
        except Exception as error:  # the library passes on whatever its readers and its network stack raise
            raise _cannot_load(hub_set, error, unreachable) from error
    if isinstance(loaded, datasets.DatasetDict):
        first, *others = loaded
        if others:
            raise ProblemsError(f"`split` must be one of {', '.join(loaded)} for {path}, got none: add ?split={first}")
        loaded = loaded[first]
    check_columns(path, hub_set.columns.values(), loaded.column_names)
    return loaded


def hub_rows(hub_set: HubSet, dataset: datasets.Dataset) -> Iterator[Row | RowError]:
    """Yield the set's rows in its order; a row without an id is called `<name>-<its index from 0>`."""
    name = hub_set.path.rstrip("/").rpartition("/")[2]
    for index, item in enumerate(dataset):
        yield checked_row(index, f"{name}-{index}", *_sort_columns(item, hub_set.columns))


def checked_row(
    index: int, default_id: str, values: Mapping[str, JSON], extra: Mapping[str, JSON] | None = None
) -> Row | RowError:
    """Return row number `index` (from 0), dates as text, or the record of what in it JSON cannot hold."""
    try:
        row = Row(index + 1, default_id, _as_json(values), _as_json(extra or {}))
        check_portable({**row.extra, **row.values})
    except BadRow as error:
        error.problem_id = error.problem_id or default_id
        return error.record(index + 1)
    return row


def check_columns(path: str, wanted: Collection[str], present: Collection[str]) -> None:
    """Raise ProblemsError where the set lacks a column."""
    for column in wanted:
        if column not in present:
            hint = nearest(column, present, "did you mean {}? Else ", most=1)
            raise ProblemsError(
                f"A column of {path} must be one of {', '.join(present)}, got {column!r}: {hint}correct the name."
            )


def _cannot_load(hub_set: HubSet, error: Exception, unreachable: str | None) -> ProblemsError:
    if unreachable or isinstance(error, ConnectionError | TimeoutError):
        advice = "Check the network; a set that was loaded once is found in the cache without it."
    elif type(error).__name__ == "DatasetNotFoundError":
        page = f"https://huggingface.co/datasets/{hub_set.path}"
        advice = f"Check the name. If it is gated or private: accept its terms at {page}, then run `hf auth login`."
    else:
        advice = "Check its name, split, config and revision."
    kind = ProblemsNotHereError if unreachable else ProblemsError
    return kind(
        f"The data set {hub_set.path} cannot be loaded ({unreachable or error}). {advice} "
        "A path to a JSON lines file works too."
    )


def _as_json(values: Mapping[str, JSON]) -> dict[str, JSON]:
    return json.loads(json.dumps(values, default=_date_as_text))  # type: ignore[no-any-return] # json.loads is untyped


def _date_as_text(value: object) -> str:
    """Undo the library's guess that a text of JSON or CSV is a date; nothing else has a text of its own."""
    if isinstance(value, date | time):
        return value.isoformat()
    message = f"a row must hold what JSON can, got a value of type {type(value).__name__}: leave out its column"
    raise BadRow("not_json_value", message)


def _sort_columns(item: Mapping[str, JSON], columns: Mapping[str, str]) -> tuple[dict[str, JSON], dict[str, JSON]]:
    """Return the values under our keys, and what only has such a name: a column that a named one displaces."""
    groups = {"problem": PROMPT_KEYS, "messages": PROMPT_KEYS, "choices": CHOICES_KEYS}
    displaced = {key for named in columns for key in groups.get(named, (named,))}
    others = {key: value for key, value in item.items() if key not in columns.values()}
    values = {key: value for key, value in others.items() if key not in displaced}
    extra = {key: value for key, value in others.items() if key in displaced}
    return {**values, **{key: item[column] for key, column in columns.items()}}, extra
