"""Runs that are there already, read without a lock and without a model: folders of ours, and files of other tools."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tts.errors import RunFolderError, UsageError, plural, shown
from tts.problems import open_problems
from tts.problems.rows import judgeable
from tts.recipe import Recipe, differences, only_later_stages, rebuild_recipe
from tts.runs import records
from tts.runs.call_log import FILE as CALLS
from tts.runs.call_log import SCORER_FILE as SCORER_CALLS
from tts.runs.call_log import searched
from tts.runs.files import StoredFile
from tts.runs.folder import StoredFolder, candidate_places, input_lines, read_job
from tts.runs.judgements import StoredJudgements
from tts.runs.ledger import added, ledger, priced, superseded
from tts.runs.records import InputLine, Session
from tts.runs.search_tree import SearchTree, read_calls, search_tree
from tts.types import Candidate, Given, InputRow, Judged, ProblemRow, Reference, RowError, Spent


class Stored:
    """Stored candidates beside their problems. Problems come in the order of the input.

    `name` is what to call it: the recipe's name, or the file's. Runs of one folder with the same `line` are points of
    one line, each made for its number of candidates ("": it stands alone). `recipe` is what judges the candidates; of a
    file of another tool, only task and selector mean something. `origin` is the resolved recipe as far as it is known,
    and `statistics` what plugins told of the run. `errors` are rows that are no problem or no candidate, and `notes`
    say what is not known of these candidates, a sentence each. `selected_anew`: whether another selector was asked for
    than the one whose selections `graded` returns. `num_parameters` is what is known of the engines' sizes.
    `given_scores` names the figures of the candidates that are scores of another tool; `verdicts_stand`: whether the
    verdicts that came with them are asked for, and no verifier's.
    """

    path: Path
    name: str
    line: str = ""
    recipe: Recipe
    origin: Mapping[str, Any]
    statistics: Mapping[str, Any] = MappingProxyType({})
    errors: Sequence[RowError] = ()
    notes: Sequence[str] = ()
    selected_anew: bool = False
    given_scores: Sequence[str] = ()
    verdicts_stand: bool = True
    num_parameters: Mapping[str, int] = MappingProxyType({})
    _rows: Mapping[str, Any]
    """Problem → where its row is."""
    _drawn: Mapping[str, Mapping[int, Any]]
    """Problem → index → where the candidate is."""

    @property
    def asked_ids(self) -> Sequence[str]:
        """All problems, with candidates or without."""
        return list(self._rows)

    @property
    def problem_ids(self) -> Sequence[str]:
        """The problems that have candidates."""
        return [name for name in self._rows if name in self._drawn]

    @property
    def waiting_ids(self) -> Sequence[str]:
        """The problems that have none."""
        return [name for name in self._rows if name not in self._drawn]

    def row(self, problem_id: str) -> ProblemRow:
        """Return one problem with its reference."""
        raise NotImplementedError

    def num_candidates(self, problem_id: str) -> int:
        """Return how many candidates of a problem there are."""
        return len(self._drawn.get(problem_id, ()))

    def candidates(self, problem_id: str) -> tuple[Candidate, ...]:
        """Return a problem's candidates, by index."""
        raise NotImplementedError

    def given(self, row: ProblemRow) -> Sequence[Given]:
        """Return what another tool knows of a problem's candidates, by index; () where that is nothing."""
        del row
        return ()

    def spent(self, problem_id: str, candidates: Sequence[Candidate]) -> Mapping[str, Spent]:
        """Return what a problem took, by engine; `candidates` are its own."""
        return self.drawing_spent(problem_id, candidates)

    def drawing_spent(self, problem_id: str, candidates: Sequence[Candidate]) -> Mapping[str, Spent]:
        """Return the same without what scorers asked."""
        del problem_id
        return ledger(candidates)

    def is_complete(self, problem_id: str) -> bool:
        """Tell whether all of a problem's candidates are there."""
        return self.num_candidates(problem_id) == self.recipe.sampler.num_candidates

    def failure(self, problem_id: str) -> str | None:
        """Return why a problem's search failed; None where it did not."""
        del problem_id
        return None

    def search_tree(self, problem_id: str, candidates: Sequence[Candidate]) -> SearchTree | None:
        """Return what is on record of a problem's search; None where there was none. `candidates` are its own."""
        del problem_id, candidates
        return None

    def graded(self, problem_id: str) -> Judged | None:
        """Return what is stored as derived from them; None where any part is missing, or another verifier was asked."""
        del problem_id
        return None

    def sessions(self) -> list[Session]:
        """Return the sessions that drew something, as far as they ended in good order."""
        return []

    def close(self) -> None:
        """Close the files."""


