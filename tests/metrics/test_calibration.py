"""How well a scorer tells right from wrong, and whether its numbers mean what they say."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from pool_parts import labelled

from tts.metrics.calibration import auroc, reliability, separation
from tts.metrics.pool import Pool, pool


def pooled(*problems: tuple[str, list[float | None]]) -> Pool:
    return pool(labelled(f"p{place}", marks, scorer=scores) for place, (marks, scores) in enumerate(problems))


def test_auroc_is_the_share_of_pairs_in_the_right_order_ties_half() -> None:
    assert auroc(np.array([0.9, 0.5, 0.5, 0.1]), np.array([True, True, False, False])) == pytest.approx(3.5 / 4)
    assert auroc(np.array([1.0, 1.0]), np.array([True, False])) == 0.5
    assert np.isnan(auroc(np.array([1.0, 0.0]), np.array([True, True])))


def test_auroc_equals_counting_all_pairs() -> None:
    rng = random.Random(3)
    for _ in range(50):
        scores = np.array([rng.choice([0.0, 0.2, 0.5, 1.0]) for _ in range(12)])
        right = np.array([rng.random() < 0.4 for _ in range(12)])
        pairs = list(itertools.product(scores[right], scores[~right]))
        slow = np.mean([1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs]) if pairs else np.nan
        assert auroc(scores, right) == pytest.approx(slow, nan_ok=True)


def test_within_problems_a_hard_problem_and_an_easy_one_do_not_help_each_other() -> None:
    # Scores tell the problems apart, and nothing within them: pooled it looks like skill, within it is none.
    found = separation(pooled(("+++-", [0.9] * 4), ("+---", [0.1] * 4)), "scorer")
    assert found.within.lower == 0.5
    assert found.pooled == pytest.approx((3 * 1 * 0.5 + 3 * 3 * 1 + 1 * 1 * 0 + 1 * 3 * 0.5) / (4 * 4))
    assert found.num_problems == 2


def test_problems_with_one_kind_only_and_candidates_without_a_score_do_not_count() -> None:
    found = separation(pooled(("++", [0.1, 0.9]), ("+-?-", [0.9, 0.1, 0.5, None]), ("--", [0.3, 0.4])), "scorer")
    assert found.within.lower == 1.0
    assert found.num_problems == 1


def test_a_scorer_whose_numbers_are_shares_of_right_answers_lies_on_the_diagonal() -> None:
    problems = [("+" * 2 + "-" * 8, [0.2] * 10), ("+" * 7 + "-" * 3, [0.7] * 10)]
    found = reliability(pooled(*problems), "scorer", num_bins=10)
    assert found is not None
    assert [(one.mean_score, one.share_right, one.number) for one in found.bins] == [(0.2, 0.2, 10), (0.7, 0.7, 10)]
    assert found.error == pytest.approx(0.0)


def test_one_that_is_too_sure_is_off_by_what_it_is_off() -> None:
    found = reliability(pooled(("+" * 5 + "-" * 5, [0.95] * 10)), "scorer")
    assert found is not None
    assert found.error == pytest.approx(0.45)
    assert found.bins[0].low < 0.5 < found.bins[0].high


def test_scores_that_are_no_probabilities_have_no_reliability() -> None:
    assert reliability(pooled(("+-", [1.5, 0.2])), "scorer") is None
    assert reliability(pooled(("+-", [None, None])), "scorer") is None
