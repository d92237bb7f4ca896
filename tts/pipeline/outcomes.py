"""What becomes of a problem: drawn, then solved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tts.pipeline.judge import FAILED, SELECTION_FAILED, Scored, count
from tts.types import Candidate, Judged, ProblemRow, RowError, Solution, Spent, Usage

CANCELLED = "it was cancelled"
"""The error of a problem that was given up (`Run.cancel`): it is in no figure."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """Input row `number` (from 0) with all its candidates, ordered by index; `error` says why some are missing.

    A row that is no problem has no candidates. `spent` is what was paid for, by engine, what was drawn anew or given up
    included. `wall_seconds` is None where an earlier session drew them all. `scored` is what a scorer that asks told.
    """

    number: int
    row: ProblemRow | RowError
    candidates: tuple[Candidate, ...] = ()
    spent: Mapping[str, Spent] = field(default_factory=dict)
    error: str | None = None
    wall_seconds: float | None = None
    scored: Scored | None = None


def shortfall(candidates: tuple[Candidate, ...], unasked: tuple[int, ...] = ()) -> str | None:
    """Say which candidates are missing and why, or None where all are there."""
    failed = [candidate for candidate in candidates if candidate.finish_reason == "error"]
    if not failed and not unasked:
        return None
    num_asked = len(candidates) + len(unasked)
    num_there = len(candidates) - len(failed)
    reasons = [f"candidate {candidate.index}: {candidate.error}" for candidate in failed[:3]]
    if unasked:
        reasons.append(f"the sampler did not ask for {', '.join(map(str, unasked[:8]))}")
    more = f" (and {len(failed) - 3} more)" if len(failed) > 3 else ""
    return f"{num_there} of {num_asked} candidates were drawn; {'; '.join(reasons)}{more}"


@dataclass(frozen=True, slots=True)
class Solved:
    """A problem's row and what became of it: in short, and all that was drawn and derived."""

    row: ProblemRow
    solution: Solution
    candidates: tuple[Candidate, ...] = field(repr=False)
    judged: Judged = field(repr=False)


Outcome = Solved | RowError
"""What became of one input row: a solution, or what is wrong with the row."""


def solution_of(row: ProblemRow, drawn: Drawn, judged: Judged) -> Solution:
    """Return what became of a problem that was drawn and judged. `error` is what judging or selecting raised, first."""
    failed = judged.verdict.detail if judged.verdict.reason in (FAILED, SELECTION_FAILED) else None
    texts = {candidate.index: candidate.text for candidate in drawn.candidates}
    return Solution(
        problem_id=row.problem.id,
        selection=judged.selection,
        text=None if judged.selection.index is None else texts.get(judged.selection.index),
        verdict=judged.verdict,
        counts=count(drawn.candidates, judged),
        usage=_usage(drawn),
        error=failed or drawn.error,
        metadata=row.problem.metadata,
    )


def _usage(drawn: Drawn) -> Usage:
    written = sum(spent.written_tokens for spent in drawn.spent.values())
    in_candidates = sum(candidate.num_tokens or 0 for candidate in drawn.candidates)
    return Usage(
        prompt_tokens=sum(spent.prompt_tokens for spent in drawn.spent.values()),
        completion_tokens=written,
        engines=drawn.spent,
        wall_seconds=drawn.wall_seconds,
        candidate_tokens=None if in_candidates == written else in_candidates,
    )
