"""Statistics by hand, and the warnings that must be loud."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tts.plugins.esamp.settings import ESampSettings
from tts.plugins.esamp.stats import LONG_RUN, LossTotals, LossTrace, Mean, RequestTrace, Statistics

FINE = Statistics(
    steps=100,
    rows_guided=400,
    rows_trained=400,
    rows_without_slot=0,
    groups=3,
    steps_not_finite=0,
    first_loss=9.0,
    last_loss=4.0,
    loss_over_mean=0.8,
    mean_kl=None,
    mean_novelty=0.5,
    predict_ms=1.0,
    train_ms=2.0,
    wait_ms=0.0,
    memory_bytes=5,
)


def trace_of(losses: list[float], of_mean: float = 1.0) -> LossTrace:
    trace = LossTrace()
    for loss in losses:
        trace.add([loss, of_mean])
    return trace


def totals_of(*runs: list[float]) -> LossTotals:
    totals = LossTotals()
    for losses in runs:
        totals.add(trace_of(losses))
    return totals


def test_first_and_last_loss_are_means_over_16_steps_and_then_over_groups() -> None:
    totals = totals_of([float(20 - i) for i in range(20)], [6.0, 2.0], [])
    # 20 … 5 and 16 … 1 in the first group, 6 and 2 in the second; the third never trained.
    assert totals.first.value == (12.5 + 4.0) / 2
    assert totals.last.value == (8.5 + 4.0) / 2


def test_a_run_that_never_trained_has_no_loss() -> None:
    assert (totals_of([]).first.value, totals_of().last.value) == (None, None)


def test_a_group_is_compared_with_its_mean_over_all_its_steps_after_the_64th() -> None:
    early = [1000.0] * LONG_RUN
    totals = LossTotals()
    for losses, of_mean in (([*early, 1.0, 5.0], 4.0), ([*early, 2.0], 2.0), (early, 8.0)):
        totals.add(trace_of(losses, of_mean))
    assert totals.over_mean == (1 + 5 + 2) / (4 + 4 + 2)
    assert totals_of(early).over_mean is None


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
    assert FINE.warnings(ESampSettings()) == []
    assert FINE.to_dict()["last_loss"] == 4.0
    assert len(FINE.to_dict()) == 19


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rows_guided": 0}, "guided no token although `beta` is 0.25"),
        ({"rows_without_slot": 7}, "left 7 rows unguided"),
        ({"loss_over_mean": 1.25}, "loss was 1.25 times that of the mean of earlier hidden states"),
        ({"steps_not_finite": 4}, "met 4 steps"),
    ],
)
def test_what_went_wrong_is_said(change: dict[str, int], words: str) -> None:
    (warning,) = replace(FINE, **change).warnings(ESampSettings())
    assert words in warning


@pytest.mark.parametrize(("learning_rate", "is_safe"), [(4e-4, True), (8e-4, True), (1e-3, False)])
def test_a_rate_above_which_the_loss_was_seen_to_jump_is_said(learning_rate: float, is_safe: bool) -> None:
    warnings = FINE.warnings(ESampSettings(learning_rate=learning_rate))
    assert ["the loss was seen to jump" in warning for warning in warnings] == [True] * (not is_safe)


def test_of_controls_that_learn_no_hidden_states_nobody_expects_that_they_know_more_than_the_mean() -> None:
    for control in ("untrained", "vocabulary", "mean"):
        assert replace(FINE, loss_over_mean=1.25).warnings(ESampSettings.from_dict({"control": control})) == []


def test_at_beta_0_nothing_need_be_guided() -> None:
    assert replace(FINE, rows_guided=0).warnings(ESampSettings(beta=0.0)) == []
