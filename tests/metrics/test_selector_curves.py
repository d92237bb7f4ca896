"""Every selector's accuracy@k is held equal to the real selector, run on every k-subset."""

import random
from functools import partial

import numpy as np
import pytest
from pool_parts import Case, accuracy_by_enumeration, labelled, pool_of, random_case

from tts.errors import ScorerError
from tts.metrics.best_of_n import best_of_n_odds, random_choice_odds
from tts.metrics.curves import curves, selected_curve
from tts.metrics.majority import majority_odds, vote_odds
from tts.metrics.pool import pool
from tts.metrics.resampling import chosen_by, sampled_odds
from tts.metrics.weighted_vote import weighted_vote_odds
from tts.scorers.likelihood import Likelihood
from tts.selectors.best_of_n import BestOfN
from tts.selectors.majority_vote import MajorityVote
from tts.selectors.self_consistency import SelfConsistency

SIZES = (1, 2, 5, 7, 8, 9)
SELECTORS = {
    "maj": (MajorityVote(), majority_odds),
    "best": (BestOfN(scorer=Likelihood()), lambda cases, k: best_of_n_odds(cases, k, "scorer")),
    "weighted": (SelfConsistency(scorer=Likelihood()), lambda cases, k: weighted_vote_odds(cases, k, "scorer")),
}


def cases_of(seed: int) -> list[Case]:
    rng = random.Random(seed)
    return [random_case(rng, f"p{size}", size) for size in SIZES]


@pytest.mark.parametrize("name", SELECTORS)
@pytest.mark.parametrize("seed", range(8))
def test_accuracy_equals_the_real_selector_on_every_subset_ties_included(name: str, seed: int) -> None:
    selector, odds = SELECTORS[name]
    for k in range(1, max(SIZES) + 1):
        cases = [case for case in cases_of(seed) if case.size >= k]
        lower, upper = odds(pool_of(cases), k).accuracy(pool_of(cases))
        expected = [accuracy_by_enumeration(case, k, selector.select) for case in cases]
        assert np.allclose(np.transpose([lower, upper]), expected, rtol=0, atol=1e-12)


def test_first_is_a_blind_choice_among_those_that_answered() -> None:
    # Pairs of [right, wrong, no answer]: right with 1/2, right, wrong. Pairs of two without an answer: nothing.
    cases = pool([labelled("a", "+--", [0, 1, None]), labelled("b", "-?-", [None, None, 0])])
    lower, upper = random_choice_odds(cases, 2).accuracy(cases)
    assert lower == pytest.approx([0.5, 0])
    assert upper == pytest.approx([0.5, 0])
    only_open = pool([labelled("a", "??-", [None, None, 0]), labelled("b", "+++")])
    assert random_choice_odds(only_open, 2).accuracy(only_open)[1] == pytest.approx([1 / 3, 1])


@pytest.mark.parametrize(
    ("classes", "num_abstaining"),
    [([40, 38, 30, 20], 0), ([1] * 128, 0), ([100, 20, *[2] * 20, *[1] * 30], 10), ([200], 56), ([64, 64, 64, 64], 0)],
)
def test_the_chances_of_a_large_vote_sum_to_that_of_any_vote(classes: list[int], num_abstaining: int) -> None:
    members = np.repeat(np.arange(len(classes)), classes)
    members = np.concatenate([members, np.full(num_abstaining, -1)])
    ranks = np.random.default_rng(0).permutation(len(members))
    for k in (1, 2, 3, 8, 31, 64, len(members) - 1, len(members)):
        empty = np.prod([(num_abstaining - one) / (len(members) - one) for one in range(k)])
        odds = vote_odds(members, ranks, k)
        assert odds.sum() == pytest.approx(1 - empty, abs=1e-10)
        assert odds.min() > -1e-12


