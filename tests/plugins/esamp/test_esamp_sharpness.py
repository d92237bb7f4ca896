"""Entropies by hand, and that τ restores them: for any logits, row by row, or at its bound."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs the hf extra")

from tts.plugins.esamp.fusion import fuse  # noqa: E402  # after the skip
from tts.plugins.esamp.sharpness import (  # noqa: E402  # as above
    MOST,
    entropy,
    measured_beside,
    restoring_temperature,
    with_entropy_of,
)

ONE = torch.ones(1, 1)


def test_the_entropy_is_in_nats_at_the_temperature_and_tokens_that_are_ruled_out_add_nothing() -> None:
    logits = torch.tensor([[math.log(3), 0.0, -torch.inf], [7.0, 7.0, 7.0]])
    by_hand = 0.75 * math.log(4 / 3) + 0.25 * math.log(4)
    assert entropy(logits, torch.ones(2, 1)).tolist() == pytest.approx([by_hand, math.log(3)])
    assert entropy(2 * logits, torch.full((2, 1), 2.0)).tolist() == pytest.approx([by_hand, math.log(3)])


def test_a_q_that_says_nothing_is_undone_whole() -> None:
    """(1 + β)·ref − β·q with the same q for every token is ref at T/(1 + β): τ is 1 + β."""
    reference = torch.randn(4, 500, generator=torch.Generator().manual_seed(0)) * 2
    fused = fuse(reference, torch.full_like(reference, 3.0), 0.25)
    tau = restoring_temperature(fused, reference, torch.full((4, 1), 0.7))
    torch.testing.assert_close(tau, torch.full((4, 1), 1.25))


ROWS = st.lists(st.lists(st.floats(-30, 30, width=32), min_size=5, max_size=5), min_size=2, max_size=2)


@given(rows=ROWS, beta=st.floats(0, 2), temperature=st.floats(0.3, 2))
@settings(derandomize=True, max_examples=300, deadline=None)
def test_tau_restores_the_entropy_or_is_at_its_bound(rows: list[list[float]], beta: float, temperature: float) -> None:
    reference, q = torch.tensor(rows).split(1)
    at = torch.full((1, 1), temperature)
    fused = fuse(reference, q, beta)
    tau = restoring_temperature(fused, reference, at)
    assert 1 / MOST * 0.999 <= tau.item() <= MOST * 1.001
    off = (entropy(fused / tau, at) - entropy(reference, at)).item()
    nearer_bound = MOST if off < 0 else 1 / MOST
    assert abs(off) < 0.02 or tau.item() == pytest.approx(nearer_bound, rel=0.02)


def test_on_real_shapes_it_is_exact_and_a_row_does_not_notice_others() -> None:
    generator = torch.Generator().manual_seed(1)
    reference, q = (torch.randn(16, 49152, generator=generator) * 3 for _ in range(2))
    fused, at = fuse(reference, q, 0.25), torch.linspace(0.5, 1.5, 16).unsqueeze(1)
    tau = restoring_temperature(fused, reference, at)
    torch.testing.assert_close(entropy(fused / tau, at), entropy(reference, at), rtol=1e-4, atol=1e-4)
    assert torch.equal(restoring_temperature(fused[5:6], reference[5:6], at[5:6]), tau[5:6])
    assert torch.equal(restoring_temperature(fused, reference, at), tau)


def test_rows_that_did_not_move_and_rows_that_are_no_numbers_stay_as_they_are() -> None:
    reference = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [1.0, math.nan, 3.0]])
    fused = reference * 1.5
    kept = with_entropy_of(reference, fused, torch.ones(3, 1), torch.tensor([[False], [True], [True]]))
    assert torch.equal(kept[0], fused[0])
    torch.testing.assert_close(kept[1] - kept[1, 0], reference[1] - reference[1, 0])
    assert torch.equal(kept[2].nan_to_num(), fused[2].nan_to_num())


def test_what_is_measured_is_the_divergence_and_both_entropies() -> None:
    new, reference = torch.tensor([[math.log(3), 0.0]]), torch.tensor([[0.0, 0.0]])
    kl = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    found = [one.item() for one in measured_beside(new, reference, ONE)]
    assert found == pytest.approx([kl, math.log(2) - kl, math.log(2)])
