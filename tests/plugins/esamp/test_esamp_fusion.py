"""Mixing, filtering by the reference, and KL, by numbers worked out by hand."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch", reason="needs the hf extra")

from tts.plugins.esamp.fusion import fuse, kl_divergence, within_kept  # noqa: E402  # after the skip

REFERENCE = torch.tensor([[2.0, -4.0], [1.0, 3.0]])
Q = torch.tensor([[1.0, -2.0], [1.0, 7.0]])


def test_the_mixture_is_the_reference_times_one_plus_beta_minus_beta_q() -> None:
    assert fuse(REFERENCE, Q, 0.5).tolist() == [[2.5, -5.0], [1.0, 1.0]]
    assert fuse(REFERENCE, Q, torch.tensor([[0.25], [1.0]])).tolist() == [[2.25, -4.5], [1.0, -1.0]]


def test_at_beta_0_the_reference_comes_back_bit_for_bit_whatever_q_is() -> None:
    q = torch.tensor([[math.nan, math.inf], [0.0, -math.inf]])
    reference = torch.tensor([[0.1, -0.0], [1e-45, 3.0]])
    mixed = fuse(reference, q, torch.zeros(2, 1))
    assert torch.equal(mixed.view(torch.int32), reference.view(torch.int32))


def test_mixing_before_a_linear_head_equals_mixing_after_it() -> None:
    head = torch.tensor([[1.0, 2.0], [0.0, -1.0], [3.0, 1.0]])
    before = fuse(REFERENCE, Q, 0.25) @ head.T
    torch.testing.assert_close(before, fuse(REFERENCE @ head.T, Q @ head.T, 0.25))


def test_the_filter_on_the_reference_keeps_what_the_reference_keeps() -> None:
    """At least half as likely as the likeliest: two of the reference's tokens, though the mixture likes a third."""
    reference = torch.tensor([[3.0, 2.8, 0.0], [0.0, 5.0, 5.1]])
    fused = torch.tensor([[1.0, 2.0, 9.0], [9.0, 4.0, 6.0]])

    def min_p(logits: torch.Tensor) -> torch.Tensor:
        weights = (logits - logits.amax(-1, keepdim=True)).exp()
        return torch.where(weights >= 0.5, weights, 0.0)

    assert within_kept(fused, reference, min_p).tolist() == [[1.0, 2.0, -math.inf], [-math.inf, 4.0, 6.0]]


def test_kl_is_the_expected_log_ratio_under_the_new_distribution() -> None:
    new = torch.tensor([[0.5, 0.5], [0.75, 0.25], [1.0, 0.0]]).log()
    reference = torch.tensor([[0.25, 0.75], [0.75, 0.25], [0.5, 0.5]]).log()
    expected = [0.5 * math.log(2) + 0.5 * math.log(2 / 3), 0.0, math.log(2)]
    torch.testing.assert_close(kl_divergence(new + 7, reference - 3), torch.tensor(expected))
