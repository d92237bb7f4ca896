import numpy as np
import pytest

from tts.metrics.permutation import sign_flip_p_values
from tts.metrics.typical_values import difference_intervals


def test_without_problems_nothing_is_known() -> None:
    assert difference_intervals(np.zeros((2, 0))) == [(-1, 1), (-1, 1)]


def test_few_differences_get_the_squares_of_wilsons_intervals() -> None:
    # Nothing differs in 30 problems: gain and loss each up to Wilson's 0.1135.
    none = difference_intervals(np.zeros((1, 30)))[0]
    assert none == pytest.approx((-0.1135, 0.1135), abs=1e-4)
    # Two wins of 30 (0.0667, Wilson 0.0185 to 0.2132): down by √(0.0482² + 0.1135²), up by 0.1465.
    won = difference_intervals(np.array([[1.0, 1.0, *[0.0] * 28]]))[0]
    assert won == pytest.approx((-0.0566, 0.2132), abs=1e-4)


def test_a_swap_of_the_recipes_mirrors_the_difference() -> None:
    rng = np.random.default_rng(1)
    differences = rng.random((1, 60)) - 0.3
    (low, high), (mirrored_low, mirrored_high) = difference_intervals(np.concatenate([differences, -differences]))
    assert (low, high) == pytest.approx((-mirrored_high, -mirrored_low), abs=1e-9)


def test_it_leaves_zero_out_just_where_the_signs_flip_rarely() -> None:
    rng = np.random.default_rng(2)
    differences = rng.normal(0.1, 0.3, (60, 40))
    for (low, high), p_value in zip(difference_intervals(differences), sign_flip_p_values(differences), strict=True):
        if not 0.04 < p_value < 0.06:  # both are sampled
            assert (low > 0 or high < 0) == (p_value < 0.05)


@pytest.mark.parametrize("num_problems", [30, 100])
@pytest.mark.parametrize("gain", [0.0, 0.15])
def test_the_interval_holds_the_truth_about_95_times_in_100(num_problems: int, gain: float) -> None:
    # 95 % ± 1.3 % (one standard error) for 300 data sets: under 91 % has a chance of 0.2 %, and the seed is fixed.
    rng = np.random.default_rng(7)
    skill = rng.beta(2.0, 2.0, (300, num_problems)) * 0.85
    differences = (rng.binomial(8, skill + gain) - rng.binomial(8, skill)) / 8
    covered = np.mean([low <= gain <= high for low, high in difference_intervals(differences)])
    assert covered >= 0.91
