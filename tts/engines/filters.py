"""The decoding filters, for every engine that computes on logits: which tokens may be drawn, and with what weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from tts.types import Decoding

NUCLEUS = 1024
"""How many of the likeliest tokens are sorted first for `top_p`; only a nucleus larger than that needs a full sort."""


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of all rows as tensors `[num_rows, 1]`; a filter that no row uses is None.

    `random` tells on the host which rows are drawn at random: those whose temperature is above 0. `sorts_all`: `top_p`
    sorts whole rows, where it else asks the device first whether the likeliest tokens do.
    """

    random: tuple[bool, ...]
    greedy: torch.Tensor
    temperature: torch.Tensor
    first_top_k: torch.Tensor | None
    top_n_sigma: torch.Tensor | None
    min_p: torch.Tensor | None
    top_k: torch.Tensor | None
    top_p: torch.Tensor | None
    largest_top_k: int
    sorts_all: bool = False

    @classmethod
    def of(cls, decodings: Sequence[Decoding | None], device: torch.device) -> Filters:
        """Build from one `Decoding` per row, as `at_token` returns it; None (an empty row) is greedy."""

        def column(values: Sequence[float], neutral: float) -> torch.Tensor | None:
            if all(value == neutral for value in values):
                return None
            return torch.tensor(values, device=device).unsqueeze(1)

        rows = [decoding or Decoding(max_tokens=1, temperature=0) for decoding in decodings]
        first = [row.first_token for row in rows]
        temperatures = [
            float(start.temperature if start else row.temperature) for row, start in zip(rows, first, strict=True)
        ]
        temperature = torch.tensor(temperatures, device=device).unsqueeze(1)
        first_top_k = [start.top_k if start else 0 for start in first]
        return cls(
            random=tuple(value > 0 for value in temperatures),
            greedy=temperature == 0,
            temperature=torch.where(temperature == 0, 1.0, temperature),
            first_top_k=column(first_top_k, 0),
            top_n_sigma=column([float(row.top_n_sigma) for row in rows], 0.0),
            min_p=column([float(row.min_p) for row in rows], 0.0),
            top_k=column([row.top_k for row in rows], 0),
            top_p=column([float(row.top_p) for row in rows], 1.0),
            largest_top_k=max(*first_top_k, *(row.top_k for row in rows), 0),
        )

    def weights(self, logits: torch.Tensor) -> torch.Tensor:
        """Return unnormalised probabilities `[num_rows, vocabulary]`, 0 where filtered out, 1 for the likeliest token.

        Order: the first token's `top_k` and `top_n_sigma`, both on the raw logits, the temperature, `min_p`, `top_k`,
        `top_p`, each on what the one before it kept. Tokens that tie with the last one kept are kept too, so that the
        outcome does not depend on the order of the vocabulary. Where the temperature is 0 the others judge at 1.
        """
        weights = self.at_temperature(logits)
        if self.first_top_k is not None:
            kept = logits >= top_k_threshold(logits, self.first_top_k, self.largest_top_k)
            weights = torch.where(kept, weights, 0.0)
        if self.top_n_sigma is not None:
            weights = torch.where(logits >= top_n_sigma_threshold(logits, self.top_n_sigma), weights, 0.0)
        if self.min_p is not None:
            weights = keep_from(weights, self.min_p)
        if self.top_k is not None:
            weights = keep_from(weights, top_k_threshold(weights, self.top_k, self.largest_top_k))
        if self.top_p is not None:
            weights = keep_from(weights, top_p_threshold(weights, self.top_p, sorts_all=self.sorts_all))
        return weights

    def at_temperature(self, logits: torch.Tensor) -> torch.Tensor:
        """Return unnormalised probabilities `[num_rows, vocabulary]` without any filter, 1 for the likeliest token."""
        return ((logits - logits.amax(-1, keepdim=True)) / self.temperature).exp_()


def at_token(decoding: Decoding, num_generated: int) -> Decoding:
    """Return how the token after `num_generated` others is drawn: `first_token` says nothing after the first."""
    return decoding if num_generated == 0 else replace(decoding, first_token=None)


def keep_from(weights: torch.Tensor, threshold: torch.Tensor) -> torch.Tensor:
    """Return `weights` with those below `threshold` (`[num_rows, 1]`) set to 0."""
    return torch.where(weights >= threshold, weights, 0.0)


def top_k_threshold(values: torch.Tensor, top_k: torch.Tensor, largest_top_k: int) -> torch.Tensor:
    """Return the `top_k`-th largest value of each row; −∞ (everything stays) where `top_k` is 0."""
    limit = min(largest_top_k, values.shape[-1])
    largest = values.topk(limit).values
    threshold = largest.gather(-1, (top_k - 1).clamp(0, limit - 1))
    return torch.where(top_k == 0, -torch.inf, threshold)


def top_n_sigma_threshold(logits: torch.Tensor, top_n_sigma: torch.Tensor) -> torch.Tensor:
    """Return max − n·σ of each row, σ over all its logits but those that are −∞ already.

    −∞ (everything stays) where n is 0.
    """
    possible = logits.masked_fill(logits == -torch.inf, torch.nan)
    deviation = possible - possible.nanmean(-1, keepdim=True)
    sigma = deviation.square().nanmean(-1, keepdim=True).sqrt()
    return torch.where(top_n_sigma == 0, -torch.inf, logits.amax(-1, keepdim=True) - top_n_sigma * sigma)


def top_p_threshold(weights: torch.Tensor, top_p: torch.Tensor, *, sorts_all: bool = False) -> torch.Tensor:
    """Return the weight of the token at which the mass of the likeliest ones first reaches `top_p` of the whole.

    0 (everything stays) where `top_p` is 1.
    """
    wanted = top_p * weights.sum(-1, keepdim=True)
    largest = weights.topk(min(NUCLEUS, weights.shape[-1])).values  # ordered
    if sorts_all or bool(((largest.sum(-1, keepdim=True) < wanted) & (top_p < 1)).any()):
        largest = weights.sort(-1, descending=True).values
    reached = largest.cumsum(-1) >= wanted
    last = torch.where(reached.any(-1, keepdim=True), reached.int().argmax(-1, keepdim=True), largest.shape[-1] - 1)
    return torch.where(top_p == 1, 0.0, largest.gather(-1, last))
