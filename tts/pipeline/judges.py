"""A recipe's verifiers, scorer and selector, each opened when it is first needed, and what they say of candidates."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from tts.pipeline.judge import Scored, judge
from tts.protocols import Opens
from tts.recipe import Recipe
from tts.tasks import every_task
from tts.types import Candidate, Given, Grouping, Judged, Problem, ProblemRow


class Evaluators:
    """What a recipe judges with; any thread may open it. Use it as a context: leaving it closes everything.

    `opened` is called with each verifier or scorer that has been opened.
    """

    def __init__(self, recipe: Recipe, opened: Callable[[Opens], None] = lambda _: None) -> None:
        self.selector = recipe.selector
        self.tasks = every_task(recipe.task)
        self._opened = opened
        self._opening = threading.Lock()
        self._open: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close everything; safe to call twice."""
        for task in self.tasks.values():
            task.verifier.close()
        if self.selector.scorer is not None:
            self.selector.scorer.close()
        self.selector.close()

    def open(self, kind: str) -> None:
        """Open what judges problems of this kind, if that is not done. Raises TTSError where it cannot be opened."""
        self._open_once(self.tasks[kind].verifier)
        self.open_selector()

    def open_selector(self) -> None:
        """Open the selector, and its scorer if there is one, if that is not done."""
        if self.selector.scorer is not None:
            self._open_once(self.selector.scorer)
        self._open_once(self.selector)

    def _open_once(self, part: Opens) -> None:
        with self._opening:
            if id(part) not in self._open:
                part.open()
                if part is not self.selector:
                    self._opened(part)
                self._open.add(id(part))

    def read(self, problem: Problem, texts: Sequence[str | None]) -> Grouping:
        """Return which of these texts' answers are the same, read as `judge` reads them; None: no answer."""
        self.open(problem.kind)
        verifier = self.tasks[problem.kind].verifier
        answers = [None if text is None else verifier.extract(problem, text) for text in texts]
        return verifier.group(problem, answers)

    def judge(
        self,
        row: ProblemRow,
        candidates: Sequence[Candidate],
        given: Sequence[Given] = (),
        scored: Scored | None = None,
    ) -> Judged:
        """Return what is to be said of a problem's candidates. Raises what a verifier raises."""
        self.open(row.problem.kind)
        task = self.tasks[row.problem.kind]
        return judge(task, self.selector, row.problem, row.reference, candidates, given=given, scored=scored)
