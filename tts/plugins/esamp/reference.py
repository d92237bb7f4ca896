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
    """The defaults are the paper's. `losses` holds each update's loss, before it; `num_trained` counts their rows."""

    def __init__(
        self,
        hidden_size: int,
        width: int,
        *,
        learning_rate: float = 4e-4,
        input_norm: bool = False,
        train_every: int = 1,
        loss: Loss = squared_error,
    ) -> None:
        self.losses, self.num_trained = list[float](), 0
        self._waiting: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._learning_rate, self._input_norm, self._train_every = learning_rate, input_norm, train_every
        self._loss = loss
        generator = torch.Generator().manual_seed(TEMPLATE_SEED)

        def weight(rows: int, columns: int) -> torch.Tensor:
            return ((torch.rand(rows, columns, generator=generator) * 2 - 1) / sqrt(columns)).double().requires_grad_()

        # Each block's W_gate above W_up [2w, d], and its W_down [d, w].
        self.blocks = [(weight(2 * width, hidden_size), weight(hidden_size, width)) for _ in range(NUM_BLOCKS)]
        self._weights = [weight for block in self.blocks for weight in block]
        self._adam = torch.optim.Adam(self._weights, betas=(max(0.0, 1 - 0.1 * sqrt(train_every)), 0.999), eps=1e-4)

    def predict(self, h_first: torch.Tensor) -> torch.Tensor:
        """Return ĥ = f_φ(h¹) `[K, d]`."""
        x = h_first.double()
        if self._input_norm:
            x = x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt()
        for gate_up, down in self.blocks:
            gate, up = (x @ gate_up.T).chunk(2, dim=-1)
            x = x + (silu(gate) * up) @ down.T
        return x

    def step(self, h_first: torch.Tensor, h_last: torch.Tensor, beta: torch.Tensor | float) -> torch.Tensor:
        """Do one decoding step: return the mixed rows `[K, d]`, then learn; `beta` is a number or `[K, 1]`."""
        mixed = h_last + beta * (h_last - self.predict(h_first).detach())
        self._waiting.append((h_first, h_last))
        if len(self._waiting) == self._train_every:
            self._train(*map(torch.cat, zip(*self._waiting, strict=True)))
            self._waiting.clear()
        return mixed

    def _train(self, h_first: torch.Tensor, h_last: torch.Tensor) -> None:
        loss = self._loss(self.predict(h_first), h_last.double())
        self.losses.append(loss.item())
        self.num_trained += len(h_first)
        # An update after m steps goes m times as far as one after each would, and after 64 steps ever less, down to √m.
        m, num_steps = self._train_every, len(self.losses) * self._train_every
        self._adam.param_groups[0]["lr"] = self._learning_rate * max(m * min(1, sqrt(64 / num_steps)), sqrt(m))
        self._adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._weights, 0.5)
        self._adam.step()
