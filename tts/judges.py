"""Judging without drawing: a recipe's verifiers, scorer and selector, each opened when it is first needed."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from tts.errors import UsageError, VerifierError
from tts.judging import Judged, judge, reselect
from tts.problems import ProblemRow
from tts.protocols import Task
from tts.recipe import Recipe
from tts.stored import Stored
from tts.tasks import every_task
from tts.types import Candidate, Selection, Verdict

FAILED = "judging_failed"
SCORER = "scorer"


class Judges:
    """What a recipe judges with. Use it as a context: leaving it closes what was opened."""

    def __init__(self, recipe: Recipe) -> None:
        self.selector = recipe.selector
        self.tasks = every_task(recipe.task)
        self._open: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for kind in self._open - {SCORER}:
            self.tasks[kind].verifier.close()
        if SCORER in self._open and self.selector.scorer is not None:
            self.selector.scorer.close()

    def judged(self, run: Stored, row: ProblemRow, candidates: Sequence[Candidate], *, afresh: bool = False) -> Judged:
        """Return what is derived from a stored problem's candidates: as it is stored, else, or if `afresh`, anew.

        All are undecided where judging failed. Raises TTSError where a verifier or scorer cannot be opened.
        """
        known = None if afresh else run.graded(row.problem.id)
        if known is not None and not run.selected_anew:
            return known
        try:
            if known is not None:
                self._open_scorer()
                return reselect(self.selector, row.problem, candidates, known)
            task = self.tasks[row.problem.kind]
            self._open_verifier(task)
            self._open_scorer()
            return judge(task, self.selector, row.problem, row.reference, candidates)
        except (UsageError, VerifierError):
            raise
        except Exception as error:
            return _failed(candidates, f"{type(error).__name__}: {error}")

    def _open_verifier(self, task: Task) -> None:
        if task.kind not in self._open:
            task.verifier.open()
            self._open.add(task.kind)

    def _open_scorer(self) -> None:
        if SCORER not in self._open and self.selector.scorer is not None:
            self.selector.scorer.open()
            self._open.add(SCORER)


def _failed(candidates: Sequence[Candidate], message: str) -> Judged:
    """Return what is known where judging failed: nothing, and why."""
    nothing = (None,) * len(candidates)
    verdict = Verdict("undecided", FAILED, message)
    selection = Selection(None, None, (), num_tied=0, num_abstained=len(candidates))
    return Judged(nothing, nothing, (), selection, (verdict,) * len(candidates), verdict)
