"""What is read off how many candidates are right, by hand and where verdicts are undecided."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts.metrics.pool import Pool, PoolRow, pool
from tts.report.counts import beyond, reliability_of
from tts.types import Status


def pool_of(*statuses: str) -> Pool:
    """Return a pool of problems, each a word of `p`, `f` and `u`."""
    names: dict[str, Status] = {"p": "passed", "f": "failed", "u": "undecided"}
    rows = []
    for place, word in enumerate(statuses):
        nothing: Sequence[None] = [None] * len(word)
        ones = [1] * len(word)
        rows.append(PoolRow(f"{place}", [names[letter] for letter in word], nothing, ones, ones))
    return pool(rows)


def test_reliability_of_two_by_hand() -> None:
    # Of 6 pairs of ppff 5 hold a right one and 1 holds two; ffff has none, pppp all.
    found = {one.name: one.lower for one in reliability_of(pool_of("ppff", "ffff", "pppp"), 2, clusters={}, seed=0)}
    assert found == pytest.approx(
        {
            "G-Pass@2, τ = 0.25": (5 / 6 + 1) / 3,
            "G-Pass@2, τ = 0.5": (5 / 6 + 1) / 3,
            "G-Pass@2, τ = 0.75": (1 / 6 + 1) / 3,
            "G-Pass@2, τ = 1": (1 / 6 + 1) / 3,
            "mG-Pass@2": (1 / 6 + 1) / 3,
        }
    )


def test_what_is_undecided_or_not_drawn_makes_a_range() -> None:
    found = reliability_of(pool_of("pu", "pp", "p"), 2, clusters={}, seed=0)
    assert (found[3].lower, found[3].upper) == pytest.approx((1 / 3, 1.0))
    assert reliability_of(pool_of("pu", "pp"), 1, clusters={}, seed=0) == ()


def test_coverage_goes_on_to_four_times_the_candidates_and_not_where_no_law_has_a_shape() -> None:
    found = beyond(pool_of("ppff", "ffff", "pfff", "pppp", "ffff"), clusters={}, seed=0)
    assert [one.k for one in found] == [6, 8, 12, 16]
    assert all(one.bound_low == 0.6 <= one.bound_high <= 1 for one in found)
    for same in (("pp", "pp"), ("ff", "ff"), ("p", "f"), ()):
        assert beyond(pool_of(*same), clusters={}, seed=0) == ()


@settings(derandomize=True, deadline=None, max_examples=25)
@given(st.lists(st.text("pfu", min_size=4, max_size=4), min_size=2, max_size=8))
def test_undecided_verdicts_only_widen(words: list[str]) -> None:
    wrong, right = ([word.replace("u", letter) for word in words] for letter in "fp")
    ends = [reliability_of(pool_of(*one), 3, clusters={}, seed=0) for one in (wrong, right)]
    found = reliability_of(pool_of(*words), 3, clusters={}, seed=0)
    assert [one.lower for one in found] == [one.lower for one in ends[0]]
    assert [one.upper for one in found] == [one.upper for one in ends[1]]
    for one in beyond(pool_of(*words), clusters={}, seed=0):
        assert one.low <= one.high
        assert one.interval_low <= one.interval_high
        assert one.bound_low <= one.bound_high
