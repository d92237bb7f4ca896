"""ESamp slowly, to be read beside the paper (arXiv 2604.24927): one distiller by torch's autograd and Adam, in float64.

No run uses this. `distiller`, `pace` and `step` do the same for many distillers at a time, with the backward pass
written out, and tests hold them equal to it.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import TypeAlias

import torch
from torch.nn.functional import silu

from tts.plugins.esamp.distiller import NUM_BLOCKS, TEMPLATE_SEED

Loss: TypeAlias = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(ĥ, h^L), both `[K, d]` → a scalar."""


def squared_error(prediction: torch.Tensor, h_last: torch.Tensor) -> torch.Tensor:
    """Return the paper's loss: the mean over the rows of ‖h^L − ĥ‖²."""
    return (h_last - prediction).square().sum(-1).mean()


class ReferenceDistiller:
    """The defaults are the paper's; `mean` is μ, the mean of the h^L so far.

    `losses` holds each step's loss before its rows are learnt from, `losses_of_mean` what μ had there; `num_trained`
    counts the rows that were learnt from.
    """

    def __init__(
        self,
        hidden_size: int,
        width: int,
        *,
        learning_rate: float = 4e-4,
        input_norm: bool = False,
        from_mean: bool = False,
        train_every: int = 1,
        loss: Loss = squared_error,
    ) -> None:
        self.losses, self.losses_of_mean, self.num_trained = list[float](), list[float](), 0
        self._waiting: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
        self._input_norm, self._from_mean, self._train_every = input_norm, from_mean, train_every
        self.mean, self._num_rows = torch.zeros(hidden_size, dtype=torch.float64), 0
        self._loss = loss
        generator = torch.Generator().manual_seed(TEMPLATE_SEED)

        def weight(rows: int, columns: int) -> torch.Tensor:
            return ((torch.rand(rows, columns, generator=generator) * 2 - 1) / sqrt(columns)).double().requires_grad_()

        # Each block's W_gate above W_up [2w, d], and its W_down [d, w].
        self.blocks = [(weight(2 * width, hidden_size), weight(hidden_size, width)) for _ in range(NUM_BLOCKS)]
        self._weights = [weight for block in self.blocks for weight in block]
        # An update on the rows of m steps goes √m times as far as one on those of one step would.
        rate, decay = learning_rate * sqrt(train_every), max(0.0, 1 - 0.1 * sqrt(train_every))
        self._adam = torch.optim.Adam(self._weights, lr=rate, betas=(decay, 0.999), eps=1e-4)

    def predict(self, h_first: torch.Tensor, mean: torch.Tensor | None = None) -> torch.Tensor:
        """Return ĥ = f_φ(h¹) `[K, d]`; with `from_mean`, μ + f_φ(h¹) − h¹. `mean` is μ, None: as it is now."""
        x = h_first.double()
        if self._input_norm:
            x = x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt()
        given = x
        for gate_up, down in self.blocks:
            gate, up = (x @ gate_up.T).chunk(2, dim=-1)
            x = x + (silu(gate) * up) @ down.T
        return (self.mean if mean is None else mean) + x - given if self._from_mean else x

    def step(self, h_first: torch.Tensor, h_last: torch.Tensor, beta: torch.Tensor | float) -> torch.Tensor:
        """Do one decoding step: return the mixed rows `[K, d]`, then learn; `beta` is a number or `[K, 1]`."""
        prediction = self.predict(h_first).detach()
        mixed = h_last + beta * (h_last - prediction)
        self.losses.append(self._loss(prediction, h_last.double()).item())
        self.losses_of_mean.append(self._loss(self.mean.expand_as(prediction), h_last.double()).item())
        self._waiting.append((h_first, h_last, self.mean.expand(len(h_first), -1)))
        if len(self._waiting) == self._train_every:
            self._train(*map(torch.cat, zip(*self._waiting, strict=True)))
            self._waiting.clear()
        # The rows of a step enter the mean after it.
        self._num_rows += len(h_last)
        self.mean = self.mean + (h_last.double() - self.mean).sum(0) / self._num_rows
        return mixed

    def _train(self, h_first: torch.Tensor, h_last: torch.Tensor, mean: torch.Tensor) -> None:
        loss = self._loss(self.predict(h_first, mean), h_last.double())
        self.num_trained += len(h_first)
        self._adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._weights, 0.5)
        self._adam.step()
