"""Who takes part in a selection, who stands for a group, and who wins a tie. All selectors rest on this.

A candidate abstains when it was not finished (truncated, cancelled, failed), when no answer was found in it, or when
its scorer cannot tell how good it is.

A vote is by agreement. An answer is supported by the candidates of its own node and of the nodes linked to it (see
`tts.types.Grouping`): by all that would be judged right if it were the reference. Linked nodes of equal support are one
party, and a node of which a linked one has more support leads none. One more candidate raises the support of its own
answer and of those equal to it, and lowers none, so it never hands the win to a third answer. Where equality is
transitive this is the plain vote over its classes. Nodes joined to classes instead could not be stable: where a equals
b and b equals c, but a differs from c, some candidate would have to split a class.

Sums of weights tie where they differ by no more than rounding may have made (`least_tied`), single scores where they
are equal.

The rank of a contender depends on what it wrote, never on when it arrived: the higher mean log-probability first
(missing ones and numbers that cannot be one last), then the answer's text, then the whole text, both in code-point
order, then the candidate's index. The best-ranked contender stands for its party; between parties of equal weight, the
one whose representative ranks first wins.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from tts.errors import ScorerError
from tts.protocols import AskingScorer, Scorer
from tts.scorers.likelihood import MOST_LOGPROB
from tts.types import Answer, Ballot, Candidate, Selection

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

    Weights = TypeVar("Weights", float, NDArray[float64])


@dataclass(frozen=True, slots=True)
class Contender:
    """One candidate that takes part. `position` is its place in the ballot, `weight` what its vote counts."""

    position: int
    candidate: Candidate
    answer: Answer
    node: int
    weight: float = 1.0


def contenders(ballot: Ballot) -> list[Contender]:
    """Return the candidates that finished with an answer, one vote each."""
    rows = zip(ballot.candidates, ballot.answers, ballot.nodes, strict=True)
    return [
        Contender(position, candidate, answer, node)
        for position, (candidate, answer, node) in enumerate(rows)
        if answer is not None and node is not None and candidate.finish_reason == "stop"
    ]


def scored_contenders(ballot: Ballot) -> list[Contender]:
    """Return the contenders that have a score, weighing as much as it. Raises as `scores_of` does."""
    scores = scores_of(ballot)
    return [
        replace(contender, weight=score)
        for contender in contenders(ballot)
        if (score := scores[contender.position]) is not None
    ]


def weighing_contenders(ballot: Ballot) -> list[Contender]:
    """Return the contenders that have a score, for a vote that it weighs.

    Raises ScorerError for one that is negative, and as `scores_of` does.
    """
    entrants = scored_contenders(ballot)
    for contender in entrants:
        if contender.weight < 0:
            raise ScorerError(
                f"{name_score(contender.candidate)} must be 0 or above to weigh a vote, got {contender.weight}. "
                "Use another scorer, or the selector `best_of_n` or `borda`, which take any score"
            )
    return entrants


def refuse_raw(scorer: Scorer | AskingScorer) -> None:
    """Raise ValueError where a scorer gives raw numbers: that of a right answer may be negative, or a wrong one's huge.

    It is found out before anything is drawn, and not by the first negative score.
    """
    if isinstance(scorer, AskingScorer) and scorer.raw:
        raise ValueError(
            "`scorer` gives a model's raw numbers, which cannot weigh votes: set its `squash: sigmoid`, or use the "
            "selector `best_of_n` or `borda`, which take any score"
        )


def scores_of(ballot: Ballot) -> list[float | None]:
    """Return every candidate's score, in the ballot's order; None: its scorer cannot tell.

    Raises ScorerError where there is not one score per candidate, or one is not finite.
    """
    if len(ballot.scores) != len(ballot.candidates):
        raise ScorerError(
            f"the scorer must give {len(ballot.candidates)} scores, one per candidate, got {len(ballot.scores)}"
        )
    for candidate, score in zip(ballot.candidates, ballot.scores, strict=True):
        if score.value is not None and not math.isfinite(score.value):
            raise ScorerError(f"{name_score(candidate)} must be finite, got {score.value}")
    return [score.value for score in ballot.scores]


def name_score(candidate: Candidate) -> str:
    """Return the words by which an error names a candidate's score."""
    return f"the score of candidate {candidate.index} of problem {candidate.problem_id!r}"


def vote(ballot: Ballot, entrants: Iterable[Contender]) -> Selection:
    """Select between the answers, each supported by the contenders of its own node and of those linked to it."""
    members: dict[int, list[Contender]] = {}
    for contender in entrants:
        members.setdefault(contender.node, []).append(contender)
    beside: dict[int, set[int]] = {node: set() for node in members}
    for left, right in ballot.links:
        if left in members and right in members:
            beside[left].add(right)
            beside[right].add(left)
    support = {node: _total([one for each in (node, *beside[node]) for one in members[each]]) for node in members}
    parties: list[tuple[float, list[Contender]]] = []
    left_over = set(members)
    while left_over:
        party = [left_over.pop()]
        leads = True
        for node in party:  # which grows by its linked nodes of equal support
            near = {each for each in beside[node] if support[each] >= least_tied(support[node])}
            joining = {each for each in near if support[node] >= least_tied(support[each])}
            leads &= near == joining
            joining &= left_over
            left_over -= joining
            party += joining
        if leads:
            parties.append((support[party[0]], [one for node in party for one in members[node]]))
    return _select_heaviest(ballot, parties, least_tied, num_entrants=sum(map(len, members.values())))


def rerank(ballot: Ballot, entrants: Iterable[Contender]) -> Selection:
    """Select between the contenders, each for itself."""
    parties = [(contender.weight, [contender]) for contender in entrants]
    return _select_heaviest(ballot, parties, float, num_entrants=len(parties))


def least_tied(heaviest: Weights) -> Weights:
    """Return the least sum of weights, 0 or above, that ties with the heaviest: .1 + .2 and .3 do."""
    return heaviest * (1 - 1e-9)


def rank(contender: Contender) -> tuple[float, str, str, int]:
    """Return the key that sorts the best contender first (see above)."""
    candidate = contender.candidate
    logprob = candidate.mean_logprob
    known = logprob is not None and -math.inf < logprob <= MOST_LOGPROB  # as for the scorer
    unlikelihood = -logprob if logprob is not None and known else math.inf
    return (unlikelihood, contender.answer.text, candidate.text, candidate.index)


def _select_heaviest(
    ballot: Ballot,
    parties: Sequence[tuple[float, Sequence[Contender]]],
    least: Callable[[float], float],
    num_entrants: int,
) -> Selection:
    """Select the best-ranked contender of the heaviest party, given each with its weight; without parties: nothing.

    `least` is the least weight that ties with a weight.
    """
    num_abstained = len(ballot.candidates) - num_entrants
    if not parties:
        return Selection(None, None, (), num_tied=0, num_abstained=num_abstained)
    heaviest = max(weight for weight, _ in parties)
    tied = [min(party, key=rank) for weight, party in parties if weight >= least(heaviest)]
    winner = min(tied, key=rank)
    return Selection(
        index=winner.candidate.index,
        answer=winner.answer.text,
        weights=tuple(sorted((weight for weight, _ in parties), reverse=True)),
        num_tied=len(tied),
        num_abstained=num_abstained,
    )


def _total(supporters: Sequence[Contender]) -> float:
    """Return the sum of the weights, rounded once, so that it does not depend on their order."""
    try:
        return math.fsum(contender.weight for contender in supporters)
    except OverflowError as error:
        raise ScorerError(
            f"{name_score(supporters[0].candidate)} and of those that agree must have a finite sum"
        ) from error
