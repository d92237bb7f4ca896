"""From a problem's candidates to its selection and verdicts: what is derived, and can be derived again at any time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from tts.protocols import BoundSelector, Selector, Task
from tts.types import (
    Answer,
    Ballot,
    Candidate,
    Counts,
    Given,
    Judged,
    Problem,
    Reference,
    Score,
    Selection,
    Verdict,
)

UNFINISHED = {"length": "truncated", "cancelled": "cancelled", "error": "engine_error"}
"""Why a candidate that did not end by itself has no verdict: it is neither right nor wrong, and counted apart."""

UNSCORED = Verdict("undecided", "no_score", "the scorer could tell nothing of any candidate that has an answer")


def judge(
    task: Task,
    selector: Selector,
    problem: Problem,
    reference: Reference,
    candidates: Sequence[Candidate],
    *,
    given: Sequence[Given] = (),
) -> Judged:
    """Extract, group, score, verify, select. The reference reaches the verifier alone; no selector sees a verdict.

    What is `given` with the candidates, one each, stands in the place of what would be extracted and verified.
    """
    verifier, given = task.verifier, given or [Given()] * len(candidates)
    answers = tuple(
        None
        if candidate.finish_reason != "stop"
        else verifier.extract(problem, candidate.text)
        if known.answer is None
        else Answer(known.answer, "given")
        for candidate, known in zip(candidates, given, strict=True)
    )
    grouping = verifier.group(problem, answers)
    scores = tuple(selector.scorer.score(problem, candidates)) if selector.scorer else ()
    reached = verifier.verify(problem, answers, reference)
    if not is_known(reference):
        reached = [Verdict("undecided", "no_reference")] * len(candidates)
    verdicts = tuple(
        known.verdict or _unless_unfinished(candidate, verdict)
        for candidate, verdict, known in zip(candidates, reached, given, strict=True)
    )
    selection = _select(selector, Ballot(tuple(candidates), answers, grouping.nodes, scores, grouping.links), verdicts)
    verdict = _selected(selection, candidates, verdicts) if _can_tell(answers, scores) else UNSCORED
    return Judged(answers, grouping.nodes, scores, selection, verdicts, verdict, grouping.links)


def _can_tell(answers: Sequence[Answer | None], scores: Sequence[Score]) -> bool:
    """Tell whether a selector has something to choose by: no scorer that can tell nothing of any answer."""
    answered = [score for answer, score in zip(answers, scores, strict=False) if answer is not None]
    return not answered or any(score.value is not None for score in answered)


def is_graded(verdicts: Sequence[Verdict]) -> bool:
    """Tell whether a problem's verdicts count: some were reached, by a reference or by another tool."""
    return any(verdict.reason != "no_reference" for verdict in verdicts)


def is_known(reference: Reference) -> bool:
    """Tell whether there is anything to grade by; without it even «no answer» is no failure."""
    return reference != Reference()


def reselect(selector: Selector, problem: Problem, candidates: Sequence[Candidate], judged: Judged) -> Judged:
    """Score and select anew; answers, their grouping and verdicts stay."""
    scores = tuple(selector.scorer.score(problem, candidates)) if selector.scorer else ()
    ballot = Ballot(tuple(candidates), judged.answers, judged.nodes, scores, judged.links)
    selection = _select(selector, ballot, judged.verdicts)
    verdict = _selected(selection, candidates, judged.verdicts) if _can_tell(judged.answers, scores) else UNSCORED
    return replace(judged, scores=scores, selection=selection, verdict=verdict)


def _select(selector: Selector, ballot: Ballot, verdicts: Sequence[Verdict]) -> Selection:
    """Select blindly; a bound, which only a benchmark may ask for, peeks at the verdicts."""
    if isinstance(selector, BoundSelector):
        return selector.select_with_verdicts(ballot, verdicts)
    return selector.select(ballot)


def _unless_unfinished(candidate: Candidate, verdict: Verdict) -> Verdict:
    reason = UNFINISHED.get(candidate.finish_reason)
    return verdict if reason is None or verdict.reason == "no_reference" else Verdict("undecided", reason)


def _selected(selection: Selection, candidates: Sequence[Candidate], verdicts: Sequence[Verdict]) -> Verdict:
    """Return the verdict on what is handed in; handing in nothing is failed, or undecided where all are undecided."""
    for candidate, verdict in zip(candidates, verdicts, strict=True):
        if candidate.index == selection.index:
            return verdict
    if verdicts and all(verdict.status == "undecided" for verdict in verdicts):
        reasons = Counter(verdict.reason for verdict in verdicts)  # the most common first, then the earliest
        told = ", ".join(f"{number} {reason}" for reason, number in reasons.most_common())
        return Verdict("undecided", reasons.most_common(1)[0][0], f"no candidate finished with an answer: {told}")
    return Verdict("failed", "no_answer", "every candidate abstained")


def count(candidates: Sequence[Candidate], judged: Judged) -> Counts:
    """Count what became of the candidates."""
    graded = not candidates or is_graded(judged.verdicts)
    statuses = [verdict.status for verdict in judged.verdicts]
    reasons = [candidate.finish_reason for candidate in candidates]
    finished = reasons.count("stop")
    return Counts(
        num_candidates=len(candidates),
        num_truncated=reasons.count("length"),
        num_no_answer=finished - sum(answer is not None for answer in judged.answers),
        num_errors=reasons.count("error"),
        num_distinct_answers=len({node for node in judged.nodes if node is not None}),
        num_passed=statuses.count("passed") if graded else None,
        num_undecided=statuses.count("undecided") if graded else None,
    )
