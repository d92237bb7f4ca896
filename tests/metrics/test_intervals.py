import math
import random

import pytest

from tts.metrics.intervals import wilson


@pytest.mark.parametrize(
    ("mean", "num_problems", "low", "high"),
    [
        # Worked out by hand from (p + z²/2n ± z·sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n) with z = 1.959964.
        (0.5, 10, 0.236593, 0.763407),
        (0.0, 10, 0.0, 0.277533),
        (1.0, 10, 0.722467, 1.0),
        (0.8, 50, 0.669629, 0.887562),
    ],
)
def test_wilson_equals_the_formula(mean: float, num_problems: int, low: float, high: float) -> None:
    assert wilson(mean, num_problems) == pytest.approx((low, high), abs=1e-6)


def test_wilson_without_problems_knows_nothing() -> None:
    assert wilson(math.nan, 0) == (0.0, 1.0)


@pytest.mark.parametrize("truth", [0.1, 0.5, 0.85])
def test_wilson_covers_the_truth_about_95_times_in_100(truth: float) -> None:
    # 2,000 data sets of 60 problems: coverage below 0.93 has a probability under 1e-4 if it is truly 0.95.
    rng = random.Random(7)
    covered = 0
    for _ in range(2000):
        mean = sum(rng.random() < truth for _ in range(60)) / 60
        low, high = wilson(mean, 60)
        covered += low <= truth <= high
    assert covered / 2000 > 0.93
