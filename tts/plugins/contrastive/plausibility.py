"""The plausibility constraint of contrastive decoding (Li et al. 2022, arXiv 2210.15097, eq. 2)."""

from __future__ import annotations

import math

import torch


def plausible(expert: torch.Tensor, alpha: float) -> torch.Tensor:
    """Return which tokens are at least `alpha` times as likely as the likeliest, given logits `[…, vocabulary]`.

    At temperature 1 these are what `min_p` keeps. 0 keeps all, 1 the likeliest.
    """
    return expert >= expert.amax(-1, keepdim=True) + (math.log(alpha) if alpha else -math.inf)
