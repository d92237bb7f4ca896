"""Runs that are there already, read without a lock and without a model: folders of ours, and files of other tools."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tts.errors import RunFolderError, UsageError
from tts.recipe import Recipe, differences, only_later_stages, rebuild_recipe
from tts.runs import records
from tts.runs.files import StoredFile
from tts.runs.folder import StoredFolder, candidate_places, input_lines, read_job
from tts.runs.judgements import StoredJudgements
from tts.runs.ledger import Superseded, superseded
from tts.runs.records import InputLine, Session
from tts.types import Candidate, Given, Judged, ProblemRow, RowError


class Stored:
    """Stored candidates beside their problems. Problems come in the order of the input.

    `name` is what to call it: the recipe's name, or the file's. `recipe` is what judges the candidates; of a file of
    another tool, only task and selector mean something. `origin` is the resolved recipe as far as it is known, and
    `statistics` what plugins told of the run. `errors` are rows that are no problem or no candidate, and `notes` say
    what is not known of these candidates, a sentence each. `selected_anew`: whether another selector was asked for than
    the one whose selections `graded` returns. `given_scores` names the figures of the candidates that are scores of
    another tool; `verdicts_stand`: whether the verdicts that came with them are asked for, and no verifier's.
    """

    path: Path
    name: str
    recipe: Recipe
    origin: Mapping[str, Any]
    statistics: Mapping[str, Any] = MappingProxyType({})
    errors: Sequence[RowError] = ()
    notes: Sequence[str] = ()
    selected_anew: bool = False
    given_scores: Sequence[str] = ()
    verdicts_stand: bool = True
    _rows: Mapping[str, Any]
    """Problem → where its row is."""
    _drawn: Mapping[str, Mapping[int, Any]]
    """Problem → index → where the candidate is."""

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
        return len(self._drawn[problem_id])

    def candidates(self, problem_id: str) -> tuple[Candidate, ...]:
        """Return a problem's candidates, by index."""
        raise NotImplementedError

    def given(self, row: ProblemRow) -> Sequence[Given]:
        """Return what another tool knows of a problem's candidates, by index; () where that is nothing."""
        del row
        return ()

    def superseded(self, problem_id: str) -> Sequence[Superseded]:
        """Return what is known of a problem's candidates that were drawn anew."""
        del problem_id
        return ()

    def graded(self, problem_id: str) -> Judged | None:
        """Return what is stored as derived from them; None where any part is missing, or another verifier was asked."""
        del problem_id
        return None

    def sessions(self) -> list[Session]:
        """Return the sessions that drew something, as far as they ended in good order."""
        return []

    def close(self) -> None:
        """Close the files."""


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

    Complete lines are read, a torn last one is not.

    Raises RunFolderError where there is no run, RecipeError where an override is wrong or is not about judging.
    """

    def __init__(self, path: Path, overrides: Sequence[str] = ()) -> None:
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
        self._superseded = superseded(path)
        self._derived = self._read_derived(drawn_by)

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

    def row(self, problem_id: str) -> ProblemRow:
        """Return one problem with its reference."""
        row = self._folder["problems.jsonl"].read(self._rows[problem_id], InputLine).row
        assert isinstance(row, ProblemRow)
        return row

    def candidates(self, problem_id: str) -> tuple[Candidate, ...]:
        """Return a problem's candidates, by index."""
        file, offsets = self._folder["candidates.jsonl"], self._drawn[problem_id]
        return tuple(file.read(offsets[index], Candidate) for index in sorted(offsets))

    def superseded(self, problem_id: str) -> Sequence[Superseded]:
        """Return what is known of a problem's candidates that were drawn anew."""
        return self._superseded.get(problem_id, ())

    def graded(self, problem_id: str) -> Judged | None:
        """Return what is stored as derived from all of a problem's candidates."""
        judged = None if self._derived is None else self._derived.read(problem_id)
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
