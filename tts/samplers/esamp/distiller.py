"""The latent distiller: it learns, while the model decodes, to predict the last hidden state from the first layer's.

    ĥ = f_φ(h¹)         two residual gated blocks   y = x + (silu(x W_gate) ⊙ x W_up) W_down
    loss                the mean over the rows of ‖h^L − ĥ‖², one step of Adam per decoding step

Paper: arXiv 2604.24927. Differs from it: h¹ is scaled to a root mean square of 1 first (`input_norm`), since it learns
faster then. There is one distiller per slot. S is how many slots are worked on together, K how many rows each of them
has, d the model's hidden size and w the distiller's width; d_x is the gradient of the loss with respect to x.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

import torch

NUM_BLOCKS = 2
ADAM_BETAS = (0.9, 0.999)
ADAM_EPSILON = 1e-4
CLIP_NORM = 0.5
TEMPLATE_SEED = 0

Objective: TypeAlias = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""(prediction [S, K, d], h^L [S, K, d], mask [S, K]) → (loss [S], its gradient d_prediction [S, K, d])."""


def squared_error(prediction: torch.Tensor, h_last: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The paper's loss: ‖h^L − ĥ‖², summed over d, its mean over the rows whose mask is 1; 0 where there are none."""
    error = (prediction - h_last) * mask.unsqueeze(-1)
    num_rows = mask.sum(1).clamp(min=1)
    return error.square().sum((1, 2)) / num_rows, error * (2 / num_rows).view(-1, 1, 1)


class Weight(NamedTuple):
    """One weight of all slots with Adam's two moments, each `[num_slots, in, out]`; `gradient` is scratch memory."""

    value: torch.Tensor
    mean: torch.Tensor
    mean_square: torch.Tensor
    template: torch.Tensor  # [in, out]
    gradient: torch.Tensor  # [num_together, in, out]


class Block(NamedTuple):
    """The weights of y = x + (silu(x W_gate) ⊙ x W_up) W_down."""

    gate_up: Weight  # [num_slots, d, 2w]
    down: Weight  # [num_slots, w, d]


class Activations(NamedTuple):
    """What a block's backward pass needs of its forward pass."""

    x: torch.Tensor  # [S, K, d]
    up: torch.Tensor  # [S, K, w]
    gate: torch.Tensor  # [S, K, w]
    sigmoid: torch.Tensor  # [S, K, w]
    hidden: torch.Tensor  # [S, K, w]


class Prediction(NamedTuple):
    """ĥ `[S, K, d]`, and what training on the same rows needs: no second forward pass."""

    h: torch.Tensor
    blocks: list[Activations]


class Term(NamedTuple):
    """A weight's gradient as a product not yet formed: inputsᵀ · deltas."""

    weight: Weight
    inputs: torch.Tensor  # [S, K, in]
    deltas: torch.Tensor  # [S, K, out]


class DistillerBank:
    """One distiller per slot, float32. All start from one template, so a slot's number means nothing.

    Works on `num_together` slots at once, at most. The backward pass is written out, so that it runs under
    `torch.inference_mode`; and nothing here reads from the device, so that it can be captured as a CUDA graph.
    """

    def __init__(
        self,
        num_slots: int,
        hidden_size: int,
        width: int,
        *,
        learning_rate: float,
        input_norm: bool,
        num_together: int = 1,
        device: torch.device | str = "cpu",
    ) -> None:
        self.num_slots, self.hidden_size, self.device = num_slots, hidden_size, torch.device(device)
        self._learning_rate, self._input_norm = learning_rate, input_norm
        generator = torch.Generator().manual_seed(TEMPLATE_SEED)

        def scratch(*shape: int) -> torch.Tensor:
            return torch.empty(num_together, *shape, device=device)

        def weight(gradient: torch.Tensor) -> Weight:
            fan_in, fan_out = gradient.shape[1:]
            template = (torch.rand(fan_in, fan_out, generator=generator) * 2 - 1) / math.sqrt(fan_in)
            value, mean, mean_square = (torch.zeros(num_slots, fan_in, fan_out, device=device) for _ in range(3))
            return Weight(value, mean, mean_square, template.to(device), gradient)

        with torch.inference_mode(False):  # so that it can be trained in that mode and out of it
            wide, narrow = scratch(hidden_size, 2 * width), scratch(width, hidden_size)
            self._blocks = [Block(weight(wide), weight(narrow)) for _ in range(NUM_BLOCKS)]
            self._num_updates = torch.zeros(num_slots, device=device)
        for slot in range(num_slots):
            self.reset(slot)

    @property
    def memory_bytes(self) -> int:
        """Memory of weights, moments and scratch."""
        tensors = {id(tensor): tensor for weight in self._weights() for tensor in weight}
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())

    def reset(self, slot: int) -> None:
        """Make the slot's distiller new."""
        for weight in self._weights():
            weight.value[slot].copy_(weight.template)
            weight.mean[slot].zero_()
            weight.mean_square[slot].zero_()
        self._num_updates[slot].zero_()

    def predict(self, slots: slice, h_first: torch.Tensor) -> Prediction:
        """Predict h^L from h¹ `[S, K, d]`, float32, with the distillers of `slots`."""
        x = rms_normalised(h_first) if self._input_norm else h_first
        blocks = []
        for gate_up, down in self._blocks:
            gate, up = torch.bmm(x, gate_up.value[slots]).chunk(2, dim=-1)
            sigmoid = torch.sigmoid(gate)
            hidden = gate * sigmoid * up
            blocks.append(Activations(x, up, gate, sigmoid, hidden))
            x = torch.baddbmm(x, hidden, down.value[slots])
        return Prediction(x, blocks)

    def train(self, slots: slice, prediction: Prediction, d_prediction: torch.Tensor, active: torch.Tensor) -> None:
        """Take one step of Adam with each distiller of `slots` whose `active` `[S]`, bool, is set.

        `prediction` must be this step's, made with the same slots. A gradient that is not finite changes nothing.
        """
        terms = self._backward(slots, prediction.blocks, d_prediction)
        norm = gradient_norm(terms)  # [S]
        scale = (CLIP_NORM / (norm + 1e-6)).clamp(max=1).view(-1, 1, 1)
        idle = (~(active & norm.isfinite())).float()
        self._num_updates[slots] += 1 - idle
        for weight, inputs, deltas in terms:
            torch.bmm(inputs.mT, deltas * scale, out=weight.gradient)
            self._adam(slots, weight, idle)

    def _backward(self, slots: slice, blocks: list[Activations], d_prediction: torch.Tensor) -> list[Term]:
        """Return the gradients of all weights, given d_prediction `[S, K, d]`."""
        terms = []
        d_y = d_prediction
        for (gate_up, down), (x, up, gate, sigmoid, hidden) in zip(
            reversed(self._blocks), reversed(blocks), strict=True
        ):
            d_hidden = torch.bmm(d_y, down.value[slots].mT)
            d_gate = d_hidden * up * sigmoid * (1 + gate * (1 - sigmoid))
            d_gate_up = torch.cat([d_gate, d_hidden * gate * sigmoid], dim=-1)
            terms += [Term(down, hidden, d_y), Term(gate_up, x, d_gate_up)]
            if x is not blocks[0].x:  # nothing learns below the first block
                d_y = torch.baddbmm(d_y, d_gate_up, gate_up.value[slots].mT)
        return terms

    def _adam(self, slots: slice, weight: Weight, idle: torch.Tensor) -> None:
        """Update one weight from its gradient, except where `idle` `[S]` is 1 (as for gradients that overflowed)."""
        for place, slot in enumerate(range(slots.start, slots.stop)):
            torch._fused_adam_(
                [weight.value[slot]],
                [weight.gradient[place]],
                [weight.mean[slot]],
                [weight.mean_square[slot]],
                [],
                [self._num_updates[slot]],
                lr=self._learning_rate,
                beta1=ADAM_BETAS[0],
                beta2=ADAM_BETAS[1],
                weight_decay=0.0,
                eps=ADAM_EPSILON,
                amsgrad=False,
                maximize=False,
                found_inf=idle[place],
            )

    def _weights(self) -> Iterator[Weight]:
        for block in self._blocks:
            yield from block


def rms_normalised(x: torch.Tensor) -> torch.Tensor:
    """Scale each row of `x` `[..., d]` to a root mean square of 1; a row of zeros stays."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)


def gradient_norm(terms: list[Term]) -> torch.Tensor:
    """Return the norm `[S]` of all gradients together without forming them.

    ‖AᵀB‖² is the sum of (AAᵀ) ⊙ (BBᵀ), which are K x K. So the deltas can be clipped before the gradients exist, and
    each gradient is used once, while it is in the cache.
    """
    grams = [torch.bmm(a, a.mT) * torch.bmm(b, b.mT) for _, a, b in terms]
    return torch.stack(grams).sum((0, 2, 3)).clamp(min=0).sqrt()
