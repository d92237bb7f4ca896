"""From logits to tokens: filters, exact sampling by Gumbel-max, and the log-probabilities that go with the draw."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from tts.types import Decoding

NUCLEUS = 1024
"""How many of the likeliest tokens are sorted first for `top_p`; only a nucleus larger than that needs a full sort."""


@dataclass(frozen=True, slots=True)
class Filters:
    """The decoding filters of all rows as tensors `[num_rows, 1]`; a filter that no row uses is None."""

    greedy: torch.Tensor
    temperature: torch.Tensor
    min_p: torch.Tensor | None
    top_k: torch.Tensor | None
    largest_top_k: int
    top_p: torch.Tensor | None

    @classmethod
    def of(cls, decodings: Sequence[Decoding | None], device: torch.device) -> Filters:
        """Build from one `Decoding` per row; None (an empty row) is greedy."""

        def column(values: list[float], neutral: float) -> torch.Tensor | None:
            if all(value == neutral for value in values):
                return None
            return torch.tensor(values, device=device).unsqueeze(1)

        rows = [decoding or Decoding(max_tokens=1, temperature=0) for decoding in decodings]
        temperatures = torch.tensor([row.temperature for row in rows], device=device, dtype=torch.float32).unsqueeze(1)
        return cls(
            greedy=temperatures == 0,
            temperature=torch.where(temperatures == 0, 1.0, temperatures),
            min_p=column([float(row.min_p) for row in rows], 0.0),
            top_k=column([row.top_k for row in rows], 0),
            largest_top_k=max(row.top_k for row in rows),
            top_p=column([float(row.top_p) for row in rows], 1.0),
        )

    def weights(self, logits: torch.Tensor) -> torch.Tensor:
        """Return unnormalised probabilities `[num_rows, vocabulary]`, 0 where filtered out, 1 for the likeliest token.

        Order: temperature, `min_p`, `top_k`, `top_p`, each on what the one before it kept. Tokens that tie with the
        last one kept are kept too, so that the outcome does not depend on the order of the vocabulary.
        """
        weights = ((logits - logits.amax(-1, keepdim=True)) / self.temperature).exp_()
        if self.min_p is not None:
            weights = keep_from(weights, self.min_p)
        if self.top_k is not None:
            weights = keep_from(weights, top_k_threshold(weights, self.top_k, self.largest_top_k))
        if self.top_p is not None:
            weights = keep_from(weights, top_p_threshold(weights, self.top_p))
        return weights


@dataclass(frozen=True, slots=True)
class Draw:
    """One step of all rows, each `[num_rows]`: the tokens, their raw log-probabilities, KL(uniform ‖ model) in nats."""

    tokens: torch.Tensor
    logprobs: torch.Tensor
    certainties: torch.Tensor

    def to_host(self) -> list[tuple[int, float, float]]:
        """Return (token, log-probability, certainty) per row. The one place where the host waits for the device."""
        columns = torch.stack(
            [self.tokens.float(), self.logprobs, self.certainties], dim=1
        )  # ids are below 2^24: exact
        return [(int(token), logprob, certainty) for token, logprob, certainty in columns.tolist()]


def draw(logits: torch.Tensor, filters: Filters, noise: torch.Tensor) -> Draw:
    """Draw one token per row from `logits` `[num_rows, vocabulary]`, float32.

    `noise` is `[num_rows, noise_size(vocabulary)]` of standard exponentials; greedy rows ignore theirs and take the
    likeliest token, the lowest id among equals.
    """
    raced = race(filters.weights(logits), noise)
    tokens = torch.where(filters.greedy[:, 0], logits.argmax(-1), raced)
    normaliser = logits.logsumexp(-1)
    return Draw(
        tokens=tokens,
        logprobs=logits.gather(-1, tokens.unsqueeze(-1)).squeeze(-1) - normaliser,
        certainties=normaliser - logits.mean(-1) - math.log(logits.shape[-1]),
    )


def race(weights: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Return one index per row, drawn in proportion to `weights`: exact Gumbel-max in two heats.

    argmax(log w + Gumbel) is argmax(w / E) with E exponential. The vocabulary is cut into about √V blocks of about √V
    tokens; a first heat among the blocks' sums finds the winner's block, a second one finds the winner in it. Which
    token of a block comes first does not depend on when it comes, so two small independent heats are distributed as
    one over the whole vocabulary, for 2√V draws instead of V.
    """
    num_rows, vocabulary = weights.shape
    size = block_size(vocabulary)
    num_blocks = -(-vocabulary // size)
    blocks = torch.nn.functional.pad(weights, (0, num_blocks * size - vocabulary)).view(num_rows, num_blocks, size)
    winning_block = (blocks.sum(-1) / noise[:, :num_blocks]).argmax(-1)
    heat = blocks[torch.arange(num_rows, device=weights.device), winning_block]
    return winning_block * size + (heat / noise[:, num_blocks:]).argmax(-1)


def block_size(vocabulary: int) -> int:
    """Return the number of tokens in a block of `race`."""
    return math.isqrt(vocabulary - 1) + 1


def noise_size(vocabulary: int) -> int:
    """Return how many exponentials one draw over `vocabulary` tokens takes."""
    size = block_size(vocabulary)
    return -(-vocabulary // size) + size


def noise_source(seed: int) -> np.random.Generator:
    """Return the generator of one row; it lives on the host, so that every device draws the same noise."""
    return np.random.Generator(np.random.PCG64(seed % 2**64))


def keep_from(weights: torch.Tensor, threshold: torch.Tensor) -> torch.Tensor:
    """Return `weights` with those below `threshold` (`[num_rows, 1]`) set to 0."""
    return torch.where(weights >= threshold, weights, 0.0)


def top_k_threshold(weights: torch.Tensor, top_k: torch.Tensor, largest_top_k: int) -> torch.Tensor:
    """Return the `top_k`-th largest weight of each row; 0 (everything stays) where `top_k` is 0."""
    limit = min(largest_top_k, weights.shape[-1])
    largest = weights.topk(limit).values
    threshold = largest.gather(-1, (top_k - 1).clamp(0, limit - 1))
    return torch.where(top_k == 0, 0.0, threshold)


def top_p_threshold(weights: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """Return the weight of the token at which the mass of the likeliest ones first reaches `top_p` of the whole.

    0 (everything stays) where `top_p` is 1.
    """
    wanted = top_p * weights.sum(-1, keepdim=True)
    largest = weights.topk(min(NUCLEUS, weights.shape[-1])).values  # ordered
    if bool(((largest.sum(-1, keepdim=True) < wanted) & (top_p < 1)).any()):
        largest = weights.sort(-1, descending=True).values
    reached = largest.cumsum(-1) >= wanted
    last = torch.where(reached.any(-1, keepdim=True), reached.int().argmax(-1, keepdim=True), largest.shape[-1] - 1)
    return torch.where(top_p == 1, 0.0, largest.gather(-1, last))