def judgeable_problems(recipe: Recipe, spec: str) -> Iterator[InputRow]:
    """Yield the rows of problems that `recipe` judges; a reference that its verifier cannot read makes an error."""
    task = recipe.task  # problems of other kinds have their own, which are not open here
    with open_problems(spec, default_kind=task.kind, seed=recipe.seed) as source:
        for row in source:
            is_own = isinstance(row, ProblemRow) and row.problem.kind == task.kind
            yield judgeable(row, task.verifier) if is_own else row


def refused_rows(name: str, errors: Sequence[RowError]) -> Iterator[str]:
    """Yield a sentence where rows are in no figure, and why."""
    if errors:
        reasons = Counter(error.error_type for error in errors)
        told = ", ".join(f"{number} {reason}" for reason, number in sorted(reasons.items()))
        yield f"{name}: rows that could not be used, and are in no figure: {told}. Correct them"


def asked_scorer(recipe: Mapping[str, Any], overrides: Sequence[str]) -> Sequence[str]:
    """Return the overrides, with best-of-n before them where they name a scorer for a selector that takes none."""
    keys = [override.partition("=")[0] for override in overrides]
    asked = any(f"{key}.".startswith("selector.scorer.") for key in keys)
    if asked and not {"selector", "selector.name"} & set(keys) and "scorer" not in recipe["selector"]:
        return ["selector=best_of_n", *overrides]
    return overrides


def identity(row: ProblemRow) -> bytes:
    """Return what tells two problems apart that have the same id: a digest of question and reference."""
    return hashlib.sha256(records.dumps([row.problem, row.reference])).digest()


