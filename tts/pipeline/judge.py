"""From a problem's candidates to its selection and verdicts: what is derived, and can be derived again at any time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import NamedTuple, cast

from tts.errors import ScorerError, TTSError, described
from tts.protocols import AskingScorer, BoundSelector, Scorer, Selector, Task
from tts.selectors.contenders import contenders, vote
from tts.types import (
    ABANDONED,
    COUNTED_WRONG,
    TRUNCATED,
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

UNFINISHED = {"length": TRUNCATED, "cancelled": "cancelled", "error": "engine_error", "abandoned": ABANDONED}
"""Why a candidate that did not end by itself has no verdict: it is neither right nor wrong, and counted apart."""

FAILED = "judging_failed"
"""The reason of verdicts that could not be reached because a verifier raised."""

SELECTION_FAILED = "selection_failed"
"""The reason of a verdict on what is handed in where a scorer or selector raised: the candidates' verdicts stand."""


NO_CANDIDATES = "no_candidates"
"""The reason where nothing was drawn: what would have been may be right or wrong."""

NO_REFERENCE = "no_reference"
"""The reason where there is nothing to judge by."""

NO_SCORE = "no_score"
"""The reason where the scorer could tell nothing of any candidate that has an answer, of which one may be right."""


class Scored(NamedTuple):
    """What a scorer that asks told of a problem: one score per candidate, or why there is none."""

    scores: tuple[Score, ...]
    error: str = ""


def judge(
    task: Task,
    selector: Selector,
    problem: Problem,
    reference: Reference,
    candidates: Sequence[Candidate],
    *,
    given: Sequence[Given] = (),
    scored: Scored | None = None,
) -> Judged:
    """Extract, group, verify, score, select. The reference reaches the verifier alone; no selector sees a verdict.

    `scored` is what a scorer told that asks models, which was done before.
    What is `given` with the candidates, one each, stands in the place of what would be extracted and verified. Where
    scorer or selector fail, nothing is handed in, and the verdict says why; the candidates' verdicts stand.
    """
    if not candidates:
        reason = NO_CANDIDATES if is_known(reference) else NO_REFERENCE
        return unjudged(reference, (), reason, "there is no candidate")
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
    reached = verifier.verify(problem, answers, reference)
    if not is_known(reference):
        reached = [Verdict("undecided", NO_REFERENCE)] * len(candidates)
    verdicts = tuple(
        known.verdict or _unless_unfinished(candidate, verdict)
        for candidate, verdict, known in zip(candidates, reached, given, strict=True)
    )
    nothing = Selection(None, None, (), num_tied=0, num_abstained=len(candidates))
    unselected = Judged(answers, grouping.nodes, (), nothing, verdicts, Verdict("undecided"), grouping.links)
    return reselect(selector, problem, candidates, unselected, scored)


def is_graded(verdicts: Sequence[Verdict]) -> bool:
    """Tell whether a problem's verdicts count: some were reached, by a reference or by another tool."""
    return any(verdict.reason != NO_REFERENCE for verdict in verdicts)


def is_known(reference: Reference) -> bool:
    """Tell whether there is anything to grade by; without it even «no answer» is no failure."""
    return reference != Reference()


def reselect(
    selector: Selector,
    problem: Problem,
    candidates: Sequence[Candidate],
    judged: Judged,
    scored: Scored | None = None,
) -> Judged:
    """Score and select anew; answers, their grouping and verdicts stay (see `judge`)."""
    scores: tuple[Score, ...] = ()
    try:
        scores = _scores(selector.scorer, problem, candidates, scored)
        ballot = Ballot(tuple(candidates), judged.answers, judged.nodes, scores, judged.links)
        selection = chosen(selector, ballot, judged.verdicts)
        verdict = _selected(ballot, selection, judged.verdicts)
    except Exception as error:  # of a scorer or selector, of which any may be a plugin's
        selection = Selection(None, None, (), num_tied=0, num_abstained=len(candidates))
        told = str(error) if isinstance(error, TTSError) else described(error)
        verdict = Verdict("undecided", SELECTION_FAILED, told)
        scores = scores if len(scores) == len(candidates) else ()
    return replace(judged, scores=scores, selection=selection, verdict=verdict)


def chosen(selector: Selector, ballot: Ballot, verdicts: Sequence[Verdict] = ()) -> Selection:
    """Select blindly: by the plain vote where a scorer that asks told too little. A bound, which only a benchmark may
    ask for, peeks at the verdicts.
    """
    silence = _silence(selector, ballot)
    if silence:
        return replace(vote(replace(ballot, scores=()), contenders(ballot)), fallback=silence)
    if _peeks(type(selector)):
        return cast("BoundSelector", selector).select_with_verdicts(ballot, verdicts)
    return selector.select(ballot)


