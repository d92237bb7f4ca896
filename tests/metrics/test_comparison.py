import numpy as np
import pytest
from pool_parts import labelled

from tts.errors import UsageError
from tts.metrics.comparison import Record, adjusted_p_values, compare
from tts.metrics.cost import expected_distinct_answers, expected_prompt_tokens, expected_tokens
from tts.metrics.curves import pass_curve, random_curve
from tts.metrics.permutation import sign_flip_p_values
from tts.metrics.pool import pool
from tts.metrics.power import power
from tts.metrics.student import t_quantile


def curve_of(ks=(1, 2), **statuses: str):
    return pass_curve(pool(labelled(name, status) for name, status in statuses.items()), ks)


def test_wins_losses_and_ties_are_counted_per_problem_in_any_order() -> None:
    first = curve_of(a="++--", b="----", c="+---", d="++++")
    second = curve_of(d="++++", c="++--", b="----", a="----")
    one, two = compare(first, second)
    assert (one.figure, one.k, one.record) == ("pass@k", 1, Record(1, 1, 2, 0))
    assert one.lower == one.upper == pytest.approx((2 / 4 - 1 / 4) / 4)
    assert two.lower == pytest.approx((5 / 6 + (1 / 2 - 5 / 6)) / 4)
    assert one.interval_low < one.lower < one.interval_high
    assert one.p_value == 1.0


def test_what_is_undecided_can_decide_nothing() -> None:
    first = curve_of(a="++", b="++", c="+?", d="??")
    second = curve_of(a="--", b="?-", c="--", d="--")
    one = compare(first, second)[0]
    assert (one.lower, one.upper) == (pytest.approx((1 + 0.5 + 0.5 + 0) / 4), pytest.approx((1 + 1 + 1 + 1) / 4))
    assert one.record == Record(3, 0, 0, 1)
    # All wrong: 1, 1, 1/2, 0 flips to 2 / 8. The lower end: 1, 1/2, 1/2, 0 also; the upper, four wins, to 2 / 16.
    assert (one.p_value, one.p_value_undecided_wrong) == (0.25, 0.25)
    doubtful = compare(curve_of(a="+?", b="-?"), curve_of(a="+?", b="--"))[0]
    assert doubtful.lower < 0 < doubtful.upper
    assert doubtful.p_value == 1.0


def test_a_recipe_against_itself_ties_everywhere() -> None:
    curve = curve_of(a="+-", b="--", c="++")
    for one in compare(curve, curve):
        assert (one.record.num_ties, one.lower, one.upper, one.p_value) == (3, 0, 0, 1)
        assert one.interval_low < 0 < one.interval_high


def test_looking_at_several_comparisons_is_corrected_for() -> None:
    names = "abcdefgh"
    first, second = curve_of(**dict.fromkeys(names, "++")), curve_of(**dict.fromkeys(names, "--"))
    comparisons = compare(first, second)
    assert [one.p_value for one in comparisons] == [2 / 256] * 2
    assert adjusted_p_values(comparisons) == [4 / 256] * 2


def test_what_cannot_be_compared_is_said() -> None:
    with pytest.raises(UsageError, match="got 1 that only one of them has, 'c' for instance"):
        compare(curve_of(a="++", b="--"), curve_of(a="++", b="--", c="++"))
    pair = pool([labelled("a", "++"), labelled("b", "--")])
    with pytest.raises(UsageError, match=r"pass@k at \[1, 2\] and random at \[1, 2\]"):
        compare(curve_of(a="++", b="--"), random_curve(pair, [1, 2]))


def test_power_says_what_could_have_been_seen() -> None:
    spread = np.array([0.2, -0.2] * 50)
    assert str(power(spread, 64)) == (
        "with 100 problems and 64 candidates a difference of 6 points or more would be seen 80% of the time"
    )
    # (1.984 + 0.845) · 0.201 / 10
    assert power(spread, 64).detectable == pytest.approx(0.0569, abs=1e-3)
    assert str(power(np.array([1.0, -1.0, 0, 0, 0]), 8)) == (
        "with 5 problems and 8 candidates no difference would be seen: it takes at least 6 problems"
    )


def test_power_of_problems_that_hardly_differ_is_that_of_six_that_do() -> None:
    # A binomial of 30 and 1/4 reaches 6 in 79.7 % of cases.
    assert power(np.zeros(30), 4).detectable == pytest.approx(0.251, abs=1e-3)
    # All six of six: rate⁶ = 0.8.
    assert power(np.zeros(6), 4).detectable == pytest.approx(0.8 ** (1 / 6))


@pytest.mark.parametrize("num_problems", [30, 100])
def test_a_difference_of_the_stated_size_is_seen_about_80_times_in_100(num_problems: int) -> None:
    # 300 data sets: 80 % ± 2.3 % (one standard error), and the seed is fixed.
    rng = np.random.default_rng(5)
    noise = (rng.binomial(8, 0.5, (300, num_problems)) - rng.binomial(8, 0.5, (300, num_problems))) / 8
    shift = np.mean([power(row, 8).detectable for row in noise])
    seen = np.mean(np.array(sign_flip_p_values(noise + shift)) <= 0.05)
    assert 0.73 < seen < 0.87


@pytest.mark.parametrize(
    ("degrees", "quantile"), [(5, 2.5706), (9, 2.2622), (29, 2.0452), (99, 1.9842), (10_000, 1.9602)]
)
def test_students_quantiles_are_those_of_the_tables(degrees: int, quantile: float) -> None:
    assert t_quantile(0.975, degrees) == pytest.approx(quantile, rel=1e-3)


def test_tokens_grow_with_k_and_distinct_answers_with_what_is_there() -> None:
    cases = pool([labelled("a", "++--", [0, 0, 1, None]), labelled("b", "++", [0, 0])])
    assert expected_tokens(cases, [1, 2]).tolist() == [[5, 5], [10, 10]]
    assert expected_prompt_tokens(cases, [2]).tolist() == [[6, 6]]
    # Pairs of {0, 0, 1, none}: 00 → 1, 01 twice → 2, 0- twice → 1, 1- → 1: (1 + 4 + 2 + 1) / 6.
    assert np.allclose(expected_distinct_answers(cases, [1, 2]), [[3 / 4, 1], [8 / 6, 1]])
