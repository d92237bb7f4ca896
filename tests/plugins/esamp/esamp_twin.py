"""The slow twin: one distiller as torch's own modules, autograd and optimiser have it, in float64."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import nn

from tts.plugins.esamp.distiller import DistillerBank

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class TwinBlock(nn.Module):
    def __init__(self, d: int, w: int) -> None:
        super().__init__()
        self.gate = nn.Linear(d, w, bias=False)
        self.up = nn.Linear(d, w, bias=False)
        self.down = nn.Linear(w, d, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.down(nn.functional.silu(self.gate(x)) * self.up(x))


class Twin:
    """Starts from the weights that a slot of `bank` has."""

    def __init__(
        self, bank: DistillerBank, slot: int, learning_rate: float, loss: Loss, *, rms: bool, train_every: int = 1
    ) -> None:
        self.rms, self.loss, self.learning_rate, self.train_every = rms, loss, learning_rate, train_every
        self.num_updates = 0
        self.net = nn.Sequential(*(TwinBlock(*shape) for shape in shapes_of(bank))).double()
        with torch.no_grad():
            for block, (gate, up, down) in zip(self.net, weights_of(bank, slot), strict=True):
                block.gate.weight.copy_(gate)
                block.up.weight.copy_(up)
                block.down.weight.copy_(down)
        betas = (1 - 0.1 * train_every**0.5, 0.999)
        self.adam = torch.optim.Adam(self.net.parameters(), lr=learning_rate, betas=betas, eps=1e-4)

    def predict(self, h_first: torch.Tensor) -> torch.Tensor:
        """[K, d] → [K, d]."""
        x = h_first.double()
        return self.net(x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() if self.rms else x)

    def train(self, h_first: torch.Tensor, h_last: torch.Tensor) -> float:
        """One step on the rows [K, d]; the loss before it."""
        loss = self.loss(self.predict(h_first), h_last.double())
        self.num_updates += 1
        self.adam.param_groups[0]["lr"] = self.learning_rate * self.how_far(self.num_updates * self.train_every)
        self.adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 0.5)
        self.adam.step()
        return loss.item()

    def how_far(self, step: int) -> float:
        """How many times as far an update goes as one after every decoding step would."""
        m = self.train_every
        return float(m) if step <= 64 else max(m * (64 / step) ** 0.5, m**0.5)


def weights_of(bank: DistillerBank, slot: int) -> list[tuple[torch.Tensor, ...]]:
    """(gate, up, down) of each block of one slot."""
    return [(*gate_up.slots[slot].value.chunk(2), down.slots[slot].value) for gate_up, down in bank._blocks]


def shapes_of(bank: DistillerBank) -> list[tuple[int, ...]]:
    """(d, w) of each block."""
    return [tuple(down.template.shape) for _, down in bank._blocks]


def squared_error(prediction: torch.Tensor, h_last: torch.Tensor) -> torch.Tensor:
    return (h_last - prediction).square().sum(-1).mean()


def vocabulary_kl(head: torch.Tensor) -> Loss:
    def loss(prediction: torch.Tensor, h_last: torch.Tensor) -> torch.Tensor:
        reference = (h_last @ head.double().T).log_softmax(-1)
        learned = (prediction @ head.double().T).log_softmax(-1)
        return nn.functional.kl_div(learned, reference, reduction="batchmean", log_target=True)

    return loss


def falls(losses: list[float]) -> bool:
    """Whether each quarter's mean is below the one before it."""
    quarter = len(losses) // 4
    means = [sum(losses[i * quarter : (i + 1) * quarter]) / quarter for i in range(4)]
    return all(after < before for before, after in pairwise(means))
