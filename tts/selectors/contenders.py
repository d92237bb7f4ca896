"""Who takes part in a selection, who stands for a group, and who wins a tie. All selectors rest on this.

A candidate abstains when it was not finished (truncated, cancelled, failed), when no answer was found in it, or when
its scorer cannot tell how good it is.

The rank of a contender depends on what it wrote, never on when it arrived: the higher mean log-probability first
(missing and non-finite ones last), then the answer's text, then the whole text, both in code-point order, then the
candidate's index. The best-ranked contender stands for its group; between groups of equal weight, the one whose
representative ranks first wins.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from tts.errors import ScorerError
from tts.types import Answer, Ballot, Candidate, Selection


@dataclass(frozen=True, slots=True)
class Contender:
    """One candidate that takes part. `position` is its place in the ballot, `weight` what its vote counts."""

    position: int
    candidate: Candidate
    answer: Answer
    answer_class: int
    weight: float = 1.0


def contenders(ballot: Ballot) -> list[Contender]:
    """Return the candidates that finished with an answer, one vote each."""
    rows = zip(ballot.candidates, ballot.answers, ballot.classes, strict=True)
    return [
        Contender(position, candidate, answer, answer_class)
        for position, (candidate, answer, answer_class) in enumerate(rows)
        if answer is not None and answer_class is not None and candidate.finish_reason == "stop"
    ]


def scored_contenders(ballot: Ballot) -> list[Contender]:
    """Return the contenders that have a score, weighing as much as it.

    Raises ScorerError where there is not one score per candidate, or one is not finite.
    """
    if len(ballot.scores) != len(ballot.candidates):
        raise ScorerError(
            f"the scorer must give {len(ballot.candidates)} scores, one per candidate, got {len(ballot.scores)}"
        )
    scored: list[Contender] = []
    for contender in contenders(ballot):
        score = ballot.scores[contender.position].value
        if score is not None:
            scored.append(replace(contender, weight=score))
            if not math.isfinite(score):
                raise ScorerError(f"{name_score(contender)} must be finite, got {score}")
    return scored


def name_score(contender: Contender) -> str:
    """Return the words by which an error names a contender's score."""
    return f"the score of candidate {contender.candidate.index} of problem {contender.candidate.problem_id!r}"


def vote(ballot: Ballot, entrants: Iterable[Contender]) -> Selection:
    """Select between the answers: the contenders of one equivalence class add up their weights."""
    groups: dict[int, list[Contender]] = {}
    for contender in entrants:
        groups.setdefault(contender.answer_class, []).append(contender)
    return _select_heaviest(ballot, list(groups.values()))


def rerank(ballot: Ballot, entrants: Iterable[Contender]) -> Selection:
    """Select between the contenders, each for itself."""
    return _select_heaviest(ballot, [[contender] for contender in entrants])


def rank(contender: Contender) -> tuple[float, str, str, int]:
    """Return the key that sorts the best contender first (see above)."""
    candidate = contender.candidate
    logprob = candidate.mean_logprob
    unlikelihood = math.inf if logprob is None or not math.isfinite(logprob) else -logprob
    return (unlikelihood, contender.answer.text, candidate.text, candidate.index)


def _select_heaviest(ballot: Ballot, groups: Sequence[Sequence[Contender]]) -> Selection:
    """Select the best-ranked contender of the heaviest group. Who is in no group abstained; no group: nothing."""
    num_abstained = len(ballot.candidates) - sum(map(len, groups))
    if not groups:
        return Selection(None, None, (), num_tied=0, num_abstained=num_abstained)
    weights = [_total(group) for group in groups]
    heaviest = max(weights)
    tied = [min(group, key=rank) for group, weight in zip(groups, weights, strict=True) if weight == heaviest]
    winner = min(tied, key=rank)
    return Selection(
        index=winner.candidate.index,
        answer=winner.answer.text,
        weights=tuple(sorted(weights, reverse=True)),
        num_tied=len(tied),
        num_abstained=num_abstained,
    )


def _total(group: Sequence[Contender]) -> float:
    """Return the sum of the weights, rounded once, so that it does not depend on their order."""
    try:
        return math.fsum(contender.weight for contender in group)
    except OverflowError as error:
        raise ScorerError(f"{name_score(group[0])} and of those that agree must have a finite sum") from error
