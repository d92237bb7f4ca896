"""What a run is told of the memory that ESamp took."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the hf extra")

from tts.plugins.esamp.core import ESampCore, StepRow  # noqa: E402  # after the skip
from tts.plugins.esamp.settings import ESampSettings  # noqa: E402  # as above

D, W = 16, 8


def test_rows_that_wait_are_counted_at_their_most():
    core = ESampCore(ESampSettings(num_slots=2, width=W, train_every=4), D, 8)
    empty = core.statistics().memory_bytes
    for request_id in ("a", "b", "c"):
        core.join(request_id, "g", group_size=3)
    states = torch.randn(3, D), torch.randn(3, D)
    for position in range(5, 13):
        core.step([StepRow(request_id, position, 3) for request_id in ("a", "b", "c")], *states)
    # By hand: 4 steps of 3 rows wait at most; of each, what two blocks read, their 2w outputs, ĥ and h^L, float32.
    assert core.statistics().memory_bytes - empty == 4 * 3 * 4 * (2 * D + 2 * 2 * W + 2 * D)


def test_distillers_and_means_grow_with_the_slots():
    one, three = (
        ESampCore(ESampSettings(num_slots=number, width=W), D, 8).statistics().memory_bytes for number in (1, 3)
    )
    weights = 2 * (2 * W * D + D * W)
    assert three - one == 2 * 4 * (3 * weights + D + 1)  # values, two moments; a mean and its count
