"""What the tests of the metrics share: problems with candidates, pools of them, and all k-subsets one by one."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tts.metrics.pool import Pool, PoolRow, pool, pool_row
from tts.types import TRUNCATED, Answer, Ballot, Candidate, Judged, Score, Selection, Verdict


@dataclass(frozen=True)
class Case:
    """One problem's candidates and what was derived from them."""

    ballot: Ballot
    verdicts: tuple[Verdict, ...]

    @property
    def size(self) -> int:
        return len(self.verdicts)

    def row(self, scorers: tuple[str, ...] = ("scorer",)) -> PoolRow:
        ballot = self.ballot
        judged = Judged(
            ballot.answers,
            ballot.nodes,
            (),
            Selection(None, None, (), 0, 0),
            self.verdicts,
            Verdict("failed"),
            ballot.links,
        )
        return pool_row(
            ballot.candidates[0].problem_id, ballot.candidates, judged, dict.fromkeys(scorers, ballot.scores)
        )

    def subset(self, positions: tuple[int, ...]) -> Ballot:
        return Ballot(*(tuple(column[one] for one in positions) for column in self._columns()), self.ballot.links)

    def subsets(self, k: int):
        return itertools.combinations(range(self.size), k)

    def _columns(self):
        ballot = self.ballot
        return ballot.candidates, ballot.answers, ballot.nodes, ballot.scores


def random_case(rng: random.Random, problem_id: str, size: int) -> Case:
    """A problem with few classes, few score values and few likelihoods, so that ties of all sorts abound."""
    num_classes, scored = min(size, rng.randint(1, 5)), rng.random() < 0.7
    verdict_of = [rng.choice(["passed", "failed", "undecided"]) for _ in range(num_classes)]
    plain = [
        Candidate(problem_id, index, "text", None, "stop", 3, 5, None, rng.choice([None, -1.0, -0.5]), None, 0, "s")
        for index in range(size)
    ]
    rows = [_derived(rng, candidate, verdict_of, scored=scored) for candidate in plain]
    candidates, answers, classes, scores, verdicts = zip(*rows, strict=True)
    pairs = [(left, right) for right in range(num_classes) for left in range(right)]
    links = frozenset(rng.sample(pairs, rng.randint(0, len(pairs)))) if rng.random() < 0.5 else frozenset()
    return Case(Ballot(candidates, answers, classes, scores, links), verdicts)


def _derived(rng, candidate, verdict_of, *, scored):
    draw = rng.random()
    score = Score(rng.choice([0.0, 0.125, 0.25, 0.375, 0.75]) if scored or rng.random() < 0.7 else None)
    if draw < 0.1:
        return replace(candidate, finish_reason="length"), None, None, score, Verdict("undecided", TRUNCATED)
    if draw < 0.15:
        return replace(candidate, finish_reason="error"), None, None, score, Verdict("undecided", "engine_error")
    if draw < 0.25:
        return candidate, None, None, score, Verdict("failed", "no_answer")
    number = rng.randrange(len(verdict_of))
    status = verdict_of[number] if rng.random() < 0.9 else "failed"  # a grader may be torn within a class
    return candidate, Answer(str(number), "boxed"), number, score, Verdict(status)


def pool_of(cases: list[Case]) -> Pool:
    return pool(case.row() for case in cases)


Shares = tuple[dict[int, float], bool]
"""What a selector's rule makes of a ballot: the share of the outcome by position, and whether first place is shared."""


def shared_vote(ballot: Ballot, weights: Sequence[float | None]) -> Shares:
    """The vote by agreement, told slowly: who is supported most, linked ones being one party; ties are shared."""
    voting = [one for one, weight in enumerate(weights) if _has_answer(ballot, one) and weight is not None]
    if not voting:
        return {}, False

    def agree(one: int, two: int) -> bool:
        pair = sorted([ballot.nodes[one], ballot.nodes[two]])
        return pair[0] == pair[1] or tuple(pair) in ballot.links

    support = {one: math.fsum(weights[two] for two in voting if agree(one, two)) for one in voting}
    parties: list[list[int]] = []
    for one in [one for one in voting if support[one] >= (1 - 1e-9) * max(support.values())]:
        joined = [party for party in parties if any(agree(one, two) for two in party)]
        parties = [party for party in parties if party not in joined] + [[one, *itertools.chain(*joined)]]
    return {one: 1 / len(party) / len(parties) for party in parties for one in party}, len(parties) > 1


def shared_best(ballot: Ballot) -> Shares:
    """The best score, told slowly; ties are shared."""
    scores = {one: score.value for one, score in enumerate(ballot.scores) if _has_answer(ballot, one)}
    known = [score for score in scores.values() if score is not None]
    best = [one for one, score in scores.items() if score is not None and score == max(known)]
    return dict.fromkeys(best, 1 / max(1, len(best))), len(best) > 1


def _has_answer(ballot: Ballot, place: int) -> bool:
    return ballot.candidates[place].finish_reason == "stop" and ballot.answers[place] is not None


def by_enumeration(case: Case, k: int, shares: Callable[[Ballot], Shares]) -> tuple[float, float, float]:
    """The mean over all k-subsets of the share that is right, as a range, and the share of subsets with a tie."""
    lower, upper, ties = [], [], []
    for positions in case.subsets(k):
        ballot = case.subset(positions)
        found, tied = shares(ballot)
        statuses = [case.verdicts[one].status for one in positions]
        lower += [share for one, share in found.items() if statuses[one] == "passed"]
        upper += [share for one, share in found.items() if statuses[one] != "failed"]
        ties.append(tied)
        if not found:
            unseen = any(_has_answer(ballot, one) and status != "failed" for one, status in enumerate(statuses))
            is_cut = all(case.verdicts[one].reason == TRUNCATED for one in positions)
            upper.append(unseen or (set(statuses) == {"undecided"} and not is_cut))
    num_subsets = math.comb(case.size, k)
    return math.fsum(lower) / num_subsets, math.fsum(upper) / num_subsets, sum(ties) / num_subsets


def labelled(problem_id: str, statuses: str, classes: list[int | None] | None = None, **scores) -> PoolRow:
    """A row in short: `statuses` "+-?" are passed, failed, undecided; without `classes`, each status is one."""
    names = {"+": "passed", "-": "failed", "?": "undecided"}
    seen = list(dict.fromkeys(statuses))
    found = [seen.index(one) for one in statuses] if classes is None else classes
    size = len(statuses)
    return PoolRow(problem_id, [names[one] for one in statuses], found, [5] * size, [3] * size, scores)
