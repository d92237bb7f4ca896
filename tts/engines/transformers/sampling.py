"""From logits to tokens: exact sampling by Gumbel-max, and the log-probabilities that go with the draw."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tts.engines.filters import Filters
from tts.plugins.esamp.fusion import within_kept


@dataclass(frozen=True, slots=True)
class Draw:
    """One step of all rows, each `[num_rows]`: the tokens, their log-probabilities at temperature 1 without filters,
    KL(uniform ‖ that distribution) in nats, and where asked for the confidence (see `tts.engines.confidence`)."""

    tokens: torch.Tensor
    logprobs: torch.Tensor
    certainties: torch.Tensor
    confidences: torch.Tensor | None = None

    def to_host(self) -> list[tuple[int, float, float, *tuple[float, ...]]]:
        """Return (token, log-probability, certainty) per row, and the confidence where asked for.

        The one place where the host waits for the device.
        """
        confidences = [] if self.confidences is None else [self.confidences]
        columns = torch.stack(
            [self.tokens.float(), self.logprobs, self.certainties, *confidences], dim=1
        )  # ids are below 2^24: exact
        return [(int(token), logprob, certainty, *rest) for token, logprob, certainty, *rest in columns.tolist()]


def draw(
    logits: torch.Tensor,
    filters: Filters,
    noise: torch.Tensor,
    reference: torch.Tensor | None = None,
    confidences: torch.Tensor | None = None,
    *,
    allowed: torch.Tensor | None = None,
) -> Draw:
    """Draw one token per row from `logits` `[num_rows, vocabulary]`, float32.

    `noise` is `[num_rows, noise_size(vocabulary)]` of standard exponentials; greedy rows ignore theirs and take the
    likeliest token, the lowest id among equals. With a `reference`, also `[num_rows, vocabulary]`, the filters judge
    that one, and what they keep of it is drawn by `logits`. `confidences` go along to the host. Where there is an
    `allowed`, nothing else is drawn, and the filters act among those.
    """
    if reference is None:
        kept = logits if allowed is None else logits.masked_fill(~allowed, -torch.inf)
        weights = filters.weights(kept)
    else:
        kept = within_kept(logits, reference, filters.weights)
        weights = filters.at_temperature(kept)
    tokens = torch.where(filters.greedy[:, 0], kept.argmax(-1), race(weights, noise))
    normaliser = logits.logsumexp(-1)
    return Draw(
        tokens=tokens,
        logprobs=logits.gather(-1, tokens.unsqueeze(-1)).squeeze(-1) - normaliser,
        certainties=normaliser - logits.mean(-1) - math.log(logits.shape[-1]),
        confidences=confidences,
    )


def race(weights: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Return one index per row, drawn in proportion to `weights`: exact Gumbel-max in two heats.

    argmax(log w + Gumbel) is argmax(w / E) with E exponential. The vocabulary is cut into about √V blocks of about √V
    tokens; a first heat among the blocks' sums finds the winner's block, a second one finds the winner in it. Which
    token of a block comes first does not depend on when it comes, so two small independent heats are distributed as
    one over the whole vocabulary, for 2√V draws instead of V.

    A weight of 0 never wins, whatever the noise, 0 and ∞ included, as long as its row has another one. A row without
    one gives index 0; one with a NaN (its logits held NaN or ∞, which `draw` shows in the log-probability) gives a NaN.
    """
    num_rows, vocabulary = weights.shape
    size = block_size(vocabulary)
    num_blocks = -(-vocabulary // size)
    blocks = torch.nn.functional.pad(weights, (0, num_blocks * size - vocabulary)).view(num_rows, num_blocks, size)
    winning_block = first_to_come(blocks.sum(-1), noise[:, :num_blocks])
    heat = blocks[torch.arange(num_rows, device=weights.device), winning_block]
    return winning_block * size + first_to_come(heat, noise[:, num_blocks:])


def first_to_come(weights: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Return the index of the largest weight / noise in each row; a weight of 0 is behind all others."""
    return torch.where(weights == 0, -1.0, weights / noise).argmax(-1)


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


def fill_with_exponentials(noise: NDArray[np.float32], source: np.random.Generator) -> None:
    """Fill `noise`, float32, with standard exponentials, none of them 0.

    The generator counts in steps of about 2^-23, so one in 2^23 is 0, and would let the least likely token win. An
    exponential is below 2^-23 that often, and evenly spread there: that is what takes the place of a 0.
    """
    source.standard_exponential(dtype=np.float32, out=noise)
    if not noise.all():
        at = noise == 0
        noise[at] = (1 - source.random(np.count_nonzero(at))) * 2.0**-23
