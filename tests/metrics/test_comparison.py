import numpy as np
import pytest
from pool_parts import labelled

from tts.errors import UsageError
from tts.metrics.comparison import Record, compare
from tts.metrics.curves import pass_curve, random_curve
from tts.metrics.distinct import expected_distinct_answers
from tts.metrics.paired import family
from tts.metrics.pool import pool
from tts.metrics.power import detectable
from tts.metrics.student import t_quantile


def curve_of(ks=(1, 2), **statuses: str):
    return pass_curve(pool(labelled(name, status) for name, status in statuses.items()), ks)


def compared(first, second, **options):
    return compare([(first, second)], **options).comparisons


def test_wins_losses_and_ties_are_counted_per_problem_in_any_order() -> None:
    first = curve_of(a="++--", b="----", c="+---", d="++++")
    second = curve_of(d="++++", c="++--", b="----", a="----")
    one, two = compared(first, second)
    assert (one.figure, one.place, one.record, one.look.num_problems) == ("pass@k", 1, Record(1, 1, 2, 0), 4)
    assert one.look.lower == one.look.upper == pytest.approx((2 / 4 - 1 / 4) / 4)
    assert two.look.lower == pytest.approx((5 / 6 + (1 / 2 - 5 / 6)) / 4)
    assert one.look.interval[0] < one.look.lower < one.look.interval[1]
    assert one.look.p_value == 1.0


def test_what_is_undecided_can_decide_nothing() -> None:
    first = curve_of(a="++", b="++", c="+?", d="??")
    second = curve_of(a="--", b="?-", c="--", d="--")
    one = compared(first, second)[0]
    assert one.look.lower == pytest.approx((1 + 0.5 + 0.5 + 0) / 4)
    assert one.look.upper == pytest.approx((1 + 1 + 1 + 1) / 4)
    assert one.record == Record(3, 0, 0, 1)
    # The lower end, 1, 1/2, 1/2, 0, flips to 2 / 8; the upper, four wins, to 2 / 16.
    assert one.look.p_value == 0.25
    doubtful = compared(curve_of(a="+?", b="-?"), curve_of(a="+?", b="--"))[0]
    assert doubtful.look.lower < 0 < doubtful.look.upper
    assert doubtful.look.p_value == 1.0


def test_a_recipe_against_itself_ties_everywhere() -> None:
    curve = curve_of(a="+-", b="--", c="++")
    for one in compared(curve, curve):
        assert (one.record.num_ties, one.look.lower, one.look.upper, one.look.p_value) == (3, 0, 0, 1)
        assert one.look.interval[0] < 0 < one.look.interval[1]


def test_looks_that_say_the_same_are_one_look() -> None:
    names = "abcdefgh"
    found = compared(curve_of(**dict.fromkeys(names, "++")), curve_of(**dict.fromkeys(names, "--")))
    assert [one.look.adjusted_p_value for one in found] == [2 / 256] * 2


def test_a_problem_that_one_arm_lacks_leaves_that_pair_alone() -> None:
    full = dict.fromkeys("abcdefgh", "+-")
    first, second = curve_of(**full), curve_of(**dict.fromkeys(full, "--"))
    part = curve_of(**dict.fromkeys("cdefgh", "--"))
    found = compare([(first, second), (first, part)]).comparisons
    assert [one.look.num_problems for one in found] == [8, 8, 6, 6]
    assert [one.look.p_value for one in found] == [2 / 256] * 2 + [2 / 64] * 2
    assert [one.record.num_wins for one in found] == [8, 8, 6, 6]


def test_problems_of_one_cluster_are_one() -> None:
    names = [f"p{number}" for number in range(12)]
    first, second = (curve_of(**dict.fromkeys(names, status)) for status in ("+-", "--"))
    alone, clustered, few = (
        compared(first, second, clusters={name: f"c{place // size}" for place, name in enumerate(names)})[0].look
        for size in (1, 2, 3)
    )
    assert (alone.p_value, clustered.p_value) == (2 / 2**12, 2 / 2**6)
    assert np.isnan(few.p_value)
    assert (clustered.lower, clustered.num_problems) == (0.5, 12)
    assert clustered.interval[1] - clustered.interval[0] > alone.interval[1] - alone.interval[0]


