"""Stored candidates judged anew: by another verifier, selector or scorer; only a scorer that asks needs a model."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

from tts.errors import UsageError, VerifierError, described
from tts.pipeline.cap import Amount, Budget
from tts.pipeline.judge import FAILED, NO_CANDIDATES, SELECTION_FAILED, Scored, is_known, reselect, unjudged
from tts.pipeline.judges import Evaluators
from tts.pipeline.outcomes import Drawn, Outcome, Solved, shortfall, solution_of
from tts.pipeline.scoring import Scoring, score_stored
from tts.pipeline.tally import Tally
from tts.protocols import AskingScorer, BoundSelector
from tts.runs.call_log import SCORER_FILE as SCORER_CALLS
from tts.runs.call_log import CallLog
from tts.runs.folder import RunFolder
from tts.runs.judgements import DerivedFiles
from tts.runs.ledger import priced
from tts.runs.stored import Stored, StoredRun
from tts.types import Candidate, Judged, ProblemRow, RowError, Spent

"""The reason of the verdict on a problem of which nothing was drawn: it counts, as undecided."""

Keep = Callable[[str, Judged], None]
"""What takes the judgements of one problem."""


def judged_again(
    evaluators: Evaluators,
    run: Stored,
    row: ProblemRow,
    candidates: Sequence[Candidate],
    *,
    afresh: bool = False,
    scored: Scored | None = None,
) -> Judged:
    """Return what is derived from a stored problem's candidates: as it is stored, else, or if `afresh`, anew.

    All are undecided where judging failed, or nothing was drawn. `scored` is what a scorer told that asks models.
    Raises TTSError where a verifier or scorer cannot be opened.
    """
    if not candidates:
        return unjudged(row.reference, (), NO_CANDIDATES, f"problem {row.problem.id!r} has no candidates: draw them")
    known = None if afresh else run.graded(row.problem.id)
    if known is not None and not run.selected_anew:
        return known
    try:
        if known is not None:
            evaluators.open_selector()
            return reselect(evaluators.selector, row.problem, candidates, known, scored)
        given = run.given(row)
        if is_known(row.reference) and (afresh or not run.verdicts_stand):
            given = [replace(one, verdict=None) for one in given]
        return evaluators.judge(row, candidates, given, scored)
    except (UsageError, VerifierError):
        raise
    except Exception as error:  # of a verifier: nothing is known of this problem, and why
        return unjudged(row.reference, candidates, FAILED, described(error))


@dataclass(slots=True)
class Rejudging:
    """One stored run, judged again; `tally` counts along. `afresh` does not look at what is stored as derived.

    A scorer that asks models is asked first, about all problems together; what it asked is kept in the run folder. It
    ends early once `stop` is set. `budget` caps what it took and takes, with what scorers of the `others` took.

    `num_failed` counts rows that are no problem or candidate, problems without candidates or without an answer, and
    those not judged.
    """

    run: Stored
    afresh: bool
    stop: threading.Event = field(default_factory=threading.Event)
    tally: Tally = field(default_factory=Tally)
    num_failed: int = 0
    budget: Budget = field(default_factory=Budget)
    others: tuple[Stored, ...] = ()
    _scored: dict[str, tuple[Scored, Mapping[str, Spent]]] = field(default_factory=dict)

    def outcomes(self, keep: Keep | None = None, folder: RunFolder | None = None) -> Iterator[Outcome]:
        """Yield an error record for each bad row, an outcome a problem, and an error where it has no candidates.

        `folder` is the run's, where the caller holds it.
        """
        for error in self.run.errors:
            self.num_failed += 1
            self.tally.num_row_errors += 1
            yield error
        with Evaluators(self.run.recipe) as evaluators:
            self._ask(evaluators, folder)
            if self.stop.is_set():
                return
            for number, problem_id in enumerate(self.run.problem_ids):
                yield self._outcome(number, problem_id, evaluators, keep)
        for problem_id in self.run.waiting_ids:
            row = self.run.row(problem_id)
            self.num_failed += 1
            self.tally.add_undrawn(graded=is_known(row.reference), cluster=row.problem.cluster)
            why = self.run.failure(problem_id) or "draw them"
            message = f"problem {problem_id!r} has no candidates: {why}"
            yield RowError(row.line, problem_id, NO_CANDIDATES, message)

    def _ask(self, evaluators: Evaluators, folder: RunFolder | None) -> None:
        """Have a scorer that asks models tell what is not stored."""
        run, scorer = self.run, self.run.recipe.selector.scorer
        if not isinstance(scorer, AskingScorer):
            return
        stored = not (self.afresh or run.selected_anew)
        problem_ids = [one for one in run.problem_ids if not (stored and run.graded(one))]
        if not problem_ids:
            return
        if not isinstance(run, StoredRun):
            raise UsageError(f"a scorer that asks models must go with a run folder, got the file {run.path}")
        with nullcontext(folder) if folder is not None else RunFolder(run.path) as open_folder:
            scoring = Scoring(run.recipe, scorer, CallLog(open_folder[SCORER_CALLS], with_ids=False))
            rows = ((run.row(one), run.candidates(one)) for one in problem_ids)
            problems = (
                (row, evaluators.tasks[row.problem.kind].messages(row.problem), candidates) for row, candidates in rows
            )
            evaluators.open_selector()
            cap = self.budget.cap(run.recipe, self._spent())
            for problem_id, scored in score_stored(scoring, run.recipe, problems, evaluators.read, self.stop, cap=cap):
                self._scored[problem_id] = scored, scoring.spent(problem_id)

    def _spent(self) -> Amount:
        total = Amount()
        for run in {one.path: one for one in (self.run, *self.others)}.values():
            if isinstance(run, StoredRun):
                total.add(self.budget.spent(run.recipe, run.path, [SCORER_CALLS], opening=False))
        return total

    def _outcome(self, number: int, problem_id: str, evaluators: Evaluators, keep: Keep | None) -> Solved:
        row, candidates = self.run.row(problem_id), self.run.candidates(problem_id)
        scored, asked = self._scored.get(problem_id, (None, {}))
        judged = judged_again(evaluators, self.run, row, candidates, afresh=self.afresh, scored=scored)
        if keep is not None and judged.verdict.reason not in (FAILED, SELECTION_FAILED):
            keep(problem_id, judged)
        error = self.run.failure(problem_id) or shortfall(candidates)
        spent = {**self.run.spent(problem_id, candidates), **priced(asked, self.run.num_parameters)}
        drawn = Drawn(number, row, candidates, spent, error)
        solution = solution_of(row, drawn, judged)
        self.tally.add(solution, candidates, judged.verdicts, row.problem.cluster, judged.scores)
        self.num_failed += solution.error is not None or solution.selection.index is None
        return Solved(row, solution, candidates, judged)

    def write_back(self, overrides: Sequence[str]) -> Iterator[Outcome]:
        """Yield the outcomes, and put what is derived in the place of what was; the candidates stay as they are.

        Interrupted, it leaves the rest to be derived by whoever opens the folder next. Raises RunFolderError where
        another process writes the folder.
        """
        if not isinstance(self.run, StoredRun):
            raise UsageError(f"`--write` must go with a run folder, got the file {self.run.path}")
        if self.run.is_corrected:
            raise UsageError("`--write` must not go with --problems: the folder would keep its old references")
        recipe = self.run.recipe
        if isinstance(recipe.selector, BoundSelector):
            raise UsageError("`--write` must not go with a selector that peeks at the verdicts: leave it out")
        with RunFolder(self.run.path) as folder:
            folder.forget_derived()
            if overrides:
                folder.write_job(recipe=recipe.resolved(), recipe_hash=recipe.hash())
            derived = DerivedFiles(folder, scored=recipe.selector.scorer is not None)
            yield from self.outcomes(derived.write, folder)
            if self._is_whole() and not self.stop.is_set():
                folder.write_summary(self.tally.summary())

    def _is_whole(self) -> bool:
        """Tell whether every candidate is there, so that the tally is the run's."""
        return not self.run.waiting_ids and all(map(self.run.is_complete, self.run.problem_ids))
