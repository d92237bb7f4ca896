"""Every selector's accuracy@k is held equal to its rule, told slowly, on every k-subset; its selections to the rule."""

import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from pool_parts import Case, Shares, by_enumeration, labelled, pool_of, random_case, shared_best, shared_vote

from tts.errors import ScorerError
from tts.metrics.best_of_n import best_of_n_odds, random_choice_odds
from tts.metrics.curves import curves, selected_curve, subsets
from tts.metrics.majority import majority_odds, vote_odds
from tts.metrics.parties import shared_by_vote
from tts.metrics.pass_at_k import pass_at_k
from tts.metrics.pool import pool
from tts.metrics.resampling import chosen_by, sampled_odds
from tts.metrics.weighted_vote import weighted_vote_odds
from tts.scorers.likelihood import Likelihood
from tts.selectors.best_of_n import BestOfN
from tts.selectors.majority_vote import MajorityVote
from tts.selectors.self_consistency import SelfConsistency
from tts.types import Ballot

SIZES = (1, 2, 5, 7, 8, 9)
ODDS = {
    "maj": majority_odds,
    "best": partial(best_of_n_odds, scorer="scorer"),
    "weighted": partial(weighted_vote_odds, scorer="scorer"),
}
SELECTORS = {
    "maj": MajorityVote(),
    "best": BestOfN(scorer=Likelihood()),
    "weighted": SelfConsistency(scorer=Likelihood()),
}
SHARES: dict[str, Callable[[Ballot], Shares]] = {
    "maj": lambda ballot: shared_vote(ballot, [1.0] * len(ballot.candidates)),
    "best": shared_best,
    "weighted": lambda ballot: shared_vote(ballot, [score.value for score in ballot.scores]),
}


def cases_of(seed: int) -> list[Case]:
    rng = random.Random(seed)
    return [random_case(rng, f"p{size}", size) for size in SIZES]


@pytest.mark.parametrize("name", SELECTORS)
@pytest.mark.parametrize("seed", range(8))
def test_accuracy_is_the_mean_over_all_subsets_with_ties_shared_also_where_answers_are_linked(
    name: str, seed: int
) -> None:
    for k in range(1, max(SIZES) + 1):
        cases = [case for case in cases_of(seed) if case.size >= k]
        odds = ODDS[name](pool_of(cases), k)
        found = np.transpose([*odds.accuracy(pool_of(cases)), odds.tied])
        expected = [by_enumeration(case, k, SHARES[name]) for case in cases]
        assert np.allclose(found, expected, rtol=0, atol=4e-15)


@pytest.mark.parametrize("name", SELECTORS)
@pytest.mark.parametrize("seed", range(8))
def test_what_the_real_selector_hands_in_from_a_subset_shares_first_place_there(name: str, seed: int) -> None:
    for case in cases_of(seed):
        for k in range(1, case.size + 1):
            for positions in case.subsets(k):
                ballot = case.subset(positions)
                shares, tied = SHARES[name](ballot)
                selection = SELECTORS[name].select(ballot)
                assert selection.index in ({ballot.candidates[one].index for one in shares} or {None})
                assert (selection.num_tied > 1) is tied


def test_first_is_a_blind_choice_among_those_that_answered() -> None:
    # Pairs of [right, wrong, no answer]: right with 1/2, right, wrong. Pairs of two without an answer: nothing.
    cases = pool([labelled("a", "+--", [0, 1, None]), labelled("b", "-?-", [None, None, 0])])
    lower, upper = random_choice_odds(cases, 2).accuracy(cases)
    assert lower == pytest.approx([0.5, 0])
    assert upper == pytest.approx([0.5, 0])
    only_open = pool([labelled("a", "??-", [None, None, 0]), labelled("b", "+++")])
    assert random_choice_odds(only_open, 2).accuracy(only_open)[1] == pytest.approx([1 / 3, 1])


@pytest.mark.parametrize(
    ("classes", "num_abstaining", "links"),
    [
        ([40, 38, 30, 20], 0, ()),
        ([1] * 128, 0, ()),
        ([100, 20, *[2] * 20, *[1] * 30], 10, ()),
        ([200], 56, ()),
        ([64, 64, 64, 64], 0, ()),
        ([30, 20, 10, 60], 8, ((0, 1), (1, 2))),
    ],
)
def test_the_chances_of_a_large_vote_sum_to_that_of_any_vote(
    classes: list[int], num_abstaining: int, links: tuple[tuple[int, int], ...]
) -> None:
    members = np.repeat(np.arange(len(classes)), classes)
    members = np.concatenate([members, np.full(num_abstaining, -1)])
    for k in (1, 2, 3, 8, 31, 64, len(members) - 1, len(members)):
        empty = np.prod([(num_abstaining - one) / (len(members) - one) for one in range(k)])
        odds, tied = vote_odds(members, k, frozenset(links))
        assert odds.sum() == pytest.approx(1 - empty, abs=1e-10)
        assert odds.min() >= 0
        assert 0 <= tied <= 1


