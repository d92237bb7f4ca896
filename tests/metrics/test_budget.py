"""What points cost, by hand: k of n that know nothing of each other, whole runs, and what a cache saved."""

from __future__ import annotations

import pytest

from tts.metrics.budget import Budget, costs_of_subsets, costs_of_whole, joined_costs
from tts.types import Spent

LEDGERS = {
    "a": {"engine": Spent(4, 40, 100, cached_tokens=20, flops=240.0), "reward": Spent(2, 30, 0)},
    "b": {"engine": Spent(4, 80, 60, flops=280.0)},
}


def test_k_of_n_candidates_cost_k_nths_of_what_all_engines_took() -> None:
    found = costs_of_subsets([1, 4], {"a": 4, "b": 4}, LEDGERS)
    one, four = found.budgets()
    assert (four.num_candidates, four.num_calls, four.written_tokens, four.prompt_tokens) == (4, 5, 80, 75)
    assert (four.tokens, four.cached_tokens) == ((170 + 140) / 2, None)
    assert (one.tokens, one.num_candidates) == (four.tokens / 4, 1)
    assert found.budgets(["b"])[1].tokens == 140


def test_what_a_cache_saved_is_taken_off_only_where_it_is_on_record_of_all() -> None:
    sizes = {"a": 4, "b": 4}
    (full,), (saved,) = (costs_of_whole(4, sizes, LEDGERS, with_hits=hits).budgets(["a"]) for hits in (False, True))
    assert (full.tokens, saved.tokens, saved.cached_tokens) == (170, 150, 20)
    assert full.flops is None  # of the reward model's size nothing is known
    engine = {"a": {"engine": LEDGERS["a"]["engine"]}}
    flops = [costs_of_whole(4, {"a": 4}, engine, with_hits=hits).budgets()[0].flops for hits in (False, True)]
    assert flops == [pytest.approx(240 * 140 / 120), 240]


def test_runs_for_each_k_are_joined_and_a_mean_is_over_what_is_known() -> None:
    sixteen = costs_of_whole(16, {"b": 7}, {"b": {"engine": Spent(9, 10, 90)}})
    four = costs_of_whole(4, {"a": 4, "b": 3}, {"a": {"engine": Spent(4, 4, 6)}, "b": {"engine": Spent(3, 3, 17)}})
    found = joined_costs([sixteen, four])
    assert (found.ks, found.problem_ids) == ((4, 16), ("a", "b"))
    assert [(one.num_candidates, one.tokens) for one in found.budgets()] == [(3.5, 15), (7, 100)]


def test_what_a_server_did_not_count_leaves_the_tokens_unknown() -> None:
    (found,) = costs_of_whole(1, {"a": 1}, {"a": {"engine": Spent(1, 5, 0, num_uncounted=1)}}).budgets()
    assert found == Budget(1, 1, None, 5, None, None, None)


def test_a_problem_without_candidates_costs_nothing_that_is_known() -> None:
    found = costs_of_subsets([2], {"a": 2, "c": 0}, {"a": {"engine": Spent(2, 2, 8)}, "c": {}})
    assert found.budgets()[0].tokens == 10
