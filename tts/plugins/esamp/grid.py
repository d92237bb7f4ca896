"""Distillers at fixed shapes and addresses: the layout for devices that run ahead of the host.

How it works. There are S slots of K cells each, and a row of a step sits in one cell. A step works on the first S'
slots and the first K' cells of each (`GridSize`), whether or not a row sits there: what is done is decided by tensors
alone, never by the host. So nothing in a step waits, and for each size the same kernels run on the same addresses,
which is what a CUDA graph replays (`graphs`). Slots in use are the first ones: weights are a view, never gathered.

- `predict` works on all cells; one without a row costs arithmetic and changes nothing (its `mask` is 0).
- `train` puts what the backward pass needs of these rows where the slot's `phase` says, counts the phase up in slots
  that had a row, and takes a step of Adam in those whose m-th phase this was. The others are left as they are, bit for
  bit (`taken`). A phase is a slot's own, so a group depends on itself alone; the price is that the products of the
  backward pass are formed for all S' slots in every step.
- The norm of a gradient is found without forming it (‖ABᵀ‖² is the sum of (AᵀA) ⊙ (BᵀB)), and Adam forms and uses it up
  tile by tile (`fused`), so that it is never in memory.

`half`: products take bfloat16 operands and sum in float32, moments and waiting rows are bfloat16; the weights stay
float32, and their bfloat16 copy follows them. For CUDA; on a CPU it is right, too, and slow.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from tts.plugins.esamp.controls import Control
from tts.plugins.esamp.distiller import ADAM_EPSILON, CLIP_NORM, NUM_BLOCKS, templates
from tts.plugins.esamp.fused import AdamWeights, adam_of, fused_for
from tts.plugins.esamp.pace import Pace
from tts.plugins.esamp.running_mean import follow
from tts.plugins.esamp.settings import ESampSettings

CELLS = (16, 64, 256)
"""How many cells a step may work on; with fewer a tensor core costs the same. Where these do not do: `max_rows`."""


def cells_for(max_rows: int) -> list[int]:
    """Return the numbers of cells that steps may work on where a slot has up to `max_rows` rows."""
    smaller = [size for size in CELLS if size < max_rows]
    return [*smaller, next((size for size in CELLS if size >= max_rows), max_rows)]


def sent(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Send a tensor of the host's to the device, without waiting."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


class GridSize(NamedTuple):
    """How much of the grid a step works on: the first `slots` slots, and the first `cells` cells of each."""

    slots: int
    cells: int


class Predicted(NamedTuple):
    """What came of a size's cells: ĥ, and what `train` needs."""

    h: torch.Tensor  # [S', K', d]
    h_last: torch.Tensor  # [S', K', d]
    mask: torch.Tensor  # [S', K'], 1 where there is a row to learn from
    activations: list[torch.Tensor]  # what each block read, and W_gate x beside W_up x of each


class Learnt(NamedTuple):
    """What came of `train`, on the device."""

    losses: torch.Tensor  # [S', 2], the means over the rows of ‖h^L − ĥ‖² and of ‖h^L − μ‖², before
    num_rows: torch.Tensor  # [S'], how many were learnt from


