"""The latent distiller: it learns, while the model decodes, to predict the last hidden state from the first layer's.

    ĥ = μ + Δ(h¹)       Δ: what two residual gated blocks, y = x + W_down (silu(W_gate x) ⊙ W_up x), add to h¹
    loss                the mean over the rows of ‖h^L − ĥ‖², one step of Adam per decoding step

Paper: arXiv 2604.24927. Differs from it: μ, the mean of the h^L that the group had before (`running_mean`), takes the
place of the blocks' input, which the paper leaves in (`start: paper`), so that only the deviation is to be learnt; h¹
is scaled to a root mean square of 1 first (`input_norm`); and Adam may take one step on the rows of several decoding
steps (`pace`). There is one distiller per slot. S is how many slots are worked on together, K how many rows each of
them has, d the model's hidden size and w the distiller's width; d_x is the gradient of the loss with respect to x.
Inside, a row is a column, `[d, K]`: a CPU's BLAS multiplies a weight by a few columns in half the time that it takes to
multiply a few rows by a weight.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch.nn.functional import silu

from tts.plugins.esamp.pace import Pace

NUM_BLOCKS = 2
ADAM_EPSILON = 1e-4
CLIP_NORM = 0.5
TEMPLATE_SEED = 0

Objective: TypeAlias = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""(prediction [S, K, d], h^L [S, K, d], mask [S, K]) → (loss [S], its gradient d_prediction [S, K, d])."""