def test_answers_that_share_first_place_share_the_outcome() -> None:
    """Gold 1 or gold 2: of 1 2 1 2 half is right at every k. Of two, 4 pairs in 6 tie; of three, none; of four, all."""
    for gold in ("+-+-", "-+-+"):
        cases = pool([labelled("a", gold, [0, 1, 0, 1])] * 1 + [labelled("b", gold, [0, 1, 0, 1])])
        for k, tied in ((1, 0), (2, 2 / 3), (3, 0), (4, 1)):
            odds = majority_odds(cases, k)
            assert odds.accuracy(cases)[0] == pytest.approx([0.5, 0.5], abs=1e-14)
            assert odds.tied == pytest.approx([tied, tied], abs=1e-14)


def test_a_scorer_that_knows_nothing_is_a_random_choice() -> None:
    cases = pool([labelled("a", "+-+", [0, 1, 0], same=[1.0] * 3), labelled("b", "+--", [0, 1, 2], same=[-2.0] * 3)])
    for k in (1, 2, 3):
        odds = best_of_n_odds(cases, k, "same")
        assert odds.accuracy(cases)[0] == pytest.approx([2 / 3, 1 / 3])
        assert odds.tied == pytest.approx([float(k > 1)] * 2)


@pytest.mark.parametrize(
    ("nodes", "passed", "links", "expected"),
    [
        # gold 2: x=2 2 1 y=2, where 2 is linked to both; of three without 2, x=2, 1 and y=2 tie, and two are right
        ([0, 1, 2, 3], "++-+", {(0, 1), (1, 3)}, {1: 3 / 4, 2: 3 / 4, 3: 11 / 12, 4: 1}),
        ([0, 0, 1, 1, 2, 2, 2], "++++---", {(0, 1)}, {7: 1}),  # gold 2: x=2 x=2 2 2 7 7 7
        ([0, 0, 1, 1, 2, 2, 2, 3], "++++---+", {(0, 1), (1, 3)}, {8: 1}),  # with y=2
        ([0, 0, 1, 1, 2, 2, 2, 3], "++++----", {(0, 1), (0, 3)}, {8: 1}),  # gold .5: 50% 50% .5 .5 7 7 7, and 50
    ],
)
def test_the_vote_by_agreement_worked_out_by_hand(
    nodes: list[int], passed: str, links: set[tuple[int, int]], expected: dict[int, float]
) -> None:
    row = replace(labelled("a", passed, nodes), links=frozenset(links))
    cases = pool([row, replace(row, problem_id="b")])
    for k, accuracy in expected.items():
        assert majority_odds(cases, k).accuracy(cases)[0] == pytest.approx([accuracy] * 2, abs=1e-14)


