"""The running mean of each slot, by hand, and what must not matter to it."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch", reason="needs the hf extra")

from tts.plugins.esamp.running_mean import RunningMeans  # noqa: E402  # after the skip

BOTH = pytest.mark.parametrize("batched", [False, True])


@BOTH
def test_it_is_the_mean_of_the_rows_so_far_slot_by_slot_and_empty_cells_are_none(batched: bool) -> None:
    means = RunningMeans(2, 2, batched=batched)
    assert means.of(range(2)).tolist() == [[[0.0, 0.0]], [[0.0, 0.0]]]
    rows = torch.tensor([[[1.0, 2.0], [3.0, 6.0]], [[8.0, 8.0], [5.0, 5.0]]])
    means.add(range(2), rows, torch.tensor([[[1.0], [1.0]], [[1.0], [0.0]]]))
    assert means.of(range(2)).tolist() == [[[2.0, 4.0]], [[8.0, 8.0]]]
    means.add(range(2), rows, torch.tensor([[[0.0], [1.0]], [[0.0], [0.0]]]))
    assert means.of(range(2))[1].tolist() == [[8.0, 8.0]]
    torch.testing.assert_close(means.of(range(2))[0], torch.tensor([[7 / 3, 14 / 3]]))
    means.reset(0)
    assert means.of(range(2)).tolist() == [[[0.0, 0.0]], [[8.0, 8.0]]]


@BOTH
@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e30])
def test_a_row_whose_length_is_not_finite_is_left_out(bad: float, batched: bool) -> None:
    means = RunningMeans(1, 2, batched=batched)
    means.add([0], torch.tensor([[[4.0, 2.0], [bad, 1.0]]]), torch.ones(1, 2, 1))
    assert means.of([0]).tolist() == [[[4.0, 2.0]]]


def test_a_slot_does_not_notice_others() -> None:
    rows = torch.randn(4, 5, 896, generator=torch.Generator().manual_seed(0))
    alone, crowded = RunningMeans(4, 896), RunningMeans(4, 896)
    for _ in range(3):
        alone.add([2], rows[2:3], torch.ones(1, 5, 1))
        crowded.add(range(4), rows, torch.ones(4, 5, 1))
    assert torch.equal(alone.of([2])[0], crowded.of([0, 2])[1])
