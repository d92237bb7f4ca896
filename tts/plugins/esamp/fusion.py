"""The one primitive of ESamp and its relatives: (1 + b)·ref − b·q, a reference pushed away from a q.

A language model's head is linear, so mixing hidden states before it equals mixing logits after it, and needs one
projection instead of two. Not so for a head that caps its logits: there an engine gets q back (`q_of`), projects it,
too, and fuses the logits.
"""

from __future__ import annotations

from collections.abc import Callable

import torch


def fuse(reference: torch.Tensor, q: torch.Tensor, beta: torch.Tensor | float) -> torch.Tensor:
    """Return (1 + β)·reference − β·q, for hidden states or logits `[…, d]`; `beta` is a number or `[…, 1]`.

    Where β is 0 the reference comes back bit for bit, whatever q is.
    """
    moved = torch.lerp(reference, q, -beta)
    if isinstance(beta, float):
        return moved if beta else reference
    return torch.where(beta != 0, moved, reference)


def q_of(reference: torch.Tensor, mixed: torch.Tensor, beta: torch.Tensor) -> torch.Tensor:
    """Return the q of `mixed` = `fuse(reference, q, beta)`, float32; where β is 0, the reference.

    What it lost in rounding is multiplied by 1/β, and by β again when it is fused.
    """
    reference = reference.float()
    steps = torch.where(beta != 0, beta, 1.0)
    return torch.where(beta != 0, reference + (reference - mixed.float()) / steps, reference)


def within_kept(
    fused: torch.Tensor, reference: torch.Tensor, weights: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """`filter: reference`: return the fused logits `[num_rows, vocabulary]`, −∞ where the reference is filtered out.

    `weights` is the engine's filters: logits → unnormalised probabilities, 0 where filtered out. The fused logits are
    then drawn from at the same temperature, without filters.
    """
    return fused.masked_fill(weights(reference) == 0, -torch.inf)


def kl_divergence(new: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Return KL(new ‖ reference) in nats `[num_rows]` between the distributions of two logits `[num_rows, vocabulary]`.

    A token that `new` rules out (−∞) adds nothing.
    """
    new, reference = new.float().log_softmax(-1), reference.float().log_softmax(-1)
    return torch.where(new == -torch.inf, 0.0, new.exp() * (new - reference)).sum(-1)