@pytest.mark.parametrize("seed", range(20))
def test_two_votes_are_one_and_names_change_nothing(seed: int) -> None:
    """Without abstention: the second of two votes decides nothing on its own."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(2, 40))
    classes, passed = rng.integers(0, rng.integers(1, size + 1), size), rng.random(size) < 0.5
    statuses = "".join("+" if passed[one] else "-" for one in classes)
    renamed = rng.permutation(size)[classes]
    shuffled = rng.permutation(size)
    order = "".join(statuses[one] for one in shuffled)
    cases = pool(
        [
            labelled("a", statuses, classes.tolist()),
            labelled("b", statuses, renamed.tolist()),
            labelled("c", order, classes[shuffled].tolist()),
        ]
    )
    at_1, at_2 = (majority_odds(cases, k).accuracy(cases)[0] for k in (1, 2))
    assert at_1 == pytest.approx(pass_at_k(size, [statuses.count("+")] * 3, 1), abs=1e-13)
    assert at_2 == pytest.approx(at_1, abs=1e-13)
    for k in (3, size // 2 + 1, size):
        figures = majority_odds(cases, min(k, size)).accuracy(cases)[0]
        assert figures == pytest.approx([figures[0]] * 3, abs=1e-13)


def test_sums_that_differ_by_rounding_tie_in_the_curve_and_in_the_selector() -> None:
    """.1 + .2 is not .3 in floating point; and three votes of .1 are no more than one of .3."""
    cases = pool(
        [
            labelled("a", "++-+", [0, 0, 1, 2], w=[0.1, 0.2, 0.3, 0.1]),
            labelled("b", "-+--", [0, 1, 0, 0], w=[0.1, 0.3, 0.1, 0.1]),
        ]
    )
    odds = weighted_vote_odds(cases, 4, "w")
    assert odds.odds[0] == pytest.approx([1 / 4, 1 / 4, 1 / 2, 0])
    assert odds.odds[1] == pytest.approx([1 / 6, 1 / 2, 1 / 6, 1 / 6])
    assert odds.tied.tolist() == [1, 1]


def test_votes_of_one_weight_are_counted_not_drawn() -> None:
    rng = np.random.default_rng(2)
    classes = rng.integers(0, 9, 64).tolist()
    statuses = "".join("+" if one == 0 else "-" for one in classes)
    cases = pool([labelled("a", statuses, classes, w=[0.25] * 64), labelled("b", statuses, classes, w=[0.0] * 64)])
    votes, weighed = majority_odds(cases, 9), weighted_vote_odds(cases, 9, "w")
    assert weighed.num_draws.tolist() == [0, 32_768]  # zeros all tie: no majority decides
    assert np.array_equal(weighed.odds[0], votes.odds[0])


def test_webs_too_wide_to_count_are_drawn_and_agree_with_the_count() -> None:
    sizes = [50, 40, 60, 30]
    nodes = np.repeat(range(4), sizes).tolist()
    row = replace(
        labelled("a", "".join("+-+-"[one] for one in nodes), nodes), links=frozenset({(0, 1), (1, 2), (2, 3)})
    )
    assert vote_odds(np.array(nodes), 90, row.links) is None  # 51 · 41 · 61 · 31 ways
    few = vote_odds(np.array(nodes), 12, row.links)
    assert few is not None
    cases = pool([row, replace(row, problem_id="b")])
    exact = few[0] @ cases.passed[0]
    choose = shared_by_vote(cases, np.ones(cases.classes.shape))
    drawn = sampled_odds(cases, 12, choose, cases.classes >= 0, num_draws=20_000)
    found = drawn.accuracy(cases)[0]
    # Five standard errors: a false alarm in about one of a million runs, and the seed is fixed.
    assert found.mean() == pytest.approx(exact, abs=5 * drawn.sampling_error(found))
    assert majority_odds(cases, 90).sampling_error(np.array([0.5, 0.5])) > 0


def test_a_missing_score_is_never_a_wrong_answer() -> None:
    """Nobody has a score: what would have been handed in is any of them. Of b only a wrong one has: it is handed in."""
    scores: dict[str, list[float | None]] = {"a+--": [None] * 3, "b+--": [None, 0.5, None], "c---": [None] * 3}
    cases = pool(labelled(name[0], name[1:], [0, 1, 2], w=values) for name, values in scores.items())
    for odds in (best_of_n_odds, weighted_vote_odds):
        lower, upper = odds(cases, 3, "w").accuracy(cases)
        assert (lower.tolist(), upper.tolist()) == ([0, 0, 0], [1, 0, 0])
        lower, upper = odds(cases, 1, "w").accuracy(cases)
        assert (lower.tolist(), upper) == ([0, 0, 0], pytest.approx([1 / 3, 1 / 3, 0]))


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


@pytest.mark.parametrize("k", [1, 3, 8])
def test_of_many_problems_each_gets_what_its_own_votes_say(k: int) -> None:
    rng = random.Random(11)
    cases = [random_case(rng, str(number), 8 + number % 3) for number in range(150)]
    candidates = pool_of(cases)
    found = majority_odds(candidates, k)
    for place, (size, links) in enumerate(zip(candidates.sizes, candidates.links, strict=True)):
        alone = vote_odds(candidates.classes[place, :size], k, links)
        assert alone is not None
        assert np.array_equal(found.odds[place, :size], alone[0])
        assert found.tied[place] == alone[1]
        assert not found.odds[place, size:].any()


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
    choose = chosen_by(MajorityVote().select, [case.ballot for case in cases])
    candidates = pool_of(cases)
    for k, num_draws in ((3, 5 * 220), (6, 5 * 400)):  # all 220 subsets of three, and 400 of the 924 of six
        run = sampled_odds(candidates, k, choose, candidates.classes >= 0, num_draws=num_draws)
        chosen = [[MajorityVote().select(case.subset(one)).index for one in case.subsets(k)] for case in cases]
        passed = [
            [case.verdicts[one].status == "passed" for one in of if one is not None]
            for case, of in zip(cases, chosen, strict=True)
        ]
        exact = np.array([sum(right) / len(of) for right, of in zip(passed, chosen, strict=True)])
        found = run.accuracy(candidates)[0]
        # Five standard errors: a false alarm in about one of a million runs, and the seed is fixed.
        assert found.mean() == pytest.approx(exact.mean(), abs=1e-12 + 5 * run.sampling_error(found))
    shares, tied = choose(np.array([0, 1]), np.array([[1, 0], [1, 2]]))
    assert (shares.shape, tied.shape) == ((2, 2), (2,))


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
    assert selected_curve("best", partial(best_of_n_odds, scorer="reward"), subsets(cases, [2])).lower.tolist() == [
        [1, 1]
    ]