class StoredRun(Stored):
    """A run folder as it is now; another process may be writing it. `overrides` change how it is judged.

    Complete lines are read, a torn last one is not. `problems` names corrected ones: their references are taken in the
    place of the run's, and what was judged by another is judged anew.

    Raises RunFolderError where there is no run, RecipeError where an override is wrong or is not about judging,
    UsageError where corrected problems ask something else.
    """

    def __init__(self, path: Path, overrides: Sequence[str] = (), problems: str | None = None) -> None:
        job = read_job(path) if path.is_dir() else None
        if job is None:
            raise RunFolderError(f"{path} must be a run folder, got {_what_is_there(path)}. Give what --run DIR wrote")
        self.path = path
        self.name = job.name or path.name
        where = str(path / "run.json")
        overrides = asked_scorer(job.recipe, overrides)
        drawn_by = rebuild_recipe(job.recipe, name=self.name, purpose="judge", where=where)
        self.recipe = rebuild_recipe(job.recipe, overrides, name=self.name, purpose="judge", where=where)
        self.origin = self.recipe.resolved()
        self.statistics = job.statistics
        self._folder = StoredFolder(path)
        self._drawn = candidate_places(self._folder["candidates.jsonl"])  # first: a run that goes on adds to both
        self._rows, self.errors = self._read_rows()
        for problem_id in self._drawn.keys() - self._rows.keys():
            raise RunFolderError(
                f"{path / 'candidates.jsonl'} holds candidates of the problem {problem_id!r}, which problems.jsonl "
                "lacks. The files were changed from outside"
            )
        self._superseded, self.num_parameters = superseded(path), job.num_parameters
        self._searched = searched(self._folder[CALLS])
        self._scored = searched(self._folder[SCORER_CALLS])
        self._derived = self._read_derived(drawn_by)
        self._corrected: dict[str, Reference] = {}
        self.notes = [*refused_rows(self.name, self.errors), *(self._correct(problems) if problems else ())]

    def _read_rows(self) -> tuple[dict[str, int], tuple[RowError, ...]]:
        """Return where each problem's row begins, and the rows that are none."""
        offsets: dict[str, int] = {}
        errors: list[RowError] = []
        for offset, line in input_lines(self._folder["problems.jsonl"]):
            if line.error is not None:
                errors.append(line.error)
            elif line.problem is not None:
                offsets[line.problem.id] = offset
        return offsets, tuple(errors)

    def _read_derived(self, drawn_by: Recipe) -> StoredJudgements[StoredFile] | None:
        """Return what was derived, if the verifier that is asked for derived it."""
        changes = differences(drawn_by.resolved(), self.recipe.resolved())
        if not only_later_stages(changes):
            raise UsageError(
                f"stored candidates can be judged anew, not drawn anew: leave out what changes {changes[0].path}"
            )
        self.selected_anew = bool(changes)
        same_verifier = all(change.path.startswith("selector") for change in changes)
        scored = not changes and self.recipe.selector.scorer is not None
        return StoredJudgements(self._folder, scored=scored) if same_verifier else None

    @property
    def is_corrected(self) -> bool:
        """Whether some references are not the run's own."""
        return bool(self._corrected)

    def _correct(self, problems: str) -> Iterator[str]:
        """Take the references of corrected problems that differ from the run's; yield what was not corrected."""
        seen, unknown = set(), 0
        for row in judgeable_problems(self.recipe, problems):
            if isinstance(row, RowError):
                raise UsageError(f"{problems}, line {row.line}: {row.message}")
            if row.problem.id not in self._rows:
                unknown += 1
                continue
            seen.add(row.problem.id)
            own = self.row(row.problem.id)
            if row.problem.prompt != own.problem.prompt:
                raise UsageError(
                    f"{problems}, line {row.line}: problem {row.problem.id!r} must ask what the run was asked, got "
                    f"{shown(row.problem.prompt)} for {shown(own.problem.prompt)}: its candidates answer another"
                )
            if row.reference != own.reference:
                self._corrected[row.problem.id] = row.reference
        yield f"{self.name}: another reference, that of {problems}, judges {plural(len(self._corrected), 'problem')}"
        if unknown or len(seen) < len(self._rows):
            yield (
                f"{self.name}: {len(self._rows) - len(seen)} of its problems are not in {problems} and keep their "
                f"references; {unknown} of that file are not in the run"
            )

    def row(self, problem_id: str) -> ProblemRow:
        """Return one problem with its reference."""
        row = self._folder["problems.jsonl"].read(self._rows[problem_id], InputLine).row
        assert isinstance(row, ProblemRow)
        return replace(row, reference=self._corrected[problem_id]) if problem_id in self._corrected else row

    def candidates(self, problem_id: str) -> tuple[Candidate, ...]:
        """Return a problem's candidates, by index."""
        file, offsets = self._folder["candidates.jsonl"], self._drawn.get(problem_id, {})
        return tuple(file.read(offsets[index], Candidate) for index in sorted(offsets))

    def spent(self, problem_id: str, candidates: Sequence[Candidate]) -> Mapping[str, Spent]:
        """Return what a problem took, by engine, what was drawn anew or given up included, and all that scorers took.

        So it does not depend on which scorer's word stands.
        """
        drawing = self.drawing_spent(problem_id, candidates)
        if problem_id not in self._scored:
            return drawing
        return priced(added([drawing, self._scored[problem_id].spent]), self.num_parameters)

    def drawing_spent(self, problem_id: str, candidates: Sequence[Candidate]) -> Mapping[str, Spent]:
        """Return the same without what scorers asked."""
        if problem_id in self._searched:
            return priced(self._searched[problem_id].spent, self.num_parameters)
        return priced(ledger([*candidates, *self._superseded.get(problem_id, ())]), self.num_parameters)

    def is_complete(self, problem_id: str) -> bool:
        """Tell whether all of a problem's candidates are there: of a search, whether it is over."""
        if problem_id in self._searched:
            searched = self._searched[problem_id]
            return searched.over and self.num_candidates(problem_id) >= searched.num_candidates
        return super().is_complete(problem_id)

    def failure(self, problem_id: str) -> str | None:
        """Return why a problem's search failed; None where it did not."""
        return self._searched[problem_id].error if problem_id in self._searched else None

    def search_tree(self, problem_id: str, candidates: Sequence[Candidate]) -> SearchTree | None:
        """Return what is on record of a problem's search; None where there was none."""
        if problem_id not in self._searched:
            return None
        lines = read_calls(self._folder[CALLS], self._searched[problem_id].offsets)
        return search_tree(lines, candidates)

    def graded(self, problem_id: str) -> Judged | None:
        """Return what is stored as derived from all of a problem's candidates."""
        if self._derived is None or problem_id in self._corrected:
            return None
        judged = self._derived.read(problem_id)
        return judged if judged and len(judged.verdicts) == self.num_candidates(problem_id) else None

    def sessions(self) -> list[Session]:
        """Return the sessions that drew something, as far as they ended in good order."""
        return [one for _, one in self._folder["sessions.jsonl"].records(Session) if one.num_candidates]

    def close(self) -> None:
        """Close the files."""
        self._folder.close()


def _what_is_there(path: Path) -> str:
    if not path.exists():
        return "nothing there"
    return "a folder without run.json" if path.is_dir() else "a file"
