"""ESamp itself and what it is compared with: each says what q is, and what the distiller learns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch

from tts.errors import EngineError
from tts.plugins.esamp.distiller import Objective, squared_error
from tts.plugins.esamp.fused import hashed
from tts.plugins.esamp.settings import ESampSettings

SEEDS = 2**53
"""Noise depends on a seed modulo this, which a float64 can hold."""


class NoiseKey(NamedTuple):
    """What makes a row's randomness its own: its request's seed and its position."""

    seed: int
    position: int


class Control(Protocol):
    """What decoding moves away from.

    `objective` None: the distiller never learns. `predicts` False: there is none, and its prediction is μ.
    """

    objective: Objective | None
    predicts: bool
    uses_noise: bool

    def q(self, h_last: torch.Tensor, prediction: torch.Tensor, noise: torch.Tensor | None) -> torch.Tensor:
        """Return q; all are `[S, K, d]`, float32. `noise` is Gaussian, and None unless `uses_noise`."""


class Distilled:
    """ESamp: q is what the distiller predicts."""

    uses_noise = False

    def __init__(self, objective: Objective | None = squared_error, *, predicts: bool = True) -> None:
        self.objective, self.predicts = objective, predicts

    def q(self, h_last: torch.Tensor, prediction: torch.Tensor, noise: torch.Tensor | None) -> torch.Tensor:  # noqa: ARG002  # the protocol's
        """Return ĥ."""
        return prediction


class Noise(Distilled):
    """q is as far from h^L as ĥ is, in a random direction: does it matter where decoding moves to, or only how far?"""

    uses_noise = True

    def q(self, h_last: torch.Tensor, prediction: torch.Tensor, noise: torch.Tensor | None) -> torch.Tensor:
        """Return h^L − ‖h^L − ĥ‖·noise/‖noise‖."""
        assert noise is not None
        length = norm(h_last - prediction) / norm(noise).clamp(min=1e-12)
        return h_last - noise * length.unsqueeze(-1)


class Subtract(Distilled):
    """The mixed state is h^L − β·ĥ: is the reference's weight of 1 + β needed?"""

    def q(self, h_last: torch.Tensor, prediction: torch.Tensor, noise: torch.Tensor | None) -> torch.Tensor:  # noqa: ARG002  # the protocol's
        """Return h^L + ĥ, for which (1 + β)·h^L − β·q = h^L − β·ĥ."""
        return h_last + prediction


class VocabularyKL:
    """An objective: the mean over the rows of KL(softmax(W h^L) ‖ softmax(W ĥ)), W being the model's head `[V, d]`."""

    def __init__(self, head: torch.Tensor) -> None:
        self._head = head

    def __call__(
        self, prediction: torch.Tensor, h_last: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the loss `[S]` and its gradient `[S, K, d]` (see `Objective`)."""
        head = self._head.float()
        target = times(h_last, head.T).log_softmax(-1)  # [S, K, V]
        learned = times(prediction, head.T).log_softmax(-1)
        num_rows = mask.sum(1).clamp(min=1)
        loss = (target.exp() * (target - learned)).sum(-1)
        d_prediction = times(learned.exp() - target.exp(), head)
        return (loss * mask).sum(1) / num_rows, d_prediction * (mask / num_rows.unsqueeze(1)).unsqueeze(-1)


def control_of(settings: ESampSettings, head: torch.Tensor | None) -> Control:
    """Return the control that the settings name. Raises EngineError where it needs a head and there is none."""
    match settings.control:
        case "noise":
            return Noise()
        case "subtract":
            return Subtract()
        case "untrained":
            return Distilled(objective=None)
        case "mean":
            return Distilled(objective=None, predicts=False)
        case "vocabulary":
            if head is None:
                raise EngineError(
                    "`control` must not be vocabulary on this engine, which does not hand out the weight of the "
                    "model's head. Use another engine or control"
                )
            return Distilled(VocabularyKL(head))
    return Distilled()


def times(x: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Return x `[S, K, …]` times the matrix, one slot after the other: none depends on how many there are."""
    return torch.stack([rows @ matrix for rows in x])


def norm(x: torch.Tensor) -> torch.Tensor:
    """Return the length of each row of `x` `[…, d]`."""
    return torch.linalg.vector_norm(x, dim=-1)


def gaussian(noise_keys: Sequence[NoiseKey], size: int) -> torch.Tensor:
    """Return a standard normal vector per key `[num_keys, size]`, on the host.

    A vector depends on its key alone: it is the same on every machine, whatever was drawn before.
    """
    seeds, positions = zip(*noise_keys, strict=True)
    return seeded_gaussian(torch.tensor([seed % SEEDS for seed in seeds]), torch.tensor(positions), size)


def seeded_gaussian(seeds: torch.Tensor, positions: torch.Tensor, size: int) -> torch.Tensor:
    """Return a standard normal vector `[num_rows, size]` for each row's seed and position, both int64, on their device.

    A vector depends on these two alone: Box and Muller's transform of an integer hash of them.
    """
    row = hashed(hashed(hashed(seeds) ^ (seeds >> 32)) ^ positions)
    places = torch.arange(size, device=seeds.device) * 0x9E3779B1
    first = hashed(row.unsqueeze(1) + places)
    second = hashed(first ^ 0x6A09E667)
    radius = (-2 * ((first.float() + 1) / 2**32).clamp(max=1).log()).sqrt()
    return radius * torch.cos(second.float() * (2 * math.pi / 2**32))
