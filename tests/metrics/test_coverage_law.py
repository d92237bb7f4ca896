"""The laws of coverage against scipy's maximum, against rates that are known, and at their edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts.errors import UsageError
from tts.metrics.coverage_law import extrapolated
from tts.metrics.pass_at_k import pass_at_k


def drawn(seed: int, *, impossible: float = 0.0, problems: int = 100, size: int = 32):
    """Return how many candidates there are and are right, and each problem's rate."""
    rng = np.random.default_rng(seed)
    rates = np.where(rng.random(problems) < impossible, 0.0, rng.beta(0.5, 1.5, problems))
    return np.full(problems, size), rng.binomial(size, rates), rates


@pytest.mark.parametrize(("seed", "impossible"), [(1, 0.0), (2, 0.0), (3, 0.3)])
def test_both_laws_are_those_of_the_greatest_likelihood(seed: int, impossible: float) -> None:
    optimize, special = pytest.importorskip("scipy.optimize"), pytest.importorskip("scipy.special")
    sizes, right, _ = drawn(seed, impossible=impossible, size=16)

    def law(x):
        parts = np.exp([*x[2:], 0.0])
        return *np.exp(x[:2]), *(parts / parts.sum())

    def surprise(x):
        a, b, never, always, rest = law([*x, -50, -50] if len(x) == 2 else x)
        if max(a, b, 1 / a, 1 / b) > 8000:
            return 1e9
        inside = rest * np.exp(special.betaln(a + right, b + sizes - right) - special.betaln(a, b))
        return -np.log(inside + never * (right == 0) + always * (right == sizes)).sum()

    def predicted(*starts):
        found = [optimize.minimize(surprise, one, method="Nelder-Mead", options={"maxiter": 9000}) for one in starts]
        best = min(found, key=lambda one: one.fun).x
        a, b, _, always, rest = law([*best, -50, -50] if len(best) == 2 else best)
        return always + rest * (1 - np.exp(special.betaln(a, b + 48) - special.betaln(a, b)))

    (found,) = extrapolated(sizes, right, [48])
    twins = sorted((predicted([0, 0]), predicted([0, 0, -1, -3], [-1, -1, -1, -1])))
    assert (found.low, found.high) == pytest.approx(twins, abs=0.003)


def test_the_interval_holds_what_the_rates_say() -> None:
    # 12 data sets of known rates, a third of them with problems that nothing solves; 95 % each, so 9 of 12 at least.
    held = 0
    for seed in range(12):
        sizes, right, rates = drawn(seed, impossible=0.25 * (seed % 3 == 0))
        (found,) = extrapolated(sizes, right, [64], seed=seed)
        held += found.interval_low <= (1 - (1 - rates) ** 64).mean() <= found.interval_high
    assert held >= 9


def test_the_bounds_hold_for_these_problems_whatever_the_law() -> None:
    # Of 64 candidates 16 are known; what the others show lies within the bounds, up to the noise of drawing them.
    for seed in range(5):
        sizes, right, rates = drawn(seed, problems=2000, size=16)
        (found,) = extrapolated(sizes, right, [64])
        truth = (1 - (1 - rates) ** 64).mean()
        assert found.bound_low - 0.01 <= truth <= found.bound_high + 0.01


@settings(derandomize=True, deadline=None, max_examples=15)
@given(st.data())
def test_it_rises_with_k_within_its_interval_and_does_not_depend_on_the_order(data: st.DataObject) -> None:
    counts = data.draw(st.lists(st.tuples(st.integers(2, 9), st.integers(0, 9)), min_size=2, max_size=12))
    sizes = np.array([size for size, _ in counts])
    right = np.array([min(size, number) for size, number in counts])
    ks = range(int(sizes.min()) + 1, 4 * int(sizes.min()) + 1)
    found = extrapolated(sizes, right, ks)
    if right.sum() in (0, sizes.sum()):
        assert found == []
        return
    assert [one.k for one in found] == list(ks)
    reached = float(pass_at_k(sizes, right, int(sizes.min())).mean())
    for one in found:
        assert 0 <= one.interval_low <= one.interval_high <= 1
        assert one.low <= one.high
        assert reached == pytest.approx(one.bound_low)
        assert one.bound_low <= one.bound_high <= 1
    for name in ("low", "high", "interval_low", "interval_high", "bound_high"):
        values = [getattr(one, name) for one in found]
        assert values == sorted(values)
    order = np.random.default_rng(0).permutation(len(sizes))
    again = extrapolated(sizes[order], right[order], ks)
    for one, other in zip(again, found, strict=True):
        assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=1e-6)


@pytest.mark.parametrize("right", [[0, 0, 0], [4, 4, 4]])
def test_where_all_are_alike_no_law_has_a_shape(right: list[int]) -> None:
    assert extrapolated(np.array([4, 4, 4]), np.array(right), [8]) == []


@pytest.mark.parametrize("k", [0, 4, 17])
def test_a_k_that_is_known_or_too_far_is_refused(k: int) -> None:
    with pytest.raises(UsageError, match="`k` must be from 5 to 16 to be extrapolated to"):
        extrapolated(np.array([4, 5]), np.array([1, 2]), [k])


def test_clusters_are_drawn_anew_whole() -> None:
    sizes, right, _ = drawn(4)
    (alone,) = extrapolated(sizes, right, [64])
    (together,) = extrapolated(
        np.repeat(sizes, 4), np.repeat(right, 4), [64], units=[f"c{number}" for number in range(100) for _ in range(4)]
    )
    wide, same = (one.interval_high - one.interval_low for one in (alone, together))
    assert same == pytest.approx(wide, abs=0.03)  # four copies of a problem say no more than one
