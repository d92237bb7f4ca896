"""Judging without drawing: a recipe's verifiers, scorer and selector, each opened when it is first needed."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from tts.judging import Judged, judge
from tts.problems import ProblemRow
from tts.recipe import Recipe
from tts.tasks import every_task
from tts.types import Candidate, Selection, Verdict

FAILED = "judging_failed"


class Judges:
    """What a recipe judges with. Use it as a context: leaving it closes what was opened."""

    def __init__(self, recipe: Recipe) -> None:
        self.selector = recipe.selector
        self.tasks = every_task(recipe.task)
        self._open: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for kind in self._open:
            self.tasks[kind].verifier.close()
        if self._open and self.selector.scorer is not None:
            self.selector.scorer.close()

    def judge(self, row: ProblemRow, candidates: Sequence[Candidate]) -> Judged:
        """Return what is derived from one problem's candidates; all are undecided where judging failed.

        Raises TTSError where a verifier or scorer cannot be opened.
        """
        self._make_ready(row.problem.kind)
        try:
            return judge(self.tasks[row.problem.kind], self.selector, row.problem, row.reference, candidates)
        except Exception as error:
            return _failed(candidates, f"{type(error).__name__}: {error}")

    def _make_ready(self, kind: str) -> None:
        if kind in self._open:
            return
        if not self._open and self.selector.scorer is not None:
            self.selector.scorer.open()
        self.tasks[kind].verifier.open()
        self._open.add(kind)


def _failed(candidates: Sequence[Candidate], message: str) -> Judged:
    """Return what is known where judging failed: nothing, and why."""
    nothing = (None,) * len(candidates)
    verdict = Verdict("undecided", FAILED, message)
    selection = Selection(None, None, (), num_tied=0, num_abstained=len(candidates))
    return Judged(nothing, nothing, (), selection, (verdict,) * len(candidates), verdict)