def squared_error(prediction: torch.Tensor, h_last: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The paper's loss: ‖h^L − ĥ‖², summed over d, its mean over the rows whose mask is 1; 0 where there are none."""
    error = (prediction - h_last) * mask.unsqueeze(-1)
    num_rows = mask.sum(1).clamp(min=1)
    return error.square().sum(-1).sum(-1) / num_rows, error * (2 / num_rows).view(-1, 1, 1)


class SlotWeight(NamedTuple):
    """One slot's part of a weight, with Adam's two moments; each `[out, in]`."""

    value: torch.Tensor
    mean: torch.Tensor
    mean_square: torch.Tensor


class Weight(NamedTuple):
    """One weight of all slots."""

    values: torch.Tensor  # [num_slots, out, in]
    slots: tuple[SlotWeight, ...]
    template: torch.Tensor  # [out, in]
    gradient: torch.Tensor  # [out, in], scratch memory for one slot after the other


class GatedBlock(NamedTuple):
    """The weights of y = x + W_down (silu(W_gate x) ⊙ W_up x)."""

    gate_up: Weight  # d → 2w
    down: Weight  # w → d


class Activations(NamedTuple):
    """What a block's backward pass needs of its forward pass."""

    x: torch.Tensor  # [S, d, K]
    gate_up: torch.Tensor  # [S, 2w, K], W_gate x above W_up x


class Prediction(NamedTuple):
    """ĥ `[S, K, d]`, and what training on the same rows needs: no second forward pass."""

    h: torch.Tensor
    blocks: list[Activations]

    def of(self, index: int) -> Prediction:
        """Return the part of one of the S slots, as if it had been worked on alone."""
        only = slice(index, index + 1)
        return Prediction(self.h[only], [Activations(*(part[only] for part in block)) for block in self.blocks])

    @staticmethod
    def joined(predictions: Sequence[Sequence[Prediction]]) -> Prediction:
        """Return one prediction of several slots, given each slot's predictions, whose rows come behind each other."""
        blocks = [
            Activations(*(joined([[p.blocks[i][part] for p in slot] for slot in predictions], 2) for part in (0, 1)))
            for i in range(NUM_BLOCKS)
        ]
        return Prediction(joined([[p.h for p in slot] for slot in predictions], 1), blocks)


class Term(NamedTuple):
    """A weight's gradient as a product not yet formed: deltas · inputsᵀ."""

    weight: Weight
    deltas: torch.Tensor  # [S, out, K]
    inputs: torch.Tensor  # [S, in, K]


class DistillerBank:
    """One distiller per slot, float32. All start from one template, so a slot's number means nothing.

    The backward pass is written out, so that it runs under `torch.inference_mode`; and nothing here reads from the
    device, so that it can be captured as a CUDA graph. A `batched` bank works on all slots whenever it works, in one
    product where others make one for each slot: a GPU likes that, while on a CPU a slot's result could then depend on
    its neighbours in the last bit.
    """

    def __init__(
        self,
        num_slots: int,
        hidden_size: int,
        width: int,
        *,
        learning_rate: float,
        input_norm: bool,
        from_mean: bool = True,
        train_every: int = 1,
        batched: bool = False,
        device: torch.device | str = "cpu",
    ) -> None:
        self.num_slots, self.hidden_size, self.device = num_slots, hidden_size, torch.device(device)
        self._pace, self._batched = Pace(learning_rate, train_every), batched
        self._input_norm, self._from_mean = input_norm, from_mean
        with torch.inference_mode(False):  # so that it can be trained in that mode and out of it
            drawn = [one.to(device) for one in templates(hidden_size, width)]
            tall, wide = torch.empty_like(drawn[0]), torch.empty_like(drawn[1])
            self._blocks = [
                GatedBlock(new_weight(num_slots, of_gate_up, tall), new_weight(num_slots, of_down, wide))
                for of_gate_up, of_down in zip(drawn[0::2], drawn[1::2], strict=True)
            ]
            self._num_updates = torch.zeros(num_slots, device=device).unbind()
        for slot in range(num_slots):
            self.reset(slot)

    @property
    def memory_bytes(self) -> int:
        """Memory of weights, moments and scratch."""
        tensors = [tensor for weight in self._weights() for slot in weight.slots for tensor in slot]
        tensors += {id(tensor): tensor for weight in self._weights() for tensor in weight[2:]}.values()
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    @property
    def activations_a_row(self) -> int:
        """How many numbers a prediction keeps of a row for its training."""
        return NUM_BLOCKS * (self.hidden_size + int(self._blocks[0].gate_up.template.shape[0]))

    def reset(self, slot: int) -> None:
        """Make the slot's distiller new."""
        for weight in self._weights():
            value, mean, mean_square = weight.slots[slot]
            value.copy_(weight.template)
            mean.zero_()
            mean_square.zero_()
        self._num_updates[slot].zero_()

    def predict(self, slots: Sequence[int], h_first: torch.Tensor, mean: torch.Tensor) -> Prediction:
        """Predict h^L from h¹ `[S, K, d]`, float32, with the distillers of `slots`; `mean` is μ, `[S, 1 or K, d]`."""
        x = (rms_normalised(h_first) if self._input_norm else h_first).mT.contiguous()
        blocks = []
        for block in self._blocks:
            gate_up = self._times(block.gate_up, x, slots)
            blocks.append(Activations(x, gate_up))
            gate, up = gate_up.chunk(2, dim=1)
            x = x + self._times(block.down, silu(gate) * up, slots)
        return Prediction(mean + (x - blocks[0].x).mT if self._from_mean else x.mT, blocks)

    def train(
        self, slots: Sequence[int], prediction: Prediction, d_prediction: torch.Tensor, active: torch.Tensor
    ) -> None:
        """Take one step of Adam with each distiller of `slots` whose `active` `[S]`, bool, is set.

        `prediction` must have been made with the same slots and the weights that they still have. A gradient that is
        not finite changes nothing.
        """
        terms = self._backward(slots, prediction.blocks, d_prediction.mT.contiguous())
        norm = self._norm(terms)  # [S]
        scale = (CLIP_NORM / (norm + 1e-6)).clamp(max=1).view(-1, 1, 1)
        taken = (active & norm.isfinite()).float()
        updates = [self._num_updates[slot].add_(one) for slot, one in zip(slots, taken, strict=True)]
        (beta1, beta2), rate, skipped = self._pace.betas, self._pace.rate, (1 - taken).unbind()
        for weight, deltas, inputs in terms:
            clipped = deltas * scale
            for i, slot in enumerate(slots):
                torch.mm(clipped[i], inputs[i].t(), out=weight.gradient)
                value, mean, mean_square = weight.slots[slot]
                torch._fused_adam_(
                    [value],
                    [weight.gradient],
                    [mean],
                    [mean_square],
                    [],
                    [updates[i]],
                    lr=rate,
                    beta1=beta1,
                    beta2=beta2,
                    weight_decay=0.0,
                    eps=ADAM_EPSILON,
                    amsgrad=False,
                    maximize=False,
                    found_inf=skipped[i],  # 1: as if the gradient had overflowed
                )

    def _backward(self, slots: Sequence[int], blocks: list[Activations], d_prediction: torch.Tensor) -> list[Term]:
        """Return the gradients of all weights, given d_prediction `[S, d, K]`."""
        terms = []
        d_y = d_prediction
        for block, (x, gate_up) in zip(reversed(self._blocks), reversed(blocks), strict=True):
            gate, up = gate_up.chunk(2, dim=1)
            opened = silu(gate)
            d_hidden = self._transposed_times(block.down, d_y, slots)
            d_gate = torch.ops.aten.silu_backward(d_hidden * up, gate)
            d_gate_up = torch.cat([d_gate, d_hidden * opened], dim=1)
            terms += [Term(block.down, d_y, opened * up), Term(block.gate_up, d_gate_up, x)]
            if x is not blocks[0].x:  # nothing learns below the first block
                d_y = d_y + self._transposed_times(block.gate_up, d_gate_up, slots)
        return terms

    def _times(self, weight: Weight, x: torch.Tensor, slots: Sequence[int]) -> torch.Tensor:
        """Return W x `[S, out, K]`, W being each slot's part of the weight, given its x `[S, in, K]`."""
        if self._batched:
            return torch.bmm(weight.values, x)
        product = x.new_empty(len(slots), weight.values.shape[1], x.shape[2])
        for i, slot in enumerate(slots):
            torch.mm(weight.slots[slot].value, x[i], out=product[i])
        return product

    def _transposed_times(self, weight: Weight, x: torch.Tensor, slots: Sequence[int]) -> torch.Tensor:
        """Return Wᵀ x `[S, in, K]`, given x `[S, out, K]`; computed as (xᵀ W)ᵀ, which is quicker."""
        if self._batched:
            return torch.bmm(weight.values.mT, x)
        product = x.new_empty(len(slots), x.shape[2], weight.values.shape[2])
        for i, slot in enumerate(slots):
            torch.mm(x[i].t(), weight.slots[slot].value, out=product[i])
        return product.mT.contiguous()

    def _norm(self, terms: list[Term]) -> torch.Tensor:
        """Return the norm `[S]` of all gradients together without forming them.

        ‖ABᵀ‖² is the sum of (AᵀA) ⊙ (BᵀB), which are K x K. So the deltas can be clipped before the gradients exist,
        and each gradient is used once, while it is in the cache.
        """
        squares = [(self._gram(a) * self._gram(b)).flatten(1).sum(1) for _, a, b in terms]
        return torch.stack(squares).sum(0).clamp(min=0).sqrt()

    def _gram(self, x: torch.Tensor) -> torch.Tensor:
        """Return each slot's xᵀx `[S, K, K]`."""
        if self._batched:
            return torch.bmm(x.mT, x)
        return torch.stack([torch.mm(columns.t(), columns) for columns in x])

    def _weights(self) -> Iterator[Weight]:
        for block in self._blocks:
            yield from block


def bytes_per_slot(hidden_size: int, width: int) -> int:
    """Return the memory of one distiller: its weights and Adam's two moments, float32 (on CUDA it is a sixth less)."""
    return NUM_BLOCKS * 3 * hidden_size * width * 3 * 4


def templates(hidden_size: int, width: int) -> list[torch.Tensor]:
    """Return what every distiller starts from, drawn as `torch.nn.Linear` draws: W_gate above W_up `[2w, d]` and W_down
    `[d, w]` of each block in turn."""
    generator = torch.Generator().manual_seed(TEMPLATE_SEED)
    shapes = [(2 * width, hidden_size), (hidden_size, width)] * NUM_BLOCKS
    return [(torch.rand(shape, generator=generator) * 2 - 1) / math.sqrt(shape[1]) for shape in shapes]


def new_weight(num_slots: int, template: torch.Tensor, gradient: torch.Tensor) -> Weight:
    """Return a weight that starts from `template`; `gradient` is scratch memory of its shape."""
    values, means, mean_squares = (torch.zeros(num_slots, *template.shape, device=template.device) for _ in range(3))
    return Weight(values, tuple(map(SlotWeight, values, means, mean_squares)), template, gradient)


def rms_normalised(x: torch.Tensor) -> torch.Tensor:
    """Scale each row of `x` `[..., d]` to a root mean square of 1; a row of zeros stays."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)


def joined(parts: Sequence[Sequence[torch.Tensor]], dim: int) -> torch.Tensor:
    """Join each slot's parts, each of one slot, along `dim`, and the slots along dim 0."""
    return torch.cat([torch.cat(list(of_slot), dim=dim) for of_slot in parts])
