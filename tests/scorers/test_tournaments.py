"""Tournaments: who meets whom, how often, and that the budget of comparisons is kept."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts.errors import NotAskedError
from tts.runs.candidates import candidate_of
from tts.scorers.asking import Opinion
from tts.scorers.entrants import entrants_of
from tts.scorers.pairwise import Pairwise
from tts.types import Ballot, Candidate, Completion, Grouping, Problem, Score

Tournament = Literal["knockout", "round_robin", "pivot"]
TOURNAMENTS: tuple[Tournament, ...] = ("knockout", "round_robin", "pivot")


class Rated(Pairwise):
    """A tournament whose judge prefers the candidate with the larger index, half of the time only in one order."""

    wavers: bool = False
    """Whether it prefers the first of a pair whose indices' sum is odd."""

    async def opinion(self, calls: Any, question: Any, marks: Sequence[str]) -> Opinion:
        del calls, marks
        first, second = question
        prefers = first > second or (self.wavers and (first + second) % 2 == 1)
        return Opinion((0.8, 0.2) if prefers else (0.2, 0.8))

    def question(self, problem: Problem, first: Candidate, second: Candidate, calls: Any) -> Any:
        del problem, calls
        return first.index, second.index


class Calls:
    """Runs branches at once, and keeps the places that were named."""

    messages = ()

    def __init__(self, nodes: Sequence[int | None]) -> None:
        self.rng, self.places, self._nodes = random.Random(0), list[tuple[int, ...]](), nodes

    def at(self, *place: int) -> Calls:
        assert place not in self.places
        self.places.append(place)
        return self

    async def classes(self, written: Any) -> Grouping:
        assert len(written) == len(self._nodes)
        return Grouping(tuple(self._nodes))

    def branch(self, search: Any, *args: Any) -> Any:
        return search(self, *args)


def drawn(nodes: Sequence[int | None]) -> list[Candidate]:
    return [
        candidate_of(Completion("p", str(index), str(node), "stop", 0, 0), index, 0, "", None)
        for index, node in enumerate(nodes)
    ]


def play(
    scorer: Pairwise, nodes: Sequence[int | None], subset: Sequence[int] | None = None
) -> tuple[list[Score], list[tuple[int, ...]]]:
    """Return the scores of all candidates, or of some alone, and the places of what was asked."""
    taken = range(len(nodes)) if subset is None else subset
    calls, candidates = Calls([nodes[one] for one in taken]), [drawn(nodes)[one] for one in taken]
    scores = asyncio.run(scorer.scores(Problem("p", "?", "math"), candidates, calls))  # type: ignore[arg-type]
    return scores, calls.places


@pytest.mark.parametrize(("tournament", "number"), [("knockout", 7), ("round_robin", 28), ("pivot", 21)])
def test_eight_answers_take_so_many_comparisons(tournament: Tournament, number: int) -> None:
    scorer = Rated(tournament=tournament)
    assert scorer.most_comparisons(8) == number
    _, places = play(scorer, range(8))
    assert len(places) <= number
    assert tournament == "pivot" or len(places) == number


@pytest.mark.parametrize("tournament", TOURNAMENTS)
def test_the_best_answer_is_first_and_equal_answers_have_equal_scores(tournament: Tournament) -> None:
    nodes = [0, 1, 0, None, 2, 2, 3, 1]
    scores, places = play(Rated(tournament=tournament), nodes)
    values = [score.value for score in scores]
    assert values[3] is None
    assert values[6] == 1.0  # index 6 beats those that stand for the others
    assert values[0] == values[2]
    assert values[4] == values[5]
    assert all(low < high for low, high in places)


def test_one_answer_needs_no_comparison_and_none_has_no_score() -> None:
    assert [score.value for score in play(Rated(), [0, 0, 0])[0]] == [1.0] * 3
    assert [score.value for score in play(Rated(), [None, None])[0]] == [None] * 2


