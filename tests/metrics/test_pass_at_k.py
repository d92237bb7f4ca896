import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pool_parts import labelled

from tts.errors import UsageError
from tts.metrics.curves import curves, pass_curve, pass_hat_curve, random_curve
from tts.metrics.pass_at_k import pass_at_k, pass_hat_k
from tts.metrics.pool import pool


@pytest.mark.parametrize("size", range(1, 9))
def test_both_equal_the_enumeration_of_all_subsets(size: int) -> None:
    for num_right, k in itertools.product(range(size + 1), range(1, size + 1)):
        subsets = list(itertools.combinations([True] * num_right + [False] * (size - num_right), k))
        expected = sum(map(any, subsets)) / len(subsets), sum(map(all, subsets)) / len(subsets)
        assert (pass_at_k(size, num_right, k), pass_hat_k(size, num_right, k)) == pytest.approx(expected, abs=1e-13)


def test_by_hand() -> None:
    # n = 4, c = 1, k = 2: of 6 pairs 3 hold the right one; of n = 4, c = 3, 3 of 6 pairs are both right.
    assert pass_at_k([4, 4, 4], [0, 1, 4], 2) == pytest.approx([0, 0.5, 1])
    assert pass_hat_k([4, 4, 4], [1, 3, 4], 2) == pytest.approx([0, 0.5, 1])


@given(st.integers(1, 5000), st.data())
def test_both_are_chances_and_pass_at_1_is_the_share(size: int, data: st.DataObject) -> None:
    num_right, k = data.draw(st.integers(0, size)), data.draw(st.integers(1, size))
    coverage, all_right = float(pass_at_k(size, num_right, k)), float(pass_hat_k(size, num_right, k))
    assert 0 <= all_right <= num_right / size + 1e-9
    assert num_right / size - 1e-9 <= coverage <= 1
    assert pass_at_k(size, num_right, 1) == pytest.approx(num_right / size, abs=1e-10)


def test_a_chance_far_below_what_a_naive_product_can_hold_is_exact() -> None:
    # 1 - C(1999, 1000) / C(2000, 1000) = 1/2, though both binomials exceed the largest float.
    assert pass_at_k(2000, 1, 1000) == pytest.approx(0.5)
    assert math.log(pass_hat_k(2000, 1500, 1000)) == pytest.approx(
        math.log(math.comb(1500, 1000)) - math.log(math.comb(2000, 1000)), rel=1e-9
    )


def test_undecided_verdicts_make_every_figure_a_range() -> None:
    cases = pool([labelled("a", "+-?"), labelled("b", "---")])
    assert pass_curve(cases, [2]).lower.tolist() == [[pytest.approx(2 / 3), 0]]
    assert pass_curve(cases, [2]).upper.tolist() == [[1, 0]]
    assert pass_hat_curve(cases, [2]).lower.tolist() == [[0, 0]]
    assert pass_hat_curve(cases, [2]).upper.tolist() == [[pytest.approx(1 / 3), 0]]


def test_a_blind_choice_gains_nothing_from_more_candidates() -> None:
    line = random_curve(pool([labelled("a", "+-?-"), labelled("b", "++")]), [1, 2])
    assert np.allclose(line.lower, [[0.25, 1], [0.25, 1]])
    assert np.allclose(line.upper, [[0.5, 1], [0.5, 1]])


def test_a_k_beyond_the_candidates_is_an_error_not_nan() -> None:
    for figure in (pass_at_k, pass_hat_k):
        for k in (5, 0):
            with pytest.raises(UsageError, match=f"must be from 1 to 2, the fewest candidates of a problem, got {k}"):
                figure([2, 9], [0, 1], k)


def test_a_problem_that_is_short_or_was_never_drawn_is_a_range_and_is_never_dropped() -> None:
    """Of 21, one has 3 of 8 candidates, all right, and one none: of the first all is known up to 3."""
    rows = [labelled(str(number), "+-------") for number in range(19)]
    cases = pool([*rows, labelled("short", "+++"), labelled("undrawn", "")])
    found = pass_curve(cases, [1, 3, 8])
    assert found.num_candidates == 8
    assert found.lower[:, 19:].tolist() == [[1, 0], [1, 0], [0, 0]]
    assert found.upper[:, 19:].tolist() == [[1, 1], [1, 1], [1, 1]]
    assert random_curve(cases, [8]).lower[:, 19:].tolist() == [[1, 0]]
    vote = {curve.name: curve for curve in curves(cases, [8])}["maj@k"]
    assert (vote.lower[0, 19:].tolist(), vote.upper[0, 19:].tolist()) == ([0, 0], [1, 1])
    # Two of 20 are too many to leave out of what sets k; half of the median is not short.
    with pytest.raises(UsageError, match=r"at most 3, .* problem 'one'"):
        pass_curve(pool([*rows[:18], labelled("one", "+++"), labelled("two", "+++")]), [8])
    with pytest.raises(UsageError, match=r"at most 4, .* problem 'half'"):
        pass_curve(pool([*rows, labelled("half", "++++")]), [8])


def test_what_was_cut_is_wrong_within_the_budget_and_bounds_what_a_larger_one_could_give() -> None:
    """Of + - and two cut, pairs: 3 of 6 hold the right one; had the cut been right, only one pair would not."""
    row = replace(labelled("a", "+-??", [0, 1, None, None]), cut=[False, False, True, True])
    found = {curve.name: curve for curve in curves(pool([row, replace(row, problem_id="b")]), [1, 2, 4])}
    coverage, vote = found["pass@k"], found["maj@k"]
    for side in (coverage.lower, coverage.upper):
        assert side[:, 0] == pytest.approx([1 / 4, 1 / 2, 1])
    assert coverage.cut_upper is not None
    assert coverage.cut_upper[:, 0] == pytest.approx([3 / 4, 1, 1])
    # Votes: of the four subsets that hold a voter: + alone, - alone, or both, which share. Cut alone hands in nothing.
    for side in (vote.lower, vote.upper):
        assert side[:, 0] == pytest.approx([1 / 4, 5 / 12, 1 / 2])
    assert vote.cut_lower is not None
    assert vote.cut_upper is not None
    assert vote.cut_lower[:, 0] == pytest.approx([1 / 4, 1 / 4, 0])
    assert vote.cut_upper[:, 0] == pytest.approx([3 / 4, 3 / 4, 1])
    assert found["first"].cut_upper is None


def test_fewer_candidates_than_k_is_an_error_that_names_the_problem() -> None:
    cases = pool([labelled("long", "+-+-"), labelled("short", "+-")])
    with pytest.raises(UsageError, match=r"at most 2, .* of problem 'short', got 3 \(1 of 2 problems with fewer\)"):
        pass_curve(cases, [1, 3])
    with pytest.raises(UsageError, match="`k` must be at least 1, got 0"):
        pass_curve(cases, [0])
