"""Candidates that another tool made: JSON lines of `{"problem_id", "text", …}` beside a file of problems.

The file is read once, whatever its size: what is sound is put aside in our own form (see `Spool`), and of that only the
places are kept in memory. What each row may bring is in `tts.runs.candidate_row`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, cast

from tts.errors import UsageError, plural, shown
from tts.problems.choices import read_answer_letter
from tts.problems.formats import read_records
from tts.problems.jsonl import BadRow
from tts.recipe import Recipe, rebuild_recipe
from tts.runs import records
from tts.runs.candidate_row import CandidateRow, read_candidate
from tts.runs.candidates import candidate_of
from tts.runs.completions import number_the_rest
from tts.runs.files import Spool
from tts.runs.records import InputLine
from tts.runs.stored import Stored, asked_scorer, judgeable_problems, refused_rows
from tts.types import Candidate, Completion, Given, Problem, ProblemRow, RowError

UNKNOWN_SEED = -1
UNKNOWN_SAMPLER = "unknown"
JUDGING = ("task", "selector")
COUNTED = ("finish_reason", "num_tokens", "num_prompt_tokens")

NOBODYS_RUN = {
    "task": {"name": "math"},
    "engine": {"name": "replay", "script": ["nothing is drawn"]},
    "sampler": {"name": "temperature"},
    "selector": {"name": "majority_vote"},
}
"""Stands for the recipe of candidates whose own is not known; its task and selector judge them."""


@dataclass(frozen=True, slots=True)
class SpooledCandidate:
    """A candidate as it is put aside. Where its row had no index, that of `candidate` means nothing."""

    candidate: Candidate
    given: Given


class CandidateFile(Stored):
    """A file of candidates. `overrides` say what judges them (`task…`, `selector…`); `problems` names theirs.

    A row needs `problem_id`, and `text` or `answer`; the other keys of a candidate may be left out: no `index`: the
    lowest that no row of the problem names; no `finish_reason`: taken as `stop`; no token counts: words are counted.
    Scores are figures for the scorer `given`; verdicts stand unless another verifier is asked for. `notes` say so. Rows
    that cannot be used are in `errors`, with their files and lines.
    """

    def __init__(self, path: Path, problems: str | None, overrides: Sequence[str] = ()) -> None:
        self.path = path
        self.name = path.name.removesuffix(".gz").removesuffix(".jsonl")
        self.recipe = judging_recipe(overrides)
        self.origin = {key: self.recipe.resolved()[key] for key in JUDGING}
        if problems is None:
            raise UsageError(f"{path} holds candidates alone: name their problems with --problems FILE")
        self.errors: list[RowError] = []
        self.given_scores: list[str] = []
        self.verdicts_stand = not any(override.startswith("task.verifier") for override in overrides)
        self._counts: Counter[str] = Counter()
        self._unused: Counter[str] = Counter()
        self._dropped: dict[tuple[str, str], list[int]] = {}
        self._spool = Spool()
        try:
            self._num_prompt_words: dict[str, int] = {}
            self._rows: dict[str, int] = dict(self._read_problems(problems))
            self._drawn: dict[str, dict[int, int]] = {}
            self._read_candidates()
        except BaseException:
            self._spool.close()
            raise
        self.notes = list(self._told())

    def _read_problems(self, spec: str) -> Iterator[tuple[str, int]]:
        """Yield each problem and its place."""
        for row in self._sound(judgeable_problems(self.recipe, spec), spec):
            self._num_prompt_words[row.problem.id] = len(row.problem.prompt.split())
            yield row.problem.id, self._spool.append(records.input_line(row))

    def _sound(self, rows: Iterable[Any], source: str) -> Iterator[Any]:
        """Yield the rows that are none of the errors, which are kept with the name of their file."""
        for row in rows:
            if isinstance(row, RowError):
                self.errors.append(replace(row, message=f"{source}: {row.message}"))
            else:
                yield row

    def _read_candidates(self) -> None:
        """Put every candidate aside, and give those without an index the lowest that is free."""
        without: dict[str, list[int]] = {}
        with _opened(self.path) as file:
            for row in self._sound(read_records(file, str(self.path), ("problem_id",), portable=False), str(self.path)):
                try:
                    found = read_candidate(row.values)
                    self._keep(row.line, found, without)
                except BadRow as error:
                    record = error.record(row.line)
                    self.errors.append(replace(record, message=f"{self.path}: {record.message}"))
        for problem_id, offsets in without.items():
            number_the_rest(self._drawn.setdefault(problem_id, {}), offsets)

    def _keep(self, line: int, row: CandidateRow, without: dict[str, list[int]]) -> None:
        if row.problem_id not in self._rows:
            raise BadRow("unknown_problem", f"`problem_id` must be one of the problems, got {shown(row.problem_id)}")
        index = row.found.pop("index", None)
        of_problem = self._drawn.get(row.problem_id, {})
        if index in of_problem:
            message = f"`index` must be unique within its problem, got {index} again: renumber it, or leave it out"
            raise BadRow("duplicate_candidate", message, row.problem_id)
        self._count(line, row)
        fields = {
            "num_prompt_tokens": self._num_prompt_words[row.problem_id],
            "num_tokens": len(row.found["text"].split()) + len(row.found.get("reasoning", "").split()),
            "finish_reason": "stop",
            **row.found,
        }
        completion = Completion(problem_id=row.problem_id, key="", engine_stats=row.figures, **fields)
        candidate = candidate_of(completion, index or 0, UNKNOWN_SEED, UNKNOWN_SAMPLER, thinking_tags=None)
        offset = self._spool.append(SpooledCandidate(candidate, row.given))
        if index is None:
            without.setdefault(row.problem_id, []).append(offset)
        else:
            self._drawn.setdefault(row.problem_id, {})[index] = offset

    def _count(self, line: int, row: CandidateRow) -> None:
        """Note what is missing, unused or dropped, and what came with the candidate."""
        self._counts.update(key for key in COUNTED if key not in row.found and key not in row.dropped)
        self._counts["verdict"] += row.given.verdict is not None
        self._unused.update(row.unused)
        for key, told in row.dropped.items():
            self._dropped.setdefault((key, told.partition(", got ")[0]), []).append(line)
        self.given_scores += [name for name in row.scorers if name not in self.given_scores]

    def _told(self) -> Iterator[str]:
        """Yield what is not known of these candidates, and what came with them."""
        yield from refused_rows(self.name, self.errors)
        for (key, wanted), lines in self._dropped.items():
            where = ", ".join(map(str, lines[:3])) + (", …" if len(lines) > 3 else "")
            yield (
                f"{self.name}: `{key}` must be {wanted}; in {plural(len(lines), 'row')} it is not (line {where}): the "
                "rest is kept, without it"
            )
        if self._counts["finish_reason"]:
            yield (
                f"{self.name}: no finish_reason in {plural(self._counts['finish_reason'], 'row')}: taken as finished, "
                "so that a truncated one counts by what it says; add the key finish_reason"
            )
        if self._counts["num_tokens"] or self._counts["num_prompt_tokens"]:
            rows = max(self._counts["num_tokens"], self._counts["num_prompt_tokens"])
            yield f"{self.name}: no token counts in {plural(rows, 'row')}, so words are counted: add num_tokens"
        if self._counts["verdict"]:
            yield (
                f"{self.name}: a verdict comes with {plural(self._counts['verdict'], 'row')} and stands; `tts grade` "
                "and --set task.verifier judge anew, where there is a reference"
            )
        if self._unused:
            yield f"{self.name}: keys that mean nothing here were not used: {', '.join(sorted(self._unused))}"

    def row(self, problem_id: str) -> ProblemRow:
        """Return one problem with its reference."""
        return cast("ProblemRow", self._spool.read(self._rows[problem_id], InputLine).row)

    def candidates(self, problem_id: str) -> tuple[Candidate, ...]:
        """Return a problem's candidates, by index."""
        return tuple(replace(one.candidate, index=index) for index, one in self._spooled(problem_id))

    def given(self, row: ProblemRow) -> tuple[Given, ...]:
        """Return what came with them, by index."""
        return tuple(_in_letters(one.given, row.problem) for _, one in self._spooled(row.problem.id))

    def _spooled(self, problem_id: str) -> Iterator[tuple[int, SpooledCandidate]]:
        for index, offset in sorted(self._drawn.get(problem_id, {}).items()):
            yield index, self._spool.read(offset, SpooledCandidate)

    def close(self) -> None:
        """Free what was put aside."""
        self._spool.close()


def judging_recipe(overrides: Sequence[str]) -> Recipe:
    """Return a recipe that judges and draws nothing: mathematics and a majority vote, unless overridden."""
    for override in overrides:
        if override.partition("=")[0].partition(".")[0] not in JUDGING:
            raise UsageError(f"--set {override}: stored candidates are judged, not drawn: set {' or '.join(JUDGING)}")
    return rebuild_recipe(NOBODYS_RUN, asked_scorer(NOBODYS_RUN, overrides), purpose="judge")


def _in_letters(given: Given, problem: Problem) -> Given:
    """Return an answer to a choice as its letter, where it is the letter or text of an option."""
    if given.answer is None or not problem.choices:
        return given
    try:
        return replace(given, answer=read_answer_letter(given.answer, problem.choices))
    except BadRow:
        return given


def _opened(path: Path) -> BinaryIO:
    try:
        return path.expanduser().open("rb")
    except OSError as error:
        raise UsageError(f"the candidates in {path} cannot be read ({error.strerror}): give a readable file") from error