def test_what_cannot_be_compared_is_said() -> None:
    with pytest.raises(UsageError, match="at least one problem that both recipes solved"):
        compared(curve_of(a="++", b="--"), curve_of(c="++"))
    pair = pool([labelled("a", "++"), labelled("b", "--")])
    with pytest.raises(UsageError, match=r"pass@k at \[1, 2\] and random at \[1, 2\]"):
        compared(curve_of(a="++", b="--"), random_curve(pair, [1, 2]))


def test_power_says_what_could_have_been_told_apart() -> None:
    names = [f"p{number}" for number in range(30)]
    curve = curve_of(**dict.fromkeys(names, "+-"))
    first, second = compared(curve, curve)
    # Nothing differs: V = δ / 2, and δ - 1.96 √(δ / 60) = 0.8416 √((δ / 2 - δ²) / 30) at 0.1209.
    assert first.power.detectable == pytest.approx(0.1209, abs=1e-4)
    assert str(second.power) == (
        "with 30 problems of 2 candidates and 2 looks, a gain of about 13 points that is alike on all problems would "
        "be told apart 4 times in 5; a scattered one less often"
    )
    few = curve_of(a="+-", b="--", ks=(1,))
    assert str(compared(few, few)[0].power) == (
        "with 2 problems of 2 candidates, no gain would be told apart: it takes at least 6 problems"
    )
    clusters = {name: f"c{place // 6}" for place, name in enumerate(names)}
    alone = curve.at([1])
    assert str(compared(alone, alone, clusters=clusters)[0].power) == (
        "with 30 problems in 5 clusters of 2 candidates, no gain would be told apart: it takes at least 6 clusters"
    )


def test_power_falls_with_the_level_that_many_looks_leave() -> None:
    differences = np.array([1.0, -1.0, 0.5, -0.5] + [0.0] * 26)
    found = [detectable(differences, 30, level) for level in (0.05, 0.01, 0.001)]
    assert found == sorted(found)
    assert detectable(np.zeros(6), 6, 1e-9) is None


@pytest.mark.parametrize("num_problems", [30, 100])
def test_a_gain_of_the_stated_size_is_told_apart_about_80_times_in_100(num_problems: int) -> None:
    # Gains alike on all problems, from a pilot without a gain. 300 data sets: ± 2.3 points, and the seed is fixed.
    rng = np.random.default_rng(5)
    rate = rng.beta(2.0, 2.0, (300, num_problems)) * 0.7
    pilot = (rng.binomial(8, rate) - rng.binomial(8, rate)) / 8
    gain = np.median([detectable(row, num_problems, 0.05) for row in pilot])
    rows = (rng.binomial(8, rate + gain) - rng.binomial(8, rate)) / 8
    found = family(rows, [f"p{number:03}" for number in range(num_problems)], num_flips=(999,))
    assert 0.70 < np.mean([one.p_value <= 0.05 for one in found.looks]) < 0.92


@pytest.mark.parametrize(
    ("degrees", "quantile"), [(5, 2.5706), (9, 2.2622), (29, 2.0452), (99, 1.9842), (10_000, 1.9602)]
)
def test_students_quantiles_are_those_of_the_tables(degrees: int, quantile: float) -> None:
    assert t_quantile(0.975, degrees) == pytest.approx(quantile, rel=1e-3)


def test_distinct_answers_grow_with_what_is_there() -> None:
    cases = pool([labelled("a", "++--", [0, 0, 1, None]), labelled("b", "++", [0, 0])])
    # Pairs of {0, 0, 1, none}: 00 → 1, 01 twice → 2, 0- twice → 1, 1- → 1: (1 + 4 + 2 + 1) / 6.
    assert np.allclose(expected_distinct_answers(cases, [1, 2]), [[3 / 4, 1], [8 / 6, 1]])
