"""Where a scorer's line turns down, and what it adds to the plain vote."""

from __future__ import annotations

import numpy as np
import pytest

from tts.metrics.curves import Curve
from tts.metrics.peak import added, peak


def curve(name: str, ks: tuple[int, ...], rows: list[list[float]]) -> Curve:
    values = np.array(rows)
    names = tuple(f"p{number}" for number in range(values.shape[1]))
    return Curve(name, ks, names, max(ks), values, values, (0.0,) * len(ks))


def test_a_line_that_rises_has_its_peak_at_the_last_k_and_does_not_turn() -> None:
    found = peak(curve("best_of_n(s)", (1, 2, 4), [[0.2] * 20, [0.5] * 20, [0.8] * 20]))
    assert (found.k, found.low, found.high) == (4, 4, 4)
    assert not found.turns_down
    assert found.loss is None


def test_a_line_that_turns_down_on_every_problem_says_so() -> None:
    found = peak(curve("best_of_n(s)", (1, 2, 4), [[0.2] * 20, [0.8] * 20, [0.5] * 20]))
    assert (found.k, found.low, found.high) == (2, 2, 2)
    assert found.turns_down
    assert found.loss is not None
    assert found.loss.lower == pytest.approx(0.3)
    assert found.loss.adjusted_p_value <= 0.05


def test_what_chance_may_have_made_is_no_turn_and_its_interval_is_wide() -> None:
    rng = np.random.default_rng(0)
    rows = (rng.random((4, 12)) < 0.5).astype(float)
    found = peak(curve("best_of_n(s)", (1, 2, 4, 8), rows.tolist()))
    assert not found.turns_down
    assert found.low < found.high


def test_equal_heights_have_their_peak_at_the_smallest_k() -> None:
    found = peak(curve("best_of_n(s)", (2, 4, 8), [[0.5, 0.7]] * 3))
    assert (found.k, found.low, found.high, found.turns_down) == (2, 2, 2, False)


def test_a_single_k_has_no_peak_to_speak_of() -> None:
    found = peak(curve("best_of_n(s)", (4,), [[0.5, 0.7]]))
    assert (found.k, found.low, found.high, found.turns_down) == (4, 4, 4, False)


def test_false_alarms_of_flat_lines_are_at_most_the_level() -> None:
    """100 flat lines: with a true rate of 2.5 % (only what turns down counts), 9 alarms come once in 1,000 times."""
    rng = np.random.default_rng(1)
    rows = rng.random((100, 12, 1)) + rng.normal(0, 0.2, (100, 12, 4))
    alarms = sum(peak(curve("s", (1, 2, 4, 8), np.clip(one.T, 0, 1).tolist())).turns_down for one in rows)
    assert alarms < 9


def test_what_a_scorer_adds_to_the_plain_vote_is_paired_and_corrected() -> None:
    vote = curve("maj@k", (1, 4), [[0.5] * 10, [0.5] * 10])
    better = curve("best_of_n(s)", (1, 4), [[0.5] * 10, [0.9] * 10])
    same = curve("self_consistency(s)", (1, 4), [[0.5] * 10, [0.5] * 10])
    found = {(one.figure, one.k): one.look for one in added([vote, better, same])}
    assert set(found) == {("best_of_n(s)", 4), ("self_consistency(s)", 4)}
    assert found["best_of_n(s)", 4].lower == pytest.approx(0.4)
    assert found["best_of_n(s)", 4].adjusted_p_value == pytest.approx(2 / 2**10)
    assert found["self_consistency(s)", 4].p_value == 1
    assert added([vote]) == []
    assert added([better]) == []
