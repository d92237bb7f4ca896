"""Who takes part in a selection, who wins a tie, and who stands for the winning group. All selectors rest on this.

A candidate abstains when it was not finished (truncated, cancelled, failed) or when no answer was found in it.

The rank of a contender depends on what it wrote, never on when it arrived: the higher mean log-probability first
(missing and non-finite ones last), then the answer's text, then the whole text, both in code-point order, then the
candidate's index. It picks the candidate that stands for a group, and, between groups of equal weight, the group
whose representative ranks first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tts.types import Answer, Ballot, Candidate, Score, Selection


@dataclass(frozen=True, slots=True)
class Contender:
    """One candidate that takes part: `position` is its place in the ballot."""

    position: int
    candidate: Candidate
    answer: Answer
    answer_class: int
    score: Score | None


def contenders(ballot: Ballot) -> list[Contender]:
    """Return the candidates that did not abstain, in the ballot's order."""
    scores: Iterable[Score | None] = ballot.scores or (None,) * len(ballot.candidates)
    rows = zip(ballot.candidates, ballot.answers, ballot.classes, scores, strict=True)
    return [
        Contender(position, candidate, answer, answer_class, score)
        for position, (candidate, answer, answer_class, score) in enumerate(rows)
        if answer is not None and answer_class is not None and candidate.finish_reason == "stop"
    ]


def by_class(entrants: Iterable[Contender]) -> list[list[Contender]]:
    """Group contenders by the equivalence class of their answers."""
    groups: dict[int, list[Contender]] = {}
    for contender in entrants:
        groups.setdefault(contender.answer_class, []).append(contender)
    return list(groups.values())


def rank(contender: Contender) -> tuple[float, str, str, int]:
    """Return the key that orders contenders, the first being the best; see the module's words."""
    candidate = contender.candidate
    logprob = candidate.mean_logprob
    unlikelihood = math.inf if logprob is None or not math.isfinite(logprob) else -logprob
    return (unlikelihood, contender.answer.text, candidate.text, candidate.index)


def select_heaviest(ballot: Ballot, groups: Sequence[Sequence[Contender]], weights: Sequence[float]) -> Selection:
    """Select the best-ranked contender of the heaviest group; `groups` are non-empty and parallel to `weights`.

    No group: an empty selection. Whoever is in no group is counted as abstaining.
    """
    num_abstained = len(ballot.candidates) - sum(map(len, groups))
    if not groups:
        return Selection(None, None, (), num_tied=0, num_abstained=num_abstained)
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
