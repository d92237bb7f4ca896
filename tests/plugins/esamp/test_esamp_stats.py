"""Statistics by hand, and the warnings that must be loud."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tts.plugins.esamp.stats import LONG_RUN, LossTotals, LossTrace, Mean, RequestTrace, Statistics

FINE = Statistics(
    steps=100,
    rows_guided=400,
    rows_trained=400,
    rows_without_slot=0,
    groups=3,
    loss_fell=True,
    steps_not_finite=0,
    first_loss=9.0,
    last_loss=4.0,
    mean_kl=None,
    mean_novelty=0.5,
    predict_ms=1.0,
    train_ms=2.0,
    wait_ms=0.0,
    memory_bytes=5,
)


def trace_of(losses: list[float]) -> LossTrace:
    trace = LossTrace()
    for loss in losses:
        trace.add(loss)
    return trace


def totals_of(*runs: list[float]) -> LossTotals:
    totals = LossTotals()
    for losses in runs:
        totals.add(trace_of(losses))
    return totals


def test_first_and_last_loss_are_means_over_eight_steps_and_then_over_groups() -> None:
    totals = totals_of([float(20 - i) for i in range(20)], [6.0, 2.0], [])
    # 20 … 13 and 8 … 1 in the first group, 6 and 2 in the second; the third never trained.
    assert totals.first.value == (16.5 + 4.0) / 2
    assert totals.last.value == (4.5 + 4.0) / 2


def test_a_run_that_never_trained_has_no_loss() -> None:
    assert (totals_of([]).first.value, totals_of().last.value) == (None, None)


def test_only_groups_that_trained_for_long_must_have_learnt_and_only_on_average() -> None:
    rising = [float(i) for i in range(LONG_RUN)]
    falling, level = [2 * loss for loss in reversed(rising)], [1.0] * LONG_RUN
    assert totals_of(rising[1:], level[1:]).fell is None
    assert totals_of(level, level).fell is False
    assert totals_of(rising, level, falling[1:]).fell is False
    assert totals_of(rising, falling).fell is True


def test_losses_that_are_not_finite_are_counted_apart() -> None:
    totals = totals_of([4.0, math.nan, 2.0, math.inf], [math.nan])
    assert (totals.first.value, totals.steps_not_finite) == (3.0, 3)


def test_a_request_reports_its_means_and_leaves_out_what_was_never_measured() -> None:
    trace = RequestTrace()
    assert trace.summary() == {"esamp_guided_tokens": 0}
    for novelty in (0.5, 1.0):
        trace.novelty.add(novelty)
    trace.num_guided = 2
    assert trace.summary() == {"esamp_novelty": 0.75, "esamp_guided_tokens": 2}
    trace.kl.add(0.125)
    assert trace.summary() == {"esamp_novelty": 0.75, "esamp_kl": 0.125, "esamp_guided_tokens": 2}


def test_the_mean_of_nothing_is_none() -> None:
    assert Mean().value is None


def test_what_is_not_finite_is_in_no_mean():
    trace = RequestTrace()
    for number in (1.0, math.nan, math.inf, 3.0):
        trace.novelty.add(number)
    trace.kl.add(math.inf)
    assert trace.summary() == {"esamp_novelty": 2.0, "esamp_guided_tokens": 0}


def test_a_good_run_has_no_warnings_and_plain_numbers() -> None:
    assert FINE.warnings(0.25) == []
    assert FINE.to_dict()["last_loss"] == 4.0
    assert len(FINE.to_dict()) == 15


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rows_guided": 0}, "guided no token although `beta` is 0.25"),
        ({"rows_without_slot": 7}, "left 7 rows unguided"),
        ({"loss_fell": False}, "loss did not fall"),
        ({"steps_not_finite": 4}, "skipped 4 training steps"),
    ],
)
def test_what_went_wrong_is_said(change: dict[str, int], words: str) -> None:
    (warning,) = replace(FINE, **change).warnings(0.25)
    assert words in warning


def test_at_beta_0_nothing_need_be_guided() -> None:
    assert replace(FINE, rows_guided=0).warnings(0.0) == []
