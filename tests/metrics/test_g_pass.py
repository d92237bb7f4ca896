"""G-Pass@k against the enumeration of all subsets, and against what it must be at its ends."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts.errors import UsageError
from tts.metrics.g_pass import g_pass_at_k, mean_g_pass_at_k
from tts.metrics.pass_at_k import pass_at_k, pass_hat_k

SHARES = [Fraction(1, 4), Fraction(1, 2), Fraction(3, 4), Fraction(1)]


@pytest.mark.parametrize("size", range(1, 8))
def test_it_equals_the_enumeration_of_all_subsets(size: int) -> None:
    for num_right, k in itertools.product(range(size + 1), range(1, size + 1)):
        counts = [sum(one) for one in itertools.combinations([1] * num_right + [0] * (size - num_right), k)]
        for share in SHARES:
            expected = np.mean([count >= math.ceil(share * k) for count in counts])
            assert g_pass_at_k(size, num_right, k, share) == pytest.approx(expected, abs=1e-12)
        mean = 2 / k * sum(np.mean([count >= i for count in counts]) for i in range(math.ceil(k / 2) + 1, k + 1))
        assert mean_g_pass_at_k(size, num_right, k) == pytest.approx(mean, abs=1e-12)


def test_by_hand() -> None:
    # n = 4, c = 2, k = 2: of 6 pairs 5 hold a right one and 1 holds two.
    assert g_pass_at_k([4, 4, 4], [0, 2, 4], 2, 0.5) == pytest.approx([0, 5 / 6, 1])
    assert mean_g_pass_at_k([4, 4, 4], [0, 2, 4], 2) == pytest.approx([0, 1 / 6, 1])


@settings(derandomize=True, deadline=None)
@given(st.integers(1, 3000), st.data())
def test_it_falls_with_the_share_from_pass_at_k_to_pass_hat_k(size: int, data: st.DataObject) -> None:
    num_right, k = data.draw(st.integers(0, size)), data.draw(st.integers(1, min(size, 200)))
    found = [float(g_pass_at_k(size, num_right, k, share)) for share in (Fraction(1, k), *SHARES)]
    assert found[0] == pytest.approx(float(pass_at_k(size, num_right, k)), abs=1e-9)
    assert found[-1] == pytest.approx(float(pass_hat_k(size, num_right, k)), abs=1e-9)
    assert all(after <= before + 1e-12 for before, after in itertools.pairwise(found[1:]))
    assert all(0 <= one <= 1 for one in found)


def test_a_decimal_share_is_taken_as_it_is_written() -> None:
    # 0.07 · 100 is 7.000000000000001 in binary: of 100 with 7 right, at least 7 are right.
    assert g_pass_at_k(100, 7, 100, 0.07) == 1


@pytest.mark.parametrize(("k", "share"), [(0, 0.5), (5, 0.5), (2, 0.0), (2, 1.01), (2, math.nan)])
def test_what_has_no_meaning_is_refused(k: int, share: float) -> None:
    with pytest.raises(UsageError, match=r"`k` must be from|`share` must be above"):
        g_pass_at_k(4, 2, k, share)