def unjudged(reference: Reference, candidates: Sequence[Candidate], reason: str, detail: str) -> Judged:
    """Return what there is to say where nothing could be judged: all is undecided, for this reason."""
    nothing = (None,) * len(candidates)
    selection = Selection(None, None, (), num_tied=0, num_abstained=len(candidates))
    verdict = Verdict("undecided", reason, detail)
    each = verdict if is_known(reference) else Verdict("undecided", NO_REFERENCE)
    return Judged(nothing, nothing, (), selection, (each,) * len(candidates), verdict)


def _scores(
    scorer: Scorer | AskingScorer | None, problem: Problem, candidates: Sequence[Candidate], scored: Scored | None
) -> tuple[Score, ...]:
    """Return the scores, which one that asks has given before."""
    if scorer is None:  # asked first: before Python 3.12 it takes 20 µs to tell that something meets no protocol
        return ()
    if not isinstance(scorer, AskingScorer):
        return tuple(scorer.score(problem, candidates))
    if scored is None:
        raise ScorerError("the scorer asks a model, and has no scores on record: have it asked with `tts select RUN`")
    if scored.error:
        raise ScorerError(scored.error)
    return scored.scores


def _silence(selector: Selector, ballot: Ballot) -> str:
    """Say that a scorer that asks could tell nothing of most of those with an answer, or finds all the same; else "".

    What it told of the few would decide by whom it happened to answer for, and a tie between different answers by how
    likely a text is. The plain vote knows more than that.
    """
    if selector.scorer is None or not isinstance(selector.scorer, AskingScorer):
        return ""
    entrants = contenders(ballot)
    untold = [score for one in entrants if (score := ballot.scores[one.position]).value is None]
    if 2 * len(untold) > len(entrants):
        why = Counter(score.detail for score in untold).most_common(1)[0][0]
        return f"the scorer could tell nothing of {len(untold)} of {len(entrants)} candidates with an answer: {why}"
    told = [one for one in entrants if ballot.scores[one.position].value is not None]
    if len({ballot.scores[one.position].value for one in told}) == 1 and len({one.node for one in told}) > 1:
        return f"the scorer gave one score to all of {len(told)} candidates with an answer: it prefers none"
    return ""


@cache
def _peeks(kind: type[Selector]) -> bool:
    return hasattr(kind, BoundSelector.select_with_verdicts.__name__)


def _unless_unfinished(candidate: Candidate, verdict: Verdict) -> Verdict:
    reason = UNFINISHED.get(candidate.finish_reason)
    return verdict if reason is None or verdict.reason == NO_REFERENCE else Verdict("undecided", reason)


def _selected(ballot: Ballot, selection: Selection, verdicts: Sequence[Verdict]) -> Verdict:
    """Return the verdict on what is handed in.

    Handing in nothing is failed, but undecided where all candidates are, or where one that may be right has an answer
    and was not looked at, since its scorer could not tell.
    """
    for candidate, verdict in zip(ballot.candidates, verdicts, strict=True):
        if candidate.index == selection.index:
            return verdict
    unseen = [
        contender
        for contender in contenders(ballot)
        if ballot.scores and ballot.scores[contender.position].value is None
    ]
    if any(verdicts[contender.position].status != "failed" for contender in unseen):
        detail = ballot.scores[unseen[0].position].detail
        told = "the scorer could tell nothing of any candidate with an answer" + (f": {detail}" if detail else "")
        return Verdict("undecided", NO_SCORE, told)
    if verdicts and all(verdict.status == "undecided" for verdict in verdicts):
        reasons = Counter(verdict.reason for verdict in verdicts)  # the most common first, then the earliest
        # Some are wrong all the same, such as those cut by their limit; it is the others that leave the outcome open.
        common = [name for name, _ in reasons.most_common()]
        reason = next((name for name in common if name not in COUNTED_WRONG), common[0])
        # A missing reference is no reason to have no answer: what became of the candidates is told.
        became = Counter(
            UNFINISHED.get(candidate.finish_reason)
            or ("no_answer" if answer is None and verdict.reason == NO_REFERENCE else verdict.reason)
            for candidate, answer, verdict in zip(ballot.candidates, ballot.answers, verdicts, strict=True)
        )
        told = ", ".join(f"{number} {what}" for what, number in became.most_common())
        return Verdict("undecided", reason, f"no candidate finished with an answer: {told}")
    return Verdict("failed", "no_answer", "every candidate abstained")


def count(candidates: Sequence[Candidate], judged: Judged) -> Counts:
    """Count what became of the candidates."""
    graded = is_graded(judged.verdicts) if candidates else judged.verdict.reason != NO_REFERENCE
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
        num_abandoned=reasons.count("abandoned"),
    )