@given(
    st.lists(st.one_of(st.none(), st.integers(0, 6)), min_size=1, max_size=14),
    st.sampled_from(TOURNAMENTS),
    st.integers(1, 30),
    st.booleans(),
)
@settings(derandomize=True, max_examples=150, deadline=None)
def test_the_budget_is_kept_and_who_takes_no_part_is_last(
    raw: list[int | None], tournament: Tournament, budget: int, wavers: bool
) -> None:
    known = list(dict.fromkeys(one for one in raw if one is not None))
    nodes = [None if one is None else known.index(one) for one in raw]
    scorer = Rated(tournament=tournament, max_comparisons=budget, wavers=wavers)
    scores, places = play(scorer, nodes)
    assert len(places) == len(set(places)) <= scorer.most_comparisons(len(known))
    assert 1 + 3 * len(places) <= scorer.most_calls(len(nodes)) or scorer.by != "probabilities"
    assert all(score.value is None for score, node in zip(scores, nodes, strict=True) if node is None)
    told = [score for score, node in zip(scores, nodes, strict=True) if node is not None]
    assert len({score.value is None for score in told}) <= 1  # all of them, or none
    if told and told[0].value is not None:
        assert max(score.value or 0 for score in told) == 1.0
        counted = sum(score.figures.get("comparisons", 0) for score in scores)
        assert counted == len(places)


def test_answers_that_are_linked_support_each_other_and_the_likeliest_stands_for_its_own() -> None:
    texts = [("a", -2.0), ("a", -1.0), ("b", -3.0), ("c", -0.5)]
    candidates = [
        candidate_of(Completion("p", str(i), text, "stop", 0, 1, mean_logprob=logprob), i, 0, "", None)
        for i, (text, logprob) in enumerate(texts)
    ]
    entrants = entrants_of(candidates, [0, 0, 1, 2], frozenset({(1, 2)}))
    assert [(one.candidate.index, one.votes) for one in entrants] == [(3, 2), (1, 2), (2, 2)]
    assert entrants[1].members == [0, 1]


@given(
    st.lists(st.one_of(st.none(), st.integers(0, 3)), min_size=1, max_size=6),
    st.sampled_from(TOURNAMENTS),
    st.booleans(),
)
@settings(derandomize=True, max_examples=60, deadline=None)
def test_of_every_pair_on_record_each_subset_is_scored_as_if_it_were_all_that_was_drawn(
    raw: list[int | None], tournament: Tournament, wavers: bool
) -> None:
    known = list(dict.fromkeys(one for one in raw if one is not None))
    nodes = [None if one is None else known.index(one) for one in raw]
    scorer = Rated(tournament=tournament, wavers=wavers, every_pair=True)
    scores, places = play(scorer, nodes)
    assert len(places) == sum(a != b for a, b in combinations([one for one in nodes if one is not None], 2))
    candidates = drawn(nodes)
    for size in range(1, len(nodes) + 1):
        for subset in combinations(range(len(nodes)), size):
            ballot = Ballot(
                tuple(candidates[one] for one in subset),
                (None,) * size,
                tuple(nodes[one] for one in subset),
                tuple(scores[one] for one in subset),
            )
            alone, _ = play(scorer, nodes, subset)
            assert [one.value for one in scorer.rescored(ballot)] == [one.value for one in alone]


def test_what_was_not_compared_is_said_and_not_guessed() -> None:
    nodes = [0, 0, 1, 2]
    scorer = Rated(tournament="knockout")
    scores, places = play(scorer, nodes)
    assert sorted(places) == [(0, 2), (0, 3)] or len(places) == 2
    ballot = Ballot(tuple(drawn(nodes)[1:3]), (None,) * 2, tuple(nodes[1:3]), tuple(scores[1:3]))
    with pytest.raises(NotAskedError, match="nobody compared the candidates 1 and 2"):
        scorer.rescored(ballot)
    with pytest.raises(NotAskedError, match="have no scores"):
        scorer.rescored(replace(ballot, scores=()))
    _, places = play(Rated(tournament="knockout", every_pair=True, max_comparisons=3), nodes)
    assert len(places) == 3, "the budget holds for these, too"
