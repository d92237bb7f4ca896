"""Rewards of steps as one score, and what selectors make of it."""

from __future__ import annotations

import math
from itertools import permutations

import pytest

from tts.scorers.step_rewards import StepRewards
from tts.selectors.best_of_n import BestOfN
from tts.selectors.majority_vote import MajorityVote
from tts.selectors.self_consistency import SelfConsistency
from tts.types import Answer, Ballot, Candidate, Problem

PROBLEMS = [Problem("p", "1+1?", "math"), Problem("q", "2+2?", "math")]


def candidate(index: int, rewards: tuple[float, ...] | None, problem_id: str = "p") -> Candidate:
    return Candidate(problem_id, index, "", None, "stop", 1, 1, None, None, None, 0, "s", rewards=rewards)


@pytest.mark.parametrize(("aggregate", "value"), [("min", 0.5), ("product", 0.36), ("last", 0.8), ("mean", 0.7333)])
@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.id)
def test_the_steps_of_a_candidate_become_one_score(problem: Problem, aggregate: str, value: float) -> None:
    scorer = StepRewards(aggregate=aggregate)
    scores = scorer.score(problem, [candidate(0, (0.9, 0.5, 0.8), problem.id), candidate(1, (0.25,), problem.id)])
    assert [score.value for score in scores] == [pytest.approx(value, abs=5e-5), 0.25]


@pytest.mark.parametrize(
    ("rewards", "said"),
    [(None, "no rewards"), ((), "no rewards"), ((0.5, math.nan), "must be finite"), ((1e300, 1e300), "not finite")],
)
def test_a_candidate_without_usable_rewards_cannot_be_told(rewards: tuple[float, ...] | None, said: str) -> None:
    (score,) = StepRewards(aggregate="product").score(PROBLEMS[0], [candidate(0, rewards)])
    assert score.value is None
    assert said in score.detail


@pytest.mark.parametrize(("second", "weighted"), [(0.5, "B"), (0.4, "A")])
def test_naive_weighted_and_majority_differ_as_worked(second: float, weighted: str) -> None:
    rows = [("A", (0.3, 0.9)), ("B", (second,)), ("B", (0.1, second))]
    for order in permutations(rows):
        candidates = tuple(candidate(index, rewards) for index, (_, rewards) in enumerate(order))
        answers = tuple(Answer(text, "boxed") for text, _ in order)
        nodes = tuple(int(text != order[0][0]) for text, _ in order)
        ballot = Ballot(candidates, answers, nodes, tuple(StepRewards().score(PROBLEMS[0], candidates)))
        assert BestOfN(scorer=StepRewards()).select(ballot).answer == "A"
        assert SelfConsistency(scorer=StepRewards()).select(ballot).answer == weighted
        assert MajorityVote().select(ballot).answer == "B"
