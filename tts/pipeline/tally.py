"""Running totals over solutions: what `tts solve` shows while it runs and at its end. Memory does not grow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from tts.metrics.intervals import Estimate, estimate
from tts.types import Candidate, Solution, Verdict


@dataclass(slots=True)
class Credit:
    """What one sampler, or one arm of a mixture, contributed."""

    num_candidates: int = 0
    num_tokens: int = 0
    num_passed: int = 0
    num_selected: int = 0


@dataclass(slots=True)
class Tally:
    """Sums over the problems so far. Only problems with a reference count as graded."""

    num_problems: int = 0
    num_graded: int = 0
    num_correct: int = 0
    num_undecided: int = 0
    num_abstained: int = 0
    num_incomplete: int = 0
    num_row_errors: int = 0
    num_candidates: int = 0
    num_truncated: int = 0
    num_no_answer: int = 0
    num_errors: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    credit: dict[str, Credit] = field(default_factory=dict)
    _passed_share: Fraction = Fraction(0)  # exact: the sum must not depend on the order of the problems
    _open_share: Fraction = Fraction(0)

    def add(self, solution: Solution, candidates: Sequence[Candidate], verdicts: Sequence[Verdict]) -> None:
        """Count one problem; `candidates` and `verdicts` run in parallel (both empty where judging failed)."""
        pairs, counts = list(zip(candidates, verdicts, strict=True)), solution.counts
        self.num_problems += 1
        self.num_incomplete += solution.error is not None
        self.num_abstained += solution.selection.index is None
        self.num_candidates += counts.num_candidates
        self.num_truncated += counts.num_truncated
        self.num_no_answer += counts.num_no_answer
        self.num_errors += counts.num_errors
        self.prompt_tokens += solution.usage.prompt_tokens
        self.completion_tokens += solution.usage.completion_tokens
        if counts.num_passed is not None and counts.num_undecided is not None and counts.num_candidates:
            self.num_graded += 1
            self.num_correct += solution.verdict.status == "passed"
            self.num_undecided += solution.verdict.status == "undecided"
            self._passed_share += Fraction(counts.num_passed, counts.num_candidates)
            self._open_share += Fraction(counts.num_undecided, counts.num_candidates)
        for candidate, verdict in pairs:
            credit = self.credit.setdefault(candidate.sampler, Credit())
            credit.num_candidates += 1
            credit.num_tokens += candidate.num_tokens
            credit.num_passed += verdict.status == "passed"
            credit.num_selected += candidate.index == solution.selection.index

    def summary(self) -> dict[str, Any]:
        """Return all figures for summary.json, in an order that does not depend on the problems' order."""
        counts = {name: getattr(self, name) for name in self.__slots__ if name.startswith("num_") or "tokens" in name}
        graded = {"pass_at_1": self.pass_at_1, "accuracy": self.accuracy} if self.num_graded else {}
        return {**counts, **graded, "samplers": {name: self.credit[name] for name in sorted(self.credit)}}

    @property
    def pass_at_1(self) -> Estimate:
        """Mean over problems of the share of candidates that pass: what one draw would give."""
        passed = float(self._passed_share)
        return estimate(passed, float(self._passed_share + self._open_share), self.num_graded)

    @property
    def accuracy(self) -> Estimate:
        """Share of problems whose selected answer passes. Handing in nothing counts as not passing."""
        return estimate(self.num_correct, self.num_correct + self.num_undecided, self.num_graded)
