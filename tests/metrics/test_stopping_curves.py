"""Stopping rules replayed on pools: against every order one by one, and by the papers' worked numbers."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from pool_parts import TRUNCATED, Case, labelled, pool_of, random_case, shared_vote

from tts.errors import UsageError
from tts.metrics.pool import pool
from tts.metrics.stopping_curves import (
    StoppingPoint,
    adaptive_consistency_curve,
    consensus_curve,
    esc_curve,
    leaders_along,
)
from tts.samplers.stopping import agreed, leaders, settled, unanimous
from tts.types import Ballot, Grouping


def renumbered(ballot: Ballot) -> Grouping:
    """Nodes by first appearance, as a sampler is told them."""
    numbers: dict[int, int] = {}
    runs = [one.finish_reason == "stop" for one in ballot.candidates]
    nodes = [node if goes else None for node, goes in zip(ballot.nodes, runs, strict=True)]
    for node in nodes:
        if node is not None:
            numbers.setdefault(node, len(numbers))
    links = {tuple(sorted((numbers[a], numbers[b]))) for a, b in ballot.links if {a, b} <= numbers.keys()}
    return Grouping(tuple(None if node is None else numbers[node] for node in nodes), frozenset(links))


def scores_of(seen: Ballot) -> list[float | None]:
    return [score.value for score in seen.scores]


def one_by_one(case: Case, stops, most: int, weigh=lambda seen: [1.0] * len(seen.nodes)) -> tuple[float, ...]:
    """The slow twin: candidates, tokens, accuracy (lower, upper), over all orders."""
    found = []
    for order in itertools.permutations(range(case.size)):
        taken = next((k for k in range(1, most + 1) if stops(case.subset(order[:k]))), most)
        drawn = order[:taken]
        shares, _ = shared_vote(case.subset(drawn), weigh(case.subset(drawn)))
        statuses = [case.verdicts[one].status for one in drawn]
        right = sum(share for one, share in shares.items() if statuses[one] == "passed")
        maybe = sum(share for one, share in shares.items() if statuses[one] == "undecided")
        is_cut = all(case.verdicts[one].reason == TRUNCATED for one in drawn)
        if not shares and set(statuses) == {"undecided"} and not is_cut:
            maybe = 1.0
        tokens = sum(case.ballot.candidates[one].num_tokens for one in drawn)
        found.append((taken, tokens, right, right + maybe))
    return tuple(np.mean(found, axis=0))


def values(point: StoppingPoint, problem: int) -> tuple[float, ...]:
    columns = (point.num_candidates, point.num_tokens, point.lower, point.upper)
    return tuple(float(column[problem]) for column in columns)


@pytest.mark.parametrize("most", [None, 4])
def test_every_order_counts_once_in_small_pools(most: int | None) -> None:
    rng = random.Random(3)
    cases = [random_case(rng, f"p{number}", rng.randint(1, 6)) for number in range(12)]
    found = pool_of(cases)
    keys = {"most": most, "num_orders": 720}
    beta = adaptive_consistency_curve(found, [0.6, 0.8], **keys)
    windows = esc_curve(found, [1, 2, 3], **keys)
    shares = consensus_curve(found, [0.6, 0.75, 1.0], scorer="scorer", warmup=2, **keys)
    for number, case in enumerate(cases):
        limit = min(case.size, most or case.size)
        for point in beta:
            expected = one_by_one(case, lambda seen, at=point.setting: settled(renumbered(seen), at), limit)
            assert values(point, number) == pytest.approx(expected)
        for point in windows:
            expected = one_by_one(case, lambda seen, at=int(point.setting): unanimous(renumbered(seen), at), limit)
            assert values(point, number) == pytest.approx(expected)
        for point in shares:

            def stops(seen: Ballot, at: float = point.setting) -> bool:
                return len(seen.candidates) >= 2 and agreed(renumbered(seen), scores_of(seen), at)

            assert values(point, number) == pytest.approx(one_by_one(case, stops, limit, scores_of))
    for point in [*beta, *windows, *shares]:
        assert not point.errors_of_tokens.any()
        assert not point.errors_of_accuracy.any()


def test_leaders_along_an_order_are_the_leaders_of_its_beginnings() -> None:
    rng = random.Random(5)
    for number in range(200):
        case = random_case(rng, f"p{number}", rng.randint(1, 9))
        grouping = renumbered(case.ballot)
        nodes = np.array([[-1 if node is None else node for node in grouping.nodes]])
        first, second = leaders_along(nodes, grouping.links)
        for size in range(1, case.size + 1):
            assert (first[0, size - 1], second[0, size - 1]) == leaders(Grouping(grouping.nodes[:size], grouping.links))


def test_unanimous_answers_stop_at_4_and_no_answers_never() -> None:
    rows = [labelled("a", "+" * 10), labelled("b", "-" * 10, [None] * 10)]
    (point,) = adaptive_consistency_curve(pool(rows), [0.95])
    assert point.num_candidates.tolist() == [4, 10]
    assert point.num_tokens.tolist() == [20, 50]
    assert point.lower.tolist() == [1, 0]
    assert adaptive_consistency_curve(pool(rows), [0.9])[0].num_candidates.tolist() == [3, 10]
    assert esc_curve(pool(rows), [5])[0].num_candidates.tolist() == [5, 10]


def test_windows_of_five_take_14_61_candidates_of_a_large_pool() -> None:
    size = 2000
    statuses = "+" * (size * 4 // 5) + "-" * (size // 5)
    (point,) = esc_curve(pool([labelled("a", statuses)]), [5], most=40, num_orders=4000, seed=1)
    # Within 4 standard errors (wrong in 1 of 16,000 seeds); 0.03 for drawing without replacement.
    assert abs(point.num_candidates[0] - 14.61) < 4 * point.errors_of_candidates[0] + 0.03
    assert 0 < point.errors_of_candidates[0] < 0.25


def test_the_same_seed_gives_the_same_and_a_higher_confidence_costs_more() -> None:
    rng = random.Random(8)
    found = pool_of([random_case(rng, f"p{number}", 20) for number in range(10)])
    settings = [0.6, 0.8, 0.95, 0.99]
    once, again = (adaptive_consistency_curve(found, settings, seed=4) for _ in range(2))
    for one, other in zip(once, again, strict=True):
        assert np.array_equal(one.num_tokens, other.num_tokens)
    costs = np.array([point.num_candidates for point in once])
    assert (np.diff(costs, axis=0) >= 0).all()
    assert (costs <= 20).all()


def test_the_sampling_error_is_how_far_seeds_differ() -> None:
    found = pool([labelled("a", "+-" * 20), labelled("b", "++-" * 12)])
    points = [adaptive_consistency_curve(found, [0.9], seed=seed, num_orders=64)[0] for seed in range(60)]
    spread = np.std([point.num_candidates for point in points], axis=0, ddof=1)
    told = np.mean([point.errors_of_candidates for point in points], axis=0)
    assert spread == pytest.approx(told, rel=0.4)  # 60 seeds: 4 standard errors of a spread are 0.37


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda found: adaptive_consistency_curve(found, [0.5]), "`confidence` must be above 0.5 and below 1, got 0.5"),
        (
            lambda found: consensus_curve(found, [0.5], scorer="reward", warmup=1),
            "`consensus` must be above 0.5 and at most 1, got 0.5",
        ),
        (lambda found: consensus_curve(found, [1], scorer="reward", warmup=0), "`warmup` must be at least 1, got 0"),
        (
            lambda found: consensus_curve(found, [1], scorer="reward", warmup=1),
            "must be 0 or above .*, got -1.0",
        ),
        (lambda found: esc_curve(found, [0]), "`window` must be at least 1, got 0"),
        (lambda found: esc_curve(found, [2], most=0), "`most` must be at least 1, got 0"),
        (lambda found: esc_curve(found, [2], num_orders=1), "`num_orders` must be at least 2"),
    ],
)
def test_what_no_rule_can_be_is_refused(call, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        call(pool([labelled("a", "+-", reward=[0.5, -1.0])]))
