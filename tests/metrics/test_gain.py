"""Gains over one sample and the gap to a perfect choice, on pools small enough to work out by hand."""

import numpy as np
import pytest
from pool_parts import labelled

from tts.metrics.bootstrap import mean_ratio
from tts.metrics.curves import curves
from tts.metrics.gain import Gain, gains
from tts.metrics.intervals import wilson
from tts.metrics.pool import pool


def of(figure: str, k: int, found: list[Gain]) -> Gain:
    return next(one for one in found if (one.figure, one.k) == (figure, k))


def test_the_vote_of_three_gains_what_it_gains_and_leaves_what_it_leaves() -> None:
    # 8 problems of 2 right and 1 wrong: maj@3 is right, a single candidate in 2/3; 2 of 1 and 2: wrong, and in 1/3.
    rows = [labelled(f"p{place}", "++-" if place < 8 else "+--") for place in range(10)]
    found = gains(curves(pool(rows), [1, 3]))
    vote = of("maj@k", 3, found)
    assert {one.k for one in found} == {3}
    assert vote.look.lower == pytest.approx((8 * 1 / 3 - 2 * 1 / 3) / 10)
    assert vote.gap.lower == pytest.approx(2 / 10)
    assert (vote.gap.interval_low, vote.gap.interval_high) == pytest.approx(wilson(0.2, 10))
    assert vote.closed is not None
    assert vote.closed[0] == pytest.approx(0.2 / 0.4)
    assert vote.closed[1] < 0.5 < vote.closed[2]
    # Every flip of 8 up and 2 down by 1/3, as large as 6/3: 2 (1 + 10 + 45) of 1,024.
    assert vote.look.p_value == pytest.approx(112 / 1024)


def test_a_vote_that_loses_says_so_and_a_blind_choice_gains_nothing() -> None:
    rows = [labelled(f"p{place}", "+---", [0, 1, 1, 1]) for place in range(12)]
    found = gains(curves(pool(rows), [1, 4]))
    assert of("maj@k", 4, found).look.lower == pytest.approx(-1 / 4)
    assert of("maj@k", 4, found).look.adjusted_p_value <= 0.05
    blind = of("first", 4, found)
    assert (blind.look.lower, blind.look.p_value) == (0, 1)
    assert blind.closed is not None
    assert blind.closed[0] == 0


def test_where_there_is_no_room_no_share_of_it_is_told() -> None:
    found = gains(curves(pool(labelled(f"p{place}", "++") for place in range(6)), [1, 2]))
    assert [one.closed for one in found] == [None] * len(found)
    assert all(one.gap.lower == 0 for one in found)


def test_undecided_verdicts_are_the_same_candidates_on_both_sides() -> None:
    # One candidate each, undecided: whatever it is, the vote hands it in.
    found = gains(curves(pool(labelled(f"p{place}", "??", [0, 0]) for place in range(6)), [2]))
    vote = of("maj@k", 2, found)
    assert (vote.look.lower, vote.look.upper, vote.gap.lower, vote.gap.upper) == (0, 0, 0, 0)


def test_at_k_1_alone_there_is_nothing_to_gain() -> None:
    assert gains(curves(pool([labelled("p", "+-")]), [1])) == []


def test_the_interval_of_the_share_holds_the_truth_about_95_times_in_100() -> None:
    # A gain of half the room, problem by problem with noise: 200 data sets; under 90 % has a chance of 0.2 %.
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        room = rng.beta(1, 2, 60)
        gain = room * 0.5 + rng.normal(0, 0.1, 60)
        _, low, high = mean_ratio(gain, room, [f"p{place}" for place in range(60)], num_resamples=500)
        covered += low <= 0.5 <= high
    assert covered >= 180


def test_problems_of_few_clusters_have_no_test() -> None:
    cases = curves(pool([labelled(f"p{place}", "++-") for place in range(12)]), [3])
    for size, num_clusters in ((2, 6), (3, 4)):
        clusters = {f"p{place}": f"c{place // size}" for place in range(12)}
        look = of("maj@k", 3, gains(cases, clusters=clusters)).look
        assert [np.isnan(p) for p in (look.p_value, look.adjusted_p_value)] == [num_clusters < 6] * 2
        assert look.lower == pytest.approx(1 / 3)
