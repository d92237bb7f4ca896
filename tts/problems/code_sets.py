"""The code benchmarks known by name, with their options: `livecodebench?release=v5&from=2024-08&to=2025-01`.

Each is read from the Hugging Face hub, or with `path=FILE` from JSON lines in the form in which it is published.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from tts.errors import ProblemsError, nearest
from tts.problems.code_formats import Values, read_humaneval, read_livecodebench, read_mbpp
from tts.problems.hub import HubSet, check_columns, checked_row, load_hub_set
from tts.problems.jsonl import BadRow, Row, usable_id
from tts.types import JSON, RowError

if TYPE_CHECKING:
    import datasets

Options = Mapping[str, str]
DAY = r"\d{4}(-\d\d(-\d\d)?)?"
SPLITS = r"(train|validation|test|prompt)(\+(train|validation|test|prompt))*"


@dataclass(frozen=True, slots=True)
class Option:
    """What may be asked of a set: its default, the pattern of its values, and words for that."""

    default: str
    pattern: str
    wanted: str
    hub_only: bool = False


@dataclass(frozen=True, slots=True)
class CodeSet:
    """A code benchmark: where it lies on the hub, the columns it must have, and how one of its rows is read."""

    description: str
    num_problems: int
    hub_set: Callable[[Options], HubSet]
    columns: tuple[str, ...]
    read: Callable[[Values, Options], dict[str, JSON]]
    options: Mapping[str, Option] = field(default_factory=dict)

    @property
    def page(self) -> str:
        """Where it is published."""
        return f"https://huggingface.co/datasets/{self.hub_set(self.defaults).path}"

    @property
    def defaults(self) -> dict[str, str]:
        """The options where none are given."""
        return {name: option.default for name, option in self.options.items()}


@dataclass(frozen=True, slots=True)
class CodeSetRequest:
    """A set by name with its options; `path` is the file to read instead of the hub, "" for the hub."""

    known: CodeSet
    options: Options
    path: str

    def hub_rows(self) -> tuple[int, Iterator[Row | RowError]]:
        """Load the set from the hub now; return how many rows it has, and the rows. Raises ProblemsError."""
        hub_set = self.known.hub_set(self.options)
        dataset = load_hub_set(hub_set)
        check_columns(hub_set.path, self.known.columns, dataset.column_names)
        chosen = _in_window(dataset, self.options)
        return len(chosen), self._read(checked_row(index, f"row-{index}", item) for index, item in enumerate(chosen))

    def file_rows(self, rows: Iterable[Row | RowError]) -> Iterator[Row | RowError]:
        """Return those of a file's rows that the options ask for."""
        return self._read(row for row in rows if isinstance(row, RowError) or _is_in_window(row.values, self.options))

    def _read(self, rows: Iterable[Row | RowError]) -> Iterator[Row | RowError]:
        for row in rows:
            if isinstance(row, RowError):
                yield row
                continue
            try:
                yield replace(row, values=self.known.read(row.values, self.options))
            except BadRow as error:
                error.problem_id = usable_id(row.values.get("id")) or row.default_id
                yield error.record(row.line)


def code_set_request(spec: str) -> CodeSetRequest:
    """Read `NAME?KEY=VALUE&…`. The keys are `path` and the set's own options. Raises ProblemsError."""
    name, _, query = spec.partition("?")
    known = CODE_SETS[name]
    given: dict[str, str] = {}
    names = ("path", *known.options)
    for key, value in parse_qsl(query.replace("+", "%2B"), keep_blank_values=True):
        if key not in names:
            hint = nearest(key, names, "did you mean {}?", "correct the name.", most=1)
            raise ProblemsError(f"A key of {spec} must be one of {', '.join(names)}, got {key!r}: {hint}")
        option = known.options.get(key, Option("", ".+", "the path of a JSON lines file"))
        if key in given or not re.fullmatch(option.pattern, value):
            got = "two values" if key in given else repr(value)
            raise ProblemsError(f"`{key}` must be {option.wanted} in {spec}, got {got}.")
        given[key] = value
    path = given.pop("path", "")
    for key in given:
        if path and known.options[key].hub_only:
            raise ProblemsError(f"`{key}` must be left out where `path` is given, got both in {spec}: remove one.")
    return CodeSetRequest(known, {**known.defaults, **given}, path)


def _in_window(dataset: datasets.Dataset, options: Options) -> datasets.Dataset:
    """Return the rows of the window; only their dates are read for it."""
    if not options.get("from") and not options.get("to"):
        return dataset
    days = dataset["contest_date"]
    return dataset.select([place for place, day in enumerate(days) if _is_in_window({"contest_date": day}, options)])


def _is_in_window(values: Mapping[str, object], options: Options) -> bool:
    """Tell whether a contest took place from the first day (month, year) to the last, both included."""
    first, last = options.get("from", ""), options.get("to", "")
    day = str(values.get("contest_date", ""))
    return (not first or day[: len(first)] >= first) and (not last or "" < day[: len(last)] <= last)


def _livecodebench_files(options: Options) -> HubSet:
    """A release holds all files up to its own."""
    number = int(options["release"][-1])
    files = ("test.jsonl", *(f"test{later}.jsonl" for later in range(2, number + 1)))
    return HubSet("livecodebench/code_generation_lite", "train", files=files)


CODE_SETS: Mapping[str, CodeSet] = {
    "humaneval": CodeSet(
        "Functions to complete from signature and docstring (Chen et al. 2021)",
        164,
        lambda _: HubSet("openai/openai_humaneval", "test"),
        ("task_id", "prompt", "canonical_solution", "test", "entry_point"),
        lambda values, _: read_humaneval(values),
    ),
    "mbpp": CodeSet(
        "Functions to write from a sentence and a test, sanitized, test split (Austin et al. 2021)",
        257,
        lambda options: HubSet("google-research-datasets/mbpp", options["split"], "sanitized"),
        ("task_id", "prompt", "code", "test_imports", "test_list"),
        lambda values, options: read_mbpp(values, int(options["shown"])),
        {
            "split": Option("test", SPLITS, "train, validation, test or prompt, joined by +", hub_only=True),
            "shown": Option("1", r"[0-9]", "a number of tests from 0 to 9"),
        },
    ),
    "livecodebench": CodeSet(
        "Contest problems, release v5, or by release and date (Jain et al. 2024)",
        880,
        _livecodebench_files,
        ("question_id", "question_content", "starter_code", "public_test_cases", "private_test_cases", "metadata"),
        lambda values, _: read_livecodebench(values),
        {
            "release": Option("v5", r"(release_)?v[1-6]", "one of v1 to v6", hub_only=True),
            "from": Option("", DAY, "a day, month or year such as 2024-08-01"),
            "to": Option("", DAY, "a day, month or year such as 2025-01-31"),
        },
    ),
}
