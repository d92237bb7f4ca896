"""What the tests of the metrics share: problems with candidates, pools of them, and all k-subsets one by one."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass, replace

from tts.metrics.pool import Pool, PoolRow, pool, pool_row
from tts.types import Answer, Ballot, Candidate, Judged, Score, Selection, Verdict


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
        return pool_row(ballot.candidates, judged, dict.fromkeys(scorers, ballot.scores))

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
        return replace(candidate, finish_reason="length"), None, None, score, Verdict("undecided", "truncated")
    if draw < 0.2:
        return candidate, None, None, score, Verdict("failed", "no_answer")
    number = rng.randrange(len(verdict_of))
    status = verdict_of[number] if rng.random() < 0.9 else "failed"  # a grader may be torn within a class
    return candidate, Answer(str(number), "boxed"), number, score, Verdict(status)


def pool_of(cases: list[Case]) -> Pool:
    return pool(case.row() for case in cases)


def accuracy_by_enumeration(case: Case, k: int, select) -> tuple[float, float]:
    """The share of all k-subsets in which `select` (ballot → Selection) hands in a right answer, as a range."""
    lower = upper = 0
    for positions in case.subsets(k):
        index = select(case.subset(positions)).index
        drawn = [case.verdicts[one].status for one in positions]
        if index is None:
            upper += set(drawn) == {"undecided"}
        else:
            status = case.verdicts[index].status
            lower += status == "passed"
            upper += status != "failed"
    num_subsets = math.comb(case.size, k)
    return lower / num_subsets, upper / num_subsets


def labelled(problem_id: str, statuses: str, classes: list[int | None] | None = None, **scores) -> PoolRow:
    """A row in short: `statuses` "+-?" are passed, failed, undecided; without `classes`, each status is one."""
    names = {"+": "passed", "-": "failed", "?": "undecided"}
    seen = list(dict.fromkeys(statuses))
    found = [seen.index(one) for one in statuses] if classes is None else classes
    size = len(statuses)
    return PoolRow(problem_id, [names[one] for one in statuses], found, range(size), [5] * size, [3] * size, scores)
