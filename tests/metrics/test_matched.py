"""Arms at the same cost: mixtures by hand, their properties, and no value beyond what is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pool_parts import labelled

from tts.errors import UsageError
from tts.metrics.budget import costs_of_subsets, costs_of_whole, joined_costs
from tts.metrics.comparison import compare
from tts.metrics.curves import Curve, joined, pass_curve, whole_curves
from tts.metrics.matched import Buys, grid, mixed, undominated
from tts.metrics.pool import pool
from tts.types import Spent


def by_hand(values: Sequence[Sequence[float]], ks: Sequence[int]) -> Curve:
    table = np.array(values, dtype=np.float64)
    ids = tuple(f"p{number}" for number in range(table.shape[1]))
    return Curve("pass@k", tuple(ks), ids, max(ks), table, table, (0.0,) * len(ks))


def spent(tokens: int) -> dict[str, Spent]:
    return {"engine": Spent(1, 0, tokens)}


def runs(values: Sequence[Sequence[float]], costs: Mapping[int, Sequence[int]], name: str = "search") -> Buys:
    """An arm that has a run for each k, each problem with its own cost."""
    curve = by_hand(values, list(costs))
    found = [
        costs_of_whole(
            k, dict.fromkeys(curve.problem_ids, k), dict(zip(curve.problem_ids, map(spent, each), strict=True))
        )
        for k, each in costs.items()
    ]
    return Buys(name, {"pass@k": curve}, {"pass@k": joined_costs(found)})


def pooled(statuses: Mapping[str, str], tokens: int, name: str = "pool") -> Buys:
    """An arm whose candidates know nothing of each other, each of so many tokens."""
    found = pool(labelled(one, text) for one, text in statuses.items())
    size = int(found.sizes.min())
    costs = costs_of_subsets([1, size], dict.fromkeys(statuses, size), {one: spent(size * tokens) for one in statuses})
    return Buys(
        name, {"pass@k": pass_curve(found, [1, size])}, {"pass@k": costs}, lambda _, ks: pass_curve(found, ks), size
    )


def test_between_two_runs_the_value_is_the_mixture_that_costs_as_much() -> None:
    arm = runs([[0, 1, 0], [1, 1, 0]], {4: (50, 100, 150), 16: (400, 500, 600)})
    ids = ["p0", "p1", "p2"]
    assert (arm.budgets("pass@k", "tokens", ids), arm.reach("pass@k", "tokens", ids)) == ([100, 500], (100, 500))
    found = arm.at("pass@k", "tokens", [100, 200, 500], ids)
    assert found.lower.tolist() == [[0, 1, 0], [0.25, 1, 0], [1, 1, 0]]
    assert (found.places, found.problem_ids) == ((100, 200, 500), ("p0", "p1", "p2"))


def test_of_a_pool_the_neighbours_are_k_and_the_next_k() -> None:
    arm = pooled({"p0": "+---", "p1": "++--"}, 10)
    found = arm.at("pass@k", "tokens", [10, 15, 40], ["p0", "p1"])
    one, two = pass_curve(pool([labelled("p0", "+---"), labelled("p1", "++--")]), [1, 2]).lower
    assert found.lower == pytest.approx(np.array([one, (one + two) / 2, [1, 1]]))


def test_the_grid_is_the_points_of_either_arm_inside_what_both_cover() -> None:
    search = runs([[0, 1], [1, 1]], {4: (60, 80), 16: (300, 300)})
    sampling = pooled({"p0": "+---" * 4, "p1": "++--" * 4}, 10)
    assert grid(search, sampling, "pass@k", "tokens") == [70, 160]
    assert grid(sampling, search, "pass@k", "tokens") == [70, 160]
    assert grid(sampling, runs([[1, 1]], {64: (900, 900)}), "pass@k", "tokens") == []
    assert grid(search, runs([[1, 1]], {64: (120, 140)}), "pass@k", "tokens") == [130]
    assert grid(search, sampling, "pass@k", "flops") == []


def test_nothing_is_extrapolated() -> None:
    for place in (99, 501):
        with pytest.raises(UsageError, match=rf"pass@k covers, 100 to 500, got {place}"):
            mixed(by_hand([[0], [1]], [4, 16]), [100, 500], [place])


def test_what_is_undecided_stays_a_range_in_the_mixture() -> None:
    found = pool([labelled("p0", "?-"), labelled("p1", "++")])
    known = joined([whole_curves(found, 2, found.sizes > 0)[1], whole_curves(found, 3, found.sizes > 9)[1]])
    half = mixed(known, [10, 20], [15])
    assert (half.lower.tolist(), half.upper.tolist()) == ([[0.0, 0.5]], [[1.0, 1.0]])


def test_of_points_that_cost_the_same_the_larger_k_counts_and_an_unknown_cost_is_no_point() -> None:
    curve = by_hand([[0.1], [0.2], [0.3], [0.4]], [1, 2, 3, 4])
    assert mixed(curve, [5, 5, float("nan"), 9], [5, 7]).lower == pytest.approx(np.array([[0.2], [0.3]]))


values = st.lists(st.floats(0, 1), min_size=3, max_size=3)
points = st.lists(st.tuples(st.integers(1, 10_000), values), min_size=2, max_size=5, unique_by=lambda one: one[0])


@settings(max_examples=200, derandomize=True, deadline=None)
@given(points, st.floats(0, 1))
def test_a_mixture_lies_between_its_neighbours_and_is_the_point_at_its_own_budget(
    points: list[tuple[int, list[float]]], where: float
) -> None:
    budgets = [float(cost) for cost, _ in points]
    curve = by_hand([each for _, each in points], range(1, len(points) + 1))
    own = mixed(curve, budgets, budgets)
    assert (own.lower == curve.lower).all()
    place = min(budgets) + where * (max(budgets) - min(budgets))
    found = mixed(curve, budgets, [place]).lower[0]
    below = max((one for one in zip(budgets, curve.lower.tolist(), strict=True) if one[0] <= place), default=None)
    above = min(one for one in zip(budgets, curve.lower.tolist(), strict=True) if one[0] >= place * (1 - 1e-9))
    assert below is not None
    ends = np.sort([below[1], above[1]], axis=0)
    assert (ends[0] - 1e-9 <= found).all()
    assert (found <= ends[1] + 1e-9).all()


@settings(max_examples=50, derandomize=True, deadline=None)
@given(points)
def test_an_arm_against_itself_differs_by_nothing(points: list[tuple[int, list[float]]]) -> None:
    arm = runs([each for _, each in points], {k: (cost,) * 3 for k, (cost, _) in enumerate(points, start=1)})
    ids = ["p0", "p1", "p2"]
    places = grid(arm, arm, "pass@k", "tokens")
    assert places == sorted({float(cost) for cost, _ in points})
    twice = [arm.at("pass@k", "tokens", places, ids) for _ in range(2)]
    for one in compare([(twice[0], twice[1])]).comparisons:
        assert (one.look.lower, one.look.upper, one.look.p_value, one.look.adjusted_p_value) == (0, 0, 1, 1)


def test_whole_runs_count_all_candidates_of_a_problem_however_many() -> None:
    found = pool([labelled("a", "++-"), labelled("b", "-----"), labelled("c", "+"), labelled("d", "")])
    lines = {one.name: one for one in whole_curves(found, 8, np.array([True, True, False, True]))}
    assert lines["random"].lower.tolist() == [[pytest.approx(2 / 3), 0, 0, 0]]
    assert lines["random"].upper.tolist() == [[pytest.approx(2 / 3), 0, 1, 1]]
    assert lines["pass@k"].lower.tolist() == [[1, 0, 0, 0]]
    assert lines["maj@k"].lower.tolist() == [[1, 0, 0, 0]]
    assert (lines["maj@k"].ks, lines["maj@k"].num_candidates) == ((8,), 8)


def test_runs_are_joined_by_k_and_a_problem_that_one_lacks_is_unknown_there() -> None:
    small = whole_curves(pool([labelled("a", "+")]), 1, np.array([True]))[1]
    large = whole_curves(pool([labelled("b", "-+"), labelled("a", "--")]), 4, np.array([True, True]))[1]
    found = joined([large, small])
    assert (found.ks, found.problem_ids) == ((1, 4), ("a", "b"))
    assert (found.lower.tolist(), found.upper.tolist()) == ([[1, 0], [0, 1]], [[1, 1], [0, 1]])


def test_nothing_dominates_the_frontier() -> None:
    points = [(10, 0.5), (20, 0.4), (20, 0.7), (5, 0.5), (30, 0.7), (40, 0.9)]
    assert undominated(points) == [3, 2, 5]


COSTS = st.lists(st.one_of(st.none(), st.integers(0, 40)), min_size=1, max_size=3)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(COSTS, COSTS)
def test_what_costs_an_unknown_amount_is_in_no_contrast_whichever_arm_is_named_first(
    first: list[int | None], second: list[int | None]
) -> None:
    """None: no server said how many tokens the calls of that point wrote."""
    arms = []
    for each in (first, second):
        curve = by_hand([[0, 1]] * len(each), [4**place for place in range(len(each))])
        paid = [{"engine": Spent(1, 0, 0, num_uncounted=1)} if one is None else spent(one) for one in each]
        sizes = dict.fromkeys(curve.problem_ids, 1)
        costs = [costs_of_whole(k, sizes, dict.fromkeys(sizes, one)) for k, one in zip(curve.ks, paid, strict=True)]
        arms.append(Buys("arm", {"pass@k": curve}, {"pass@k": joined_costs(costs)}))
    one, other = arms
    places = grid(one, other, "pass@k", "tokens")
    assert places == grid(other, one, "pass@k", "tokens")
    for arm in arms if places else []:
        assert arm.at("pass@k", "tokens", places, one.shared(other, "pass@k")).places == tuple(places)
