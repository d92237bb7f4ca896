import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.metrics.permutation import MOST_EXACT, holm, sign_flip_p_values


@pytest.mark.parametrize(
    ("differences", "p_value"),
    [
        ([1, 1, 1], 2 / 8),  # +++ and ---
        ([1, 1, -1], 1.0),  # every sum is at least 1 away from 0
        ([3, 1, 1], 4 / 16 * 1.0),
        ([1] * 6, 2 / 64),
        ([0, 0, 1, 0, 1, 1], 2 / 8),  # ties carry no news
        ([0, 0], 1.0),
        ([], 1.0),
    ],
)
def test_few_differences_are_flipped_in_all_ways(differences: list[float], p_value: float) -> None:
    assert sign_flip_p_values(np.array([differences, differences], dtype=float)) == [p_value, p_value]


@given(st.lists(st.integers(-4, 4), max_size=9))
def test_it_equals_the_share_of_all_flips_with_as_large_a_sum(differences: list[int]) -> None:
    sums = [abs(np.dot(signs, differences)) for signs in itertools.product((-1, 1), repeat=len(differences))]
    expected = np.mean([one >= abs(sum(differences)) for one in sums])
    assert sign_flip_p_values(np.array([differences]) / 7) == [pytest.approx(expected)]


def test_many_differences_are_flipped_at_random_near_the_exact_value() -> None:
    # 20 of 30 problems won by 1: the exact sign test gives 0.0987. Its sampling error is 0.003.
    won = np.array([[1.0] * 20 + [-1.0] * 10, [1.0] * 30])
    assert sign_flip_p_values(won) == [pytest.approx(0.0987, abs=0.012), 1 / 10_000]
    assert sign_flip_p_values(won, seed=1) == sign_flip_p_values(won, seed=1)


def test_alike_recipes_differ_in_about_5_of_100_comparisons() -> None:
    # 400 comparisons: more than 32 alarms (8 %) has a chance of 0.6 % at a true rate of 5 %, and the seed is fixed.
    rng = np.random.default_rng(3)
    skill = rng.beta(0.5, 0.5, (400, 40))
    differences = (rng.binomial(8, skill) - rng.binomial(8, skill)) / 8
    alarms = sum(one <= 0.05 for one in sign_flip_p_values(differences))
    num_moved = (differences != 0).sum(axis=1)
    assert num_moved.min() < MOST_EXACT < num_moved.max()  # both ways of flipping are tried
    assert 8 <= alarms <= 32


def test_holm_by_hand() -> None:
    # Sorted 0.01, 0.02, 0.03, 0.6 by 4, 3, 2, 1: 0.04, 0.06, 0.06 (not below the one before), 0.6.
    assert holm([0.03, 0.6, 0.01, 0.02]) == pytest.approx([0.06, 0.6, 0.04, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
