"""How sharp a distribution is, and how to make the fused one as sharp as the model's own (`keep_entropy`).

With a q that says nothing of the token, (1 + β)·ref − β·q is plain sampling at temperature T/(1 + β): part of what
guidance does is that it makes the model colder. Dividing the fused logits by the temperature τ at which they have the
reference's entropy takes that out, and leaves the direction.

How it works. The entropy of softmax(x/τ) grows with s = log τ, by Var_p(x/τ) per unit. So Newton's method finds s; it
starts at 0, and each look narrows a bracket, whose middle is taken where Newton would leave it. The number of looks is
fixed and no number is read from the device, so the host does not wait, and a row depends on itself alone.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from tts.plugins.esamp.fusion import kl_divergence

NUM_LOOKS = 8
MOST = 4.0
"""τ stays within 1/MOST and MOST."""

LEAST_LOGIT = -1e4
"""Below the largest logit by this much a token's probability is 0, at MOST as well."""


class Measured(NamedTuple):
    """How far the logits that are drawn from are from the model's own, and how sharp both are; each `[num_rows]`, nats.

    Entropies are at the temperature of the request, 1 where that is 0; KL(new ‖ reference) is at 1.
    """

    kl: torch.Tensor
    entropy: torch.Tensor
    reference_entropy: torch.Tensor


def measured_beside(new: torch.Tensor, reference: torch.Tensor, temperature: torch.Tensor) -> Measured:
    """Compare logits `[num_rows, vocabulary]`, before filters; the temperature is `[num_rows, 1]`."""
    kl = kl_divergence(new, reference)
    return Measured(kl, entropy(new, temperature), entropy(reference, temperature))


def entropy(logits: torch.Tensor, temperature: torch.Tensor) -> torch.Tensor:
    """Return the entropy `[num_rows]`, nats, of softmax(logits/T).

    The logits are `[num_rows, vocabulary]`, T is `[num_rows, 1]`. Tokens that are ruled out (−∞) add nothing.
    """
    return _moments(_shifted(logits, temperature))[0].squeeze(-1)


def restoring_temperature(fused: torch.Tensor, reference: torch.Tensor, temperature: torch.Tensor) -> torch.Tensor:
    """Return the τ `[num_rows, 1]` at which softmax(fused/(T·τ)) has the entropy of softmax(reference/T), or its bound.

    Both logits are `[num_rows, vocabulary]`, T is `[num_rows, 1]`; τ is 1 where there are logits that are no numbers.
    """
    wanted, x = _moments(_shifted(reference, temperature))[0], _shifted(fused, temperature)
    high = torch.full_like(wanted, math.log(MOST))
    low, s = -high, torch.zeros_like(wanted)
    for _ in range(NUM_LOOKS):
        found, variance = _moments(x * torch.exp(-s))
        low, high = torch.where(found < wanted, s, low), torch.where(found < wanted, high, s)
        newton = s + (wanted - found) / variance.clamp(min=1e-12)
        s = torch.where((newton >= low) & (newton <= high), newton, (low + high) / 2)
    return torch.where((wanted + found).isfinite(), s.exp(), 1.0)


def with_entropy_of(
    reference: torch.Tensor, fused: torch.Tensor, temperature: torch.Tensor, moved: torch.Tensor
) -> torch.Tensor:
    """Return the fused logits over τ, float32, but as they are, bit for bit, where a row was not `moved`, `[n, 1]`."""
    fused = fused.float()
    return torch.where(moved, fused / restoring_temperature(fused, reference, temperature), fused)


def _shifted(logits: torch.Tensor, temperature: torch.Tensor) -> torch.Tensor:
    """Return logits/T, float32, with 0 as the largest of each row."""
    x = logits.float() / temperature
    return (x - x.amax(-1, keepdim=True)).clamp(min=LEAST_LOGIT)


def _moments(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the entropy of softmax(x) and the variance of x under it, both `[num_rows, 1]`."""
    weights = x.exp()
    total = weights.sum(-1, keepdim=True)
    mean = (weights * x).sum(-1, keepdim=True) / total
    variance = (weights * (x - mean).square()).sum(-1, keepdim=True) / total
    return total.log() - mean, variance
