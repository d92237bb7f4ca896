"""Running totals over solutions: what `tts solve` shows while it runs and at its end.

Memory grows with the different shares of right candidates there are, and with the problems that come in clusters.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from tts.errors import plural
from tts.metrics.bootstrap import estimates_of_units
from tts.metrics.intervals import Estimate
from tts.pipeline.heard import Heard
from tts.pipeline.judge import FAILED, NO_SCORE, SELECTION_FAILED
from tts.runs.ledger import wasted
from tts.types import COUNTED_WRONG, Candidate, Score, Solution, Verdict

Shares: TypeAlias = tuple[float, float, float, float]
"""Of one problem: its candidates that pass, with the undecided; whether what was selected passes, with undecided."""


@dataclass(slots=True)
class Credit:
    """What one sampler, or one arm of a mixture, contributed; its candidates' tokens, each counted for itself."""

    num_candidates: int = 0
    num_tokens: int = 0
    num_passed: int = 0
    num_selected: int = 0


@dataclass(slots=True)
class Tally:
    """Sums over the problems so far. Only problems with a reference count as graded.

    Candidates that were cut are wrong, within their limit, and so are abandoned ones. `num_unjudged` problems could not
    be judged, or nothing be selected, because something raised; of `num_unscored` the scorer could tell nothing; of
    `num_tied` a tie decided. Those that were cancelled are in `num_cancelled` alone. `prompt_tokens` and
    `completion_tokens` are what engines read and wrote; `candidate_tokens` those of the candidates, each for itself.
    """

    num_problems: int = 0
    num_graded: int = 0
    num_correct: int = 0
    num_undecided: int = 0
    num_abstained: int = 0
    num_incomplete: int = 0
    num_unjudged: int = 0
    num_unscored: int = 0
    num_tied: int = 0
    num_cancelled: int = 0
    num_row_errors: int = 0
    num_candidates: int = 0
    num_truncated: int = 0
    num_no_answer: int = 0
    num_errors: int = 0
    num_abandoned: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    candidate_tokens: int = 0
    credit: dict[str, Credit] = field(default_factory=dict)
    heard: Heard = field(default_factory=Heard)
    _shares: Counter[Shares] = field(default_factory=Counter)  # of the problems that stand alone: how often each comes
    _clusters: dict[str, list[Shares]] = field(default_factory=dict)
    _num_undrawn: int = 0
    _why_undrawn: str = ""  # of the first of them
    _num_wasted: int = 0  # tokens of attempts that broke off, at most

    def add(
        self,
        solution: Solution,
        candidates: Sequence[Candidate],
        verdicts: Sequence[Verdict],
        cluster: str | None = None,
        scores: Sequence[Score] = (),
    ) -> None:
        """Count one problem; `candidates`, `verdicts` and `scores`, if there are any, run in parallel."""
        pairs, counts = list(zip(candidates, verdicts, strict=True)), solution.counts
        self.num_problems += 1
        self.heard.add(solution.selection, scores)
        self.num_incomplete += solution.error is not None
        self.num_unjudged += solution.verdict.reason in (FAILED, SELECTION_FAILED)
        self.num_unscored += solution.verdict.reason == NO_SCORE
        self.num_tied += solution.selection.num_tied > 1
        self.num_abstained += solution.selection.index is None
        self.num_candidates += counts.num_candidates
        self.num_truncated += counts.num_truncated
        self.num_no_answer += counts.num_no_answer
        self.num_errors += counts.num_errors
        self.num_abandoned += counts.num_abandoned
        self.prompt_tokens += solution.usage.prompt_tokens
        self.completion_tokens += solution.usage.completion_tokens
        in_candidates = solution.usage.candidate_tokens
        self.candidate_tokens += solution.usage.completion_tokens if in_candidates is None else in_candidates
        if not counts.num_candidates:
            self._num_undrawn += 1
            self._why_undrawn = self._why_undrawn or solution.error or ""
            self._add_undrawn(graded=counts.num_passed is not None, cluster=cluster)
        elif counts.num_passed is not None and counts.num_undecided is not None:
            self.num_graded += 1
            self.num_correct += solution.verdict.status == "passed"
            is_open = solution.verdict.status == "undecided" and solution.verdict.reason not in COUNTED_WRONG
            self.num_undecided += is_open
            num_wrong = sum(verdict.reason in COUNTED_WRONG for verdict in verdicts)
            passed, either = counts.num_passed, counts.num_passed + counts.num_undecided - num_wrong
            is_right, num = solution.verdict.status == "passed", counts.num_candidates
            self._add_shares((passed / num, either / num, float(is_right), float(is_right or is_open)), cluster)
        for candidate, verdict in pairs:
            self._num_wasted += wasted(candidate.engine_stats)[1]
            credit = self.credit.setdefault(candidate.sampler, Credit())
            credit.num_candidates += 1
            credit.num_tokens += candidate.num_tokens or 0
            credit.num_passed += verdict.status == "passed"
            credit.num_selected += candidate.index == solution.selection.index

    def add_undrawn(self, *, graded: bool, cluster: str | None = None) -> None:
        """Count one problem that has no candidates: if it can be graded, it may be right or wrong."""
        self.num_problems += 1
        self.num_incomplete += 1
        self._add_undrawn(graded=graded, cluster=cluster)

    def _add_undrawn(self, *, graded: bool, cluster: str | None) -> None:
        if graded:
            self.num_graded += 1
            self.num_undecided += 1
            self._add_shares((0.0, 1.0, 0.0, 1.0), cluster)

    def _add_shares(self, shares: Shares, cluster: str | None) -> None:
        if cluster is None:
            self._shares[shares] += 1
        else:
            self._clusters.setdefault(cluster, []).append(shares)

    def notes(self) -> list[str]:
        """Return what decided, or kept from deciding, on some problems: a sentence each."""
        told = {
            "judging or selecting failed on {}: the records say why": self.num_unjudged,
            "the scorer could tell nothing of any candidate of {}, so nothing was handed in": self.num_unscored,
            "a tie decided {}: for the likeliest candidate, then by text": self.num_tied,
        }
        every = self.num_problems
        counted = [what.format(plural(number, "problem", of=every)) for what, number in told.items() if number]
        if self._num_undrawn:
            number = plural(self._num_undrawn, "problem", of=every)
            counted.append(f"nothing was drawn for {number}, which may be right or wrong: {self._why_undrawn}")
        if self.num_cancelled:
            counted.append(f"{plural(self.num_cancelled, 'problem')} cancelled, and in no figure")
        if self._num_wasted:
            most = plural(self._num_wasted, "token")
            counted.append(f"servers broke off and were asked again: that wasted at most {most}, which budgets count")
        return [*counted, *self.heard.notes(every)]

    def summary(self) -> dict[str, Any]:
        """Return all figures for summary.json, in an order that does not depend on the problems' order."""
        counts = {name: getattr(self, name) for name in self.__slots__ if name.startswith("num_") or "tokens" in name}
        for rare in ("num_cancelled", "num_abandoned"):
            if not counts[rare]:
                del counts[rare]
        if counts["candidate_tokens"] == counts["completion_tokens"]:
            del counts["candidate_tokens"]
        graded = dict(zip(("pass_at_1", "accuracy"), self.estimates(), strict=True)) if self.num_graded else {}
        heard = {name: self.heard.figures[name] for name in sorted(self.heard.figures)}
        judging = {"num_by_vote": self.heard.num_by_vote, **heard} if heard or self.heard.num_by_vote else {}
        judged = {"judging": judging} if judging else {}
        return {**counts, **graded, **judged, "samplers": {name: self.credit[name] for name in sorted(self.credit)}}

    @property
    def accuracy(self) -> tuple[float, float]:
        """Share of problems whose selected answer passes, undecided verdicts counted as wrong and as right.

        Handing in nothing counts as not passing. NaN where nothing is graded.
        """
        graded = self.num_graded or math.nan
        return self.num_correct / graded, (self.num_correct + self.num_undecided) / graded

    def estimates(self) -> tuple[Estimate, Estimate]:
        """Return pass@1 (what one draw would give) and the accuracy of what was selected, with their intervals."""
        alone = list(self._shares.elements())
        clusters = [tuple(map(math.fsum, zip(*problems, strict=True))) for problems in self._clusters.values()]
        sums = np.reshape([*alone, *clusters], (-1, 4)).astype(np.float64).T
        sizes = np.array([1] * len(alone) + [len(problems) for problems in self._clusters.values()], dtype=np.float64)
        one_draw, selected = estimates_of_units(sums[[0, 2]], sums[[1, 3]], sizes)
        return one_draw, selected
