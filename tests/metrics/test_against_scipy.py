"""scipy as the slow twin of our own statistics: the same numbers over many inputs."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tts.metrics.bootstrap import mean_intervals
from tts.metrics.intervals import wilson
from tts.metrics.paired import NUM_FLIPS, family
from tts.metrics.student import t_quantile


def p_value(differences: np.ndarray) -> float:
    return family(differences[None], [f"p{number:03}" for number in range(len(differences))]).looks[0].p_value


@given(st.integers(1, 5_000), st.data())
def test_wilson_is_that_of_the_binomial_test(num_problems: int, data: st.DataObject) -> None:
    num_right = data.draw(st.integers(0, num_problems))
    low, high = stats.binomtest(num_right, num_problems).proportion_ci(0.95, method="wilson")
    assert wilson(num_right / num_problems, num_problems) == pytest.approx((low, high), abs=1e-12)


@given(st.floats(0.005, 0.995), st.integers(5, 10_000))
def test_students_quantile_is_good_to_a_thousandth(chance: float, degrees: int) -> None:
    assert t_quantile(chance, degrees) == pytest.approx(stats.t.ppf(chance, degrees), rel=1e-3, abs=1e-9)


@settings(deadline=None)
@given(st.lists(st.integers(-8, 8), min_size=2, max_size=11))
def test_flipping_all_signs_is_the_exact_permutation_test(eighths: list[int]) -> None:
    differences = np.array(eighths) / 8  # sums without rounding
    twin = stats.permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert p_value(differences) == pytest.approx(twin.pvalue, abs=1e-12)


@given(st.integers(17, 200), st.data())
def test_flipping_signs_at_random_is_near_the_sign_test(num_moved: int, data: st.DataObject) -> None:
    # Differences of one size: the permutation test is the binomial one. Five standard errors of 9,999 flips and ten
    # flips (for p near 0): a false alarm has a chance under 1e-6 in each example, and the seed is fixed.
    num_won = data.draw(st.integers(0, num_moved))
    differences = np.repeat([0.25, -0.25], [num_won, num_moved - num_won])
    exact = stats.binomtest(num_won, num_moved).pvalue
    assert p_value(differences) == pytest.approx(
        exact, abs=5 * math.sqrt(exact * (1 - exact) / NUM_FLIPS) + 10 / NUM_FLIPS
    )


@pytest.mark.parametrize("num_problems", [12, 40, 150])
@pytest.mark.parametrize(("a", "b"), [(2.0, 2.0), (0.7, 2.0), (3.0, 1.0)])
def test_the_bootstrap_interval_is_bca_at_the_level_of_students_t(num_problems: int, a: float, b: float) -> None:
    values = np.random.default_rng(num_problems).beta(a, b, num_problems)
    wide = stats.t.ppf(0.975, num_problems - 1) * math.sqrt(num_problems / (num_problems - 1))
    twin = stats.bootstrap(
        (values,),
        np.mean,
        confidence_level=2 * stats.norm.cdf(wide) - 1,
        n_resamples=40_000,
        method="BCa",
        rng=np.random.default_rng(1),
    ).confidence_interval
    low, high = mean_intervals(values[None], num_resamples=40_000)[0]
    # In standard errors of the mean, 40,000 resamples leave the bounds uncertain by at most 0.03: five times that.
    assert (low, high) == pytest.approx((twin.low, twin.high), abs=0.15 * stats.sem(values))