class DistillerGrid:
    """One distiller per slot, all from one template. Nothing here reads from the device."""

    def __init__(
        self,
        settings: ESampSettings,
        control: Control,
        hidden_size: int,
        max_rows: int,
        *,
        half: bool,
        device: torch.device,
    ) -> None:
        self.num_slots, self.hidden_size, self.device = settings.num_distillers, hidden_size, device
        self.cells = cells_for(max_rows)
        self._control, self._half, self._fused = control, half, fused_for(device)
        self._from_mean = settings.start == "mean"
        self._train_every = settings.steps_per_training(device.type)
        self._pace = Pace(settings.learning_rate, self._train_every)
        kept = torch.bfloat16 if half else torch.float32

        def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
            return torch.zeros(self.num_slots, *shape, dtype=dtype, device=device)

        with torch.inference_mode(False):  # so that they can be changed in that mode and out of it
            self._templates = [one.to(device) for one in templates(hidden_size, settings.width)]
            self._weights = [
                AdamWeights(
                    one.expand(self.num_slots, *one.shape).clone(),
                    zeros(*one.shape, dtype=kept),
                    zeros(*one.shape, dtype=kept),
                    one.bfloat16().expand(self.num_slots, *one.shape).clone() if half else None,
                )
                for one in self._templates
            ]
            self._mean, self._num_rows = zeros(1, hidden_size), zeros(1, 1)
            self._phase, self._num_updates = zeros(dtype=torch.long), zeros()
            sizes = [hidden_size] * NUM_BLOCKS + [2 * settings.width] * NUM_BLOCKS + [hidden_size]
            learns = control.objective is not None
            self._waiting = [zeros(self._train_every, self.cells[-1], size, dtype=kept) for size in sizes if learns]
            self._waiting_mask = zeros(self._train_every, self.cells[-1])
            self._phases = torch.arange(self._train_every, device=device)

    @property
    def memory_bytes(self) -> int:
        """Memory of weights, moments and rows that wait."""
        tensors = [tensor for weight in self._weights for tensor in weight if tensor is not None]
        tensors += [*self._templates, *self._waiting, self._waiting_mask, self._mean]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def reset(self, slot: int) -> None:
        """Make the slot's distiller new; what it was not trained on yet is dropped."""
        for template, (value, mean, mean_square, copy) in zip(self._templates, self._weights, strict=True):
            value[slot].copy_(template)
            mean[slot].zero_()
            mean_square[slot].zero_()
            if copy is not None:
                copy[slot].copy_(template)
        for of_slots in (self._mean, self._num_rows, self._phase, self._num_updates, self._waiting_mask):
            of_slots[slot].zero_()

    def predict(self, x: torch.Tensor, h_last: torch.Tensor, mask: torch.Tensor) -> Predicted:
        """Predict h^L from `x`, both `[S', K', d]`, float32: h¹, normalised if `input_norm` says so.

        Rows whose `mask` `[S', K']` is 1 will be learnt from. Nothing changes: that is left to `train`.
        """
        part, start = len(x), x
        read, gate_ups = [], []
        for gate_up, down in zip(self._weights[0::2], self._weights[1::2], strict=True):
            if self._control.predicts:
                read.append(self._operand(x))
                gate_ups.append(self._times(read[-1], self._operands(gate_up, part).mT))
                x = x + self._times(self._fused.gated(gate_ups[-1], read[-1].dtype), self._operands(down, part).mT)
        from_mean = self._from_mean or not self._control.predicts
        prediction = self._mean[:part] + (x - start) if from_mean else x
        return Predicted(prediction, h_last, mask, [*read, *gate_ups])

    def train(self, predicted: Predicted) -> Learnt:
        """Learn from what `predict` returned, in the slots whose turn it is; then let its rows enter μ."""
        prediction, h_last, mask, activations = predicted
        mean = self._mean[: len(mask)]
        squares = torch.stack([(h_last - one).square().sum(-1) for one in (prediction, mean)], dim=-1)
        squares = torch.where(mask.unsqueeze(-1) > 0, squares, 0.0)
        losses = squares.sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
        num_rows = torch.zeros_like(losses[:, 0])
        if self._control.objective is not None:
            count = mask.sum(1).clamp(min=1).view(-1, 1, 1)
            d_prediction = self._control.objective(prediction, h_last, mask)[1] * count
            num_rows = self._learn(mask, [*activations, torch.where(mask.unsqueeze(-1) > 0, d_prediction, 0.0)])
        # Rows whose length is not finite enter no mean.
        finite = (mask * h_last.square().sum(-1).isfinite()).unsqueeze(-1)
        follow(mean, self._num_rows[: len(mask)], torch.where(finite > 0, h_last, 0.0), finite)
        return Learnt(losses, num_rows)

    def _learn(self, mask: torch.Tensor, lesson: list[torch.Tensor]) -> torch.Tensor:
        """Let rows wait, and learn in the slots whose turn it is; return from how many rows, `[S']`.

        `lesson` is what the backward pass needs: activations, and d_prediction times the number of the slot's rows.
        """
        part, cells = mask.shape
        # Put the rows where each slot's phase says. A slot without a row stays as it is.
        phase, has_rows = self._phase[:part], mask.sum(1) > 0
        here = (phase.unsqueeze(1) == self._phases) & has_rows.unsqueeze(1)  # [S', m]
        for kept, new in zip(self._waiting, lesson, strict=True):
            rows = kept[:part, :, :cells]
            rows.copy_(torch.where(here[:, :, None, None], new.unsqueeze(1).to(kept.dtype), rows))
        waiting = self._waiting_mask[:part, :, :cells]
        waiting.copy_(torch.where(here.unsqueeze(2), mask.unsqueeze(1), waiting))
        phase += has_rows
        due = phase == self._train_every
        # Whose turn it is learns from all of its rows; a gradient that is not finite changes nothing.
        learnt = (waiting * due[:, None, None]).flatten(1)  # [S', m·K']
        num_rows = learnt.sum(1)
        *activations, d_prediction = (kept[:part, :, :cells].flatten(1, 2) for kept in self._waiting)
        share = learnt / num_rows.clamp(min=1).unsqueeze(1)
        terms = self._backward(activations, d_prediction.float() * share.unsqueeze(-1))
        norm = torch.stack([(gram(a) * gram(b)).flatten(1).sum(1) for _, a, b in terms]).sum(0).clamp(min=0).sqrt()
        taken = due & norm.isfinite() & (num_rows > 0)
        updates = self._num_updates[:part]
        updates += taken
        scale = (CLIP_NORM / (norm + 1e-6)).clamp(max=1)
        step = adam_of(taken, scale, updates, rate=self._pace.rate, betas=self._pace.betas)
        for index, deltas, inputs in terms:
            weights = AdamWeights(*(None if one is None else one[:part] for one in self._weights[index]))
            self._fused.adam_step(weights, deltas, inputs, step, betas=self._pace.betas, epsilon=ADAM_EPSILON)
        phase *= ~due
        self._waiting_mask[:part] *= ~due[:, None, None]
        return num_rows

    def _backward(
        self, activations: list[torch.Tensor], d_prediction: torch.Tensor
    ) -> list[tuple[int, torch.Tensor, torch.Tensor]]:
        """Return each weight's gradient, by its number, as a product not yet formed: Σ over the rows delta · inputᵀ."""
        terms, part, d_y = [], len(d_prediction), d_prediction
        for block in reversed(range(NUM_BLOCKS)):
            x, gate_up = activations[block], activations[NUM_BLOCKS + block]
            d_hidden = self._times(d_y, self._operands(self._weights[2 * block + 1], part))
            d_gate_up = self._fused.gated_backward(d_hidden, gate_up)
            hidden = self._fused.gated(gate_up, gate_up.dtype)
            terms += [
                (2 * block + 1, self._operand(d_y), self._operand(hidden)),
                (2 * block, self._operand(d_gate_up), x),
            ]
            if block:  # nothing learns below the first block
                d_y = d_y + self._times(d_gate_up, self._operands(self._weights[2 * block], part))
        return terms

    def _operand(self, x: torch.Tensor) -> torch.Tensor:
        return x.bfloat16() if self._half else x

    def _operands(self, weight: AdamWeights, part: int) -> torch.Tensor:
        return (weight.value if weight.copy is None else weight.copy)[:part]

    def _times(self, x: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
        """Return x `[S', rows, in]` times `[S', in, out]`, float32."""
        x = self._operand(x)
        if not self._half:
            return torch.bmm(x, matrix)
        if x.is_cuda:
            return torch.bmm(x, matrix, out_dtype=torch.float32)
        return torch.bmm(x.float(), matrix.float())


def gram(x: torch.Tensor) -> torch.Tensor:
    """Return x·xᵀ `[S, rows, rows]` of `[S, rows, size]`, float32."""
    return torch.bmm(x.float(), x.float().mT)
