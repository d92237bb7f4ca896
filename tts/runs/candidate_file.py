"""Candidates that another tool made: JSON lines of `{"problem_id", "text", …}` beside a file of problems."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import ValidationError

from tts.errors import UsageError, shown
from tts.problems import open_problems
from tts.problems.jsonl import BadRow, Row, read_json_lines, usable_id
from tts.problems.rows import judgeable
from tts.recipe import Recipe, rebuild_recipe
from tts.runs.candidates import candidate_of
from tts.runs.completions import StoredCompletion
from tts.runs.stored import Stored
from tts.types import Candidate, ProblemRow, RowError

UNKNOWN_SEED = -1
UNKNOWN_SAMPLER = "unknown"
JUDGING = ("task", "selector")
KEYS = frozenset(StoredCompletion.model_fields)

NOBODYS_RUN = {
    "task": {"name": "math"},
    "engine": {"name": "replay", "script": ["nothing is drawn"]},
    "sampler": {"name": "temperature"},
    "selector": {"name": "majority_vote"},
}
"""Stands for the recipe of candidates whose own is not known; its task and selector judge them."""


class CandidateFile(Stored):
    """A file of candidates, in memory. `overrides` say what judges them (`task…`, `selector…`); `problems` as a spec.

    A row needs `problem_id` and `text`; the other keys of a candidate may be left out: no `index`: the next free one;
    no `finish_reason`: taken as `stop`; no token counts: words are counted. `notes` say so. Rows that cannot be used
    are in `errors`, with their files and lines.
    """

    def __init__(self, path: Path, problems: str | None, overrides: Sequence[str] = ()) -> None:
        self.path = path
        self.name = path.name.removesuffix(".gz").removesuffix(".jsonl")
        self.recipe = judging_recipe(overrides)
        self.origin = {key: self.recipe.resolved()[key] for key in JUDGING}
        if problems is None:
            raise UsageError(f"{path} holds candidates alone: name their problems with --problems FILE")
        self.errors: list[RowError] = []
        self._rows = {row.problem.id: row for row in self._read_problems(problems)}
        self._missing: Counter[str] = Counter()
        self._unused: Counter[str] = Counter()
        self._drawn: dict[str, dict[int, Candidate]] = {}
        for candidate in self._read_candidates():
            self._drawn.setdefault(candidate.problem_id, {})[candidate.index] = candidate
        self.notes = list(self._told())

    def _read_problems(self, spec: str) -> Iterator[ProblemRow]:
        with open_problems(spec, default_kind=self.recipe.task.kind, seed=self.recipe.seed) as source:
            task = self.recipe.task  # problems of other kinds have their own, which are not open here
            rows = (
                judgeable(row, task.verifier) if isinstance(row, ProblemRow) and row.problem.kind == task.kind else row
                for row in source
            )
            yield from self._sound(rows, spec)

    def _sound(self, rows: Iterable[Any], source: str) -> Iterator[Any]:
        """Yield the rows that are none of the errors, which are kept with the name of their file."""
        for row in rows:
            if isinstance(row, RowError):
                self.errors.append(replace(row, message=f"{source}: {row.message}"))
            else:
                yield row

    def _read_candidates(self) -> Iterator[Candidate]:
        with _open(self.path) as file:
            for row in self._sound(read_json_lines(file), str(self.path)):
                try:
                    yield self._candidate(row)
                except BadRow as error:
                    record = error.record(row.line)
                    self.errors.append(replace(record, message=f"{self.path}: {record.message}"))

    def _candidate(self, row: Row) -> Candidate:
        """Return the candidate of a row. Raises BadRow."""
        problem_id = usable_id(row.values.get("problem_id"))
        if problem_id is None:
            raise BadRow("bad_problem_id", f"`problem_id` must be an id, got {shown(row.values.get('problem_id'))}")
        if problem_id not in self._rows:
            raise BadRow("unknown_problem", f"`problem_id` must be one of the problems, got {shown(problem_id)}")
        completion = _completion(row, problem_id)
        of_problem = self._drawn.get(problem_id, {})
        index = len(of_problem) if completion.index is None else completion.index
        if index in of_problem:
            message = f"`index` must be unique within its problem, got {index} again: renumber it, or leave it out"
            raise BadRow("duplicate_candidate", message, problem_id)
        self._unused.update(row.values.keys() - KEYS)
        self._missing.update({"finish_reason", "num_tokens", "num_prompt_tokens"} - row.values.keys())
        num_prompt_words = len(self._rows[problem_id].problem.prompt.split())
        written = completion.completion(problem_id, str(index), num_prompt_words)
        return candidate_of(written, index, UNKNOWN_SEED, UNKNOWN_SAMPLER, thinking_tags=None)

    def _told(self) -> Iterator[str]:
        """Yield what is not known of these candidates."""
        if self._missing["finish_reason"]:
            yield (
                f"{self.name}: {self._missing['finish_reason']} rows have no finish_reason and count as finished, so a "
                "truncated one among them counts by what it says: add the key finish_reason"
            )
        if self._missing["num_tokens"] or self._missing["num_prompt_tokens"]:
            rows = max(self._missing["num_tokens"], self._missing["num_prompt_tokens"])
            yield f"{self.name}: {rows} rows have no token counts, so words are counted: add num_tokens"
        if self._unused:
            yield f"{self.name}: keys that mean nothing here were not used: {', '.join(sorted(self._unused))}"

    def row(self, problem_id: str) -> ProblemRow:
        """Return one problem with its reference."""
        row: ProblemRow = self._rows[problem_id]
        return row

    def candidates(self, problem_id: str) -> tuple[Candidate, ...]:
        """Return a problem's candidates, by index."""
        of_problem = self._drawn[problem_id]
        return tuple(of_problem[index] for index in sorted(of_problem))


def judging_recipe(overrides: Sequence[str]) -> Recipe:
    """Return a recipe that judges and draws nothing: mathematics and a majority vote, unless overridden."""
    for override in overrides:
        if override.partition("=")[0].partition(".")[0] not in JUDGING:
            raise UsageError(f"--set {override}: stored candidates are judged, not drawn: set {' or '.join(JUDGING)}")
    return rebuild_recipe(NOBODYS_RUN, overrides, purpose="judge")


def _open(path: Path) -> BinaryIO:
    try:
        return path.expanduser().open("rb")
    except OSError as error:
        raise UsageError(f"the candidates in {path} cannot be read ({error.strerror}): give a readable file") from error


def _completion(row: Row, problem_id: str) -> StoredCompletion:
    known = {key: value for key, value in row.values.items() if key in KEYS} | {"problem_id": problem_id}
    try:
        return StoredCompletion.model_validate_json(json.dumps(known))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        key = "".join(f"`{part}`: " for part in first["loc"][:1])
        raise BadRow(
            "bad_candidate", f"a candidate must have the right keys, got {key}{first['msg']}", problem_id
        ) from error
