"""Where a scorer that asks told too little of a subset the plain vote chooses, subset by subset, as in a run."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts.metrics.best_of_n import best_of_n_odds
from tts.metrics.curves import curves
from tts.metrics.pool import Pool, PoolRow, pool
from tts.metrics.silence import Asked, best_choice
from tts.metrics.weighted_vote import weighted_choice, weighted_vote_odds

FIGURES = ("best_of_n(judge)", "self_consistency(judge)")


def row(name: str, right: str, classes: list[int | None], scores: list[float | None]) -> PoolRow:
    return PoolRow(
        name,
        ["passed" if one == "+" else "failed" for one in right],
        classes,
        [1] * len(classes),
        [1] * len(classes),
        {"judge": scores},
    )


def lines(found: Pool, ks: list[int], *failed: str) -> dict[str, Any]:
    return {one.name: one for one in curves(found, ks, asked=Asked("judge", set(failed)))}


def test_a_judge_that_told_of_nobody_leaves_the_vote_of_each_subset() -> None:
    """Not that of all candidates: with k = 1 it is a blind choice, and no better."""
    found = lines(pool([row("p", "+++--", [0, 0, 0, 1, 1], [None] * 5)]), [1, 2, 3, 5])
    for figure in FIGURES:
        assert found[figure].lower == pytest.approx(found["maj@k"].lower)
    assert found["best_of_n(judge)"].lower[0, 0] == pytest.approx(3 / 5)


def test_what_a_judge_told_of_few_decides_where_these_are_half_of_the_subset() -> None:
    """It told of 2 of 4, of whom it likes the wrong one: of 2 drawn the vote chooses where both are untold."""
    found = lines(pool([row("p", "+-++", [0, 1, 0, 0], [0.2, 0.9, None, None])]), [1, 2, 4])["best_of_n(judge)"]
    told, told_and_untold, untold = 0.0, (0 + 0 + 1 + 1), 1.0  # {0, 1}; {1, 2}, {1, 3}, {0, 2}, {0, 3}; {2, 3}
    assert found.lower[:, 0] == pytest.approx([3 / 4, (told + told_and_untold + untold) / 6, 0.0])


def test_where_the_judge_failed_nothing_is_handed_in_and_nothing_is_known() -> None:
    found = lines(pool([row("p", "+-", [0, 1], [None, None])]), [1, 2], "p")["best_of_n(judge)"]
    assert (found.lower.max(), found.upper.min()) == (0.0, 0.5)


def test_a_judge_that_told_of_all_changes_nothing() -> None:
    cases = pool([row("p", "+-+-", [0, 1, 0, None], [0.2, 0.9, 0.1, None]), row("q", "+-", [0, 1], [0.2, 0.2])])
    plain = {one.name: one for one in curves(cases, [1, 2])}
    for name, one in lines(cases, [1, 2]).items():
        assert np.array_equal(one.lower, plain[name].lower)
        assert np.array_equal(one.upper, plain[name].upper)


def test_a_judge_that_finds_all_the_same_leaves_the_vote() -> None:
    """Of {0, 1} and the like the score decides, of three 0.5 and of four the vote."""
    found = lines(pool([row("p", "++--", [0, 0, 1, 2], [0.5] * 4)]), [1, 2, 3, 4])
    for figure in FIGURES:
        assert found[figure].lower == pytest.approx(found["maj@k"].lower)
    assert found["best_of_n(judge)"].lower[3, 0] == 1.0
    some = lines(pool([row("p", "+++-", [0, 0, 0, 1], [0.2, 0.2, 0.2, 0.9])]), [2, 3, 4])["best_of_n(judge)"]
    assert some.lower[:, 0] == pytest.approx([1 / 2, 1 / 4, 0.0])


def by_hand(one: PoolRow, k: int, figure: str) -> float:
    """Return the accuracy over all subsets, ties shared."""
    total = 0.0
    every = list(combinations(range(len(one.statuses)), k))
    for drawn in every:
        answered = [place for place in drawn if one.classes[place] is not None]
        told = [place for place in answered if one.scores["judge"][place] is not None]
        votes, weights = told, [float(one.scores["judge"][place] or 0) for place in told]
        if 2 * (len(answered) - len(told)) > len(answered) or (
            len(set(weights)) == 1 and len({one.classes[place] for place in told}) > 1
        ):
            votes, weights = answered, [1.0] * len(answered)
        elif figure.startswith("best"):
            best = [place for place, weight in zip(votes, weights, strict=True) if weight == max(weights)]
            total += sum(one.statuses[place] == "passed" for place in best) / len(best) if best else 0
            continue
        sums: dict[Any, float] = {}
        for place, weight in zip(votes, weights, strict=True):
            sums[one.classes[place]] = sums.get(one.classes[place], 0.0) + weight
        leaders = [node for node, weight in sums.items() if weight > max(sums.values()) - 1e-9]
        for node in leaders:
            members = [place for place in votes if one.classes[place] == node]
            total += sum(one.statuses[place] == "passed" for place in members) / len(members) / len(leaders)
    return total / len(every)


CANDIDATES = st.tuples(
    st.booleans(), st.sampled_from([None, 0, 1, 2]), st.sampled_from([None, None, 0.25, 0.5, 0.75, 1.0])
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(CANDIDATES, min_size=2, max_size=6))
def test_every_subset_is_chosen_from_as_a_run_would(candidates: list[tuple[bool, int | None, float | None]]) -> None:
    nodes = [None if node is None else min(node, len(candidates) - 1) for _, node, _ in candidates]
    of_node = {node: right for right, node, _ in candidates}
    right = "".join("+" if node is not None and of_node[node] else "-" for node in [one for _, one, _ in candidates])
    case = row("p", right, nodes, [score for _, _, score in candidates])
    ks = list(range(1, len(candidates) + 1))
    found = lines(pool([case, replace(case, problem_id="q")]), ks)
    for figure in FIGURES:
        assert found[figure].lower[:, 1] == pytest.approx([by_hand(case, k, figure) for k in ks], abs=1e-9)


@pytest.mark.parametrize(("odds", "choose"), [(best_of_n_odds, best_choice), (weighted_vote_odds, weighted_choice)])
def test_where_it_told_of_all_the_choice_on_subsets_is_the_exact_one(odds: Any, choose: Any) -> None:
    """A candidate that says nothing of itself keeps the rows on the drawn way, in subsets without it."""
    told = row("p", "+-+-", [0, 1, 0, 1], [0.2, 0.9, 0.1, 0.3])
    more = row("p", "+-+--", [0, 1, 0, 1, 2], [0.2, 0.9, 0.1, 0.3, None])
    exact = odds(pool([told]), 4, scorer="judge")
    drawn = Asked("judge").odds(partial(odds, scorer="judge"), partial(choose, scorer="judge"))(pool([more]), 5)
    assert drawn.odds[0, :4] == pytest.approx(exact.odds[0])