def test_two_equal_classes_win_equally_often_whatever_their_ranks_but_for_ties() -> None:
    # 2 + 2 candidates, k = 2. Pairs: aa, bb, and four ab, which the best rank (0, of class a) wins where it is drawn.
    odds = vote_odds(np.array([0, 0, 1, 1]), np.array([0, 3, 1, 2]), 2)
    # By rank 0: aa, ab, ab. By rank 1 (b): bb and with rank 3. By rank 2 (b): with rank 3.
    assert odds == pytest.approx(np.array([3, 0, 2, 1]) / 6)


def test_a_large_vote_agrees_with_drawn_subsets() -> None:
    rng = np.random.default_rng(1)
    classes = rng.choice(12, 256, p=np.arange(12, 0, -1) / 78)
    cases = pool(
        labelled(name, "".join("+" if one == 0 else "-" for one in classes), classes.tolist(), ones=[1.0] * 256)
        for name in ("a", "b")
    )
    for k in (4, 32, 128):
        exact = majority_odds(cases, k).accuracy(cases)[0]
        drawn = weighted_vote_odds(cases, k, "ones", num_draws=40_000)
        sampled = drawn.accuracy(cases)[0]
        # Five standard errors: a false alarm in about one of a million runs, and the seed is fixed.
        assert exact.mean() == pytest.approx(sampled.mean(), abs=5 * drawn.sampling_error(sampled))


def test_a_sampled_curve_states_its_error_and_an_exact_one_none() -> None:
    rng = random.Random(3)
    cases = pool_of([random_case(rng, str(number), 24) for number in range(4)])
    by_name = {curve.name: curve for curve in curves(cases, [1, 8, 24])}
    assert list(by_name) == [
        "random", "pass@k", "pass^k", "maj@k", "first", "best_of_n(scorer)", "self_consistency(scorer)",
    ]  # fmt: skip
    errors = by_name["self_consistency(scorer)"].sampling_errors
    assert (errors[0], errors[2]) == (0, 0)
    assert 0 < errors[1] < 0.003
    assert by_name["maj@k"].sampling_errors == (0, 0, 0)


def test_a_selector_without_a_curve_is_run_on_the_subsets_themselves() -> None:
    rng = random.Random(5)
    cases = [random_case(rng, str(number), 12) for number in range(5)]
    choose = chosen_by(MajorityVote(), [case.ballot for case in cases])
    candidates = pool_of(cases)
    for k, num_draws in ((3, 5 * 220), (6, 5 * 400)):  # all 220 subsets of three, and 400 of the 924 of six
        run = sampled_odds(candidates, k, choose, candidates.classes >= 0, num_draws=num_draws)
        exact = majority_odds(candidates, k).accuracy(candidates)[0]
        found = run.accuracy(candidates)[0]
        # Five standard errors: a false alarm in about one of a million runs, and the seed is fixed.
        assert found.mean() == pytest.approx(exact.mean(), abs=1e-12 + 5 * run.sampling_error(found))
    assert choose(np.array([0, 1]), np.array([[0], [1]])).shape == (2,)


def test_the_same_seed_draws_the_same_subsets() -> None:
    rng = random.Random(4)
    cases = pool_of([random_case(rng, str(number), 20) for number in range(3)])
    first, again, other = (weighted_vote_odds(cases, 5, "scorer", num_draws=300, seed=seed).odds for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_negative_scores_rank_but_do_not_vote() -> None:
    cases = pool([labelled("a", "+-", reward=[-1.0, -2.0]), labelled("b", "+-", reward=[-3.0, None])])
    with pytest.raises(ScorerError, match=r"must be 0 or above to weigh votes, got -3.0 from reward"):
        weighted_vote_odds(cases, 1, "reward")
    names = [curve.name for curve in curves(cases, [1, 2])]
    assert "best_of_n(reward)" in names
    assert "self_consistency(reward)" not in names
    assert selected_curve("best", partial(best_of_n_odds, scorer="reward"), cases, [2]).lower.tolist() == [[1, 1]]
