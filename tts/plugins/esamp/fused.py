"""The steps of a training that move memory more than they compute, each in one piece: what runs without Triton.

`fused_for(device)` returns this module, or `fused_triton`, which offers the same functions as one kernel each. Here
they are plain torch: the meaning of the kernels, and what the tests hold them to.

How it works. A distiller's update at 7B reads and writes 8 million numbers three times over, and little is computed
with them. So what costs is bytes:

- `adam_step` forms the gradient deltasᵀ · inputs tile by tile, where Adam uses it up at once: it never is in memory.
- Moments may be bfloat16. They are rounded at random, up or down in proportion to what is lost, so that their mean is
  right. Rounding to the nearest would not do: β₂ = 0.999 moves a mean square by a thousandth of what is missing, and
  half a step of bfloat16 is more than that, so with gradients of one size it would stand still at a quarter of their
  square, which doubles the learning rate, and it would never follow gradients that shrink. "Random" is a hash of the
  weight's place and the number of the update: a run repeats exactly, and a slot's number means nothing.
- The weights stay float32, for an update is far below a bfloat16's last digit; a bfloat16 copy is for the products.

S slots, K rows each; a row of deltas that is all zeros teaches nothing.
"""

from __future__ import annotations

import math
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import NamedTuple

import torch
from torch.nn.functional import silu

LOW_WORD = 0xFFFFFFFF
RMS_EPSILON = 1e-6


class AdamWeights(NamedTuple):
    """One weight of S slots, with Adam's moments; each `[S, out, in]`."""

    value: torch.Tensor  # float32
    mean: torch.Tensor  # float32 or bfloat16
    mean_square: torch.Tensor  # as `mean`
    copy: torch.Tensor | None = None  # the value in bfloat16


class AdamStep(NamedTuple):
    """How far each slot goes; each `[S]`, on the weights' device. One is made for all weights: see `adam_of`."""

    taken: torch.Tensor  # bool; a slot that takes no step stays as it is, bit for bit
    scale: torch.Tensor  # what the gradient is multiplied by: it clips
    size: torch.Tensor  # the rate over 1 − β₁ᵗ: Adam's correction of the mean
    root: torch.Tensor  # 1 over √(1 − β₂ᵗ): that of the mean square
    num_updates: torch.Tensor  # t, this one counted


ROW_FIGURES = ("novelty", "num_new", "num_guided", "num_without_slot")
"""What `mix_rows` counts: the sum of ‖h^L − ĥ‖ / ‖h^L‖ where it is finite, and rows."""


class Rows(NamedTuple):
    """The rows of a step, each `[n]`, on the device."""

    member: torch.Tensor  # int64, whose figures it is counted to
    live: torch.Tensor  # bool: it draws a token, and its request has not ended
    new: torch.Tensor  # bool: no row of its request had this position before
    position: torch.Tensor  # int64
    first: torch.Tensor  # int64, the first position that takes part
    slot: torch.Tensor  # int64, below 0: it has none
    cell: torch.Tensor  # int64
    beta: torch.Tensor  # float32


class Taken(NamedTuple):
    """The rows in their cells, and where each went: slot · cells + cell, the number of cells where it takes no part,
    and one more where it would, but has no slot."""

    h_first: torch.Tensor  # [S', K', d] float32, normalised if asked for
    h_last: torch.Tensor  # [S', K', d] float32
    mask: torch.Tensor  # [S', K'], 1 where there is a row that is new
    place: torch.Tensor  # [n], int64


def fused_for(device: torch.device) -> ModuleType:
    """Return the module whose functions are the quickest on the device: kernels on CUDA with Triton, else these."""
    name = "fused_triton" if device.type == "cuda" and find_spec("triton") is not None else "fused"
    return import_module(f"tts.plugins.esamp.{name}")


def adam_of(
    taken: torch.Tensor, scale: torch.Tensor, num_updates: torch.Tensor, *, rate: float, betas: tuple[float, float]
) -> AdamStep:
    """Return the step at Adam's learning rate `rate` and decay rates `betas`."""
    t = num_updates.double().clamp(min=1)
    left1, left2 = (-torch.expm1(t * math.log(beta)) if beta else torch.ones_like(t) for beta in betas)
    return AdamStep(taken, scale, (rate / left1).float(), left2.rsqrt().float(), num_updates)


def adam_step(
    weights: AdamWeights,
    deltas: torch.Tensor,
    inputs: torch.Tensor,
    step: AdamStep,
    *,
    betas: tuple[float, float],
    epsilon: float,
) -> None:
    """Take a step of Adam, in place, with the gradient Σ over the rows of delta · inputᵀ.

    `deltas` `[S, K, out]` and `inputs` `[S, K, in]` may have any strides, and be float32 or bfloat16.
    """
    value, mean, mean_square, copy = weights
    beta1, beta2 = betas
    size, root = (one.view(-1, 1, 1) for one in (step.size, step.root))
    gradient = torch.bmm(deltas.mT.float(), inputs.float()) * step.scale.view(-1, 1, 1)
    new_mean = beta1 * mean.float() + (1 - beta1) * gradient
    new_square = beta2 * mean_square.float() + (1 - beta2) * gradient.square()
    new_value = value - size * new_mean / (new_square.sqrt() * root + epsilon)
    if mean.dtype == torch.bfloat16:
        noise = rounding_noise(value[0].numel(), step.num_updates).view(value.shape)
        new_mean, new_square = rounded(new_mean, noise & 0xFFFF), rounded(new_square, noise >> 16)
    taken = step.taken.view(-1, 1, 1)
    for old, new in ((value, new_value), (mean, new_mean), (mean_square, new_square)):
        old.copy_(torch.where(taken, new, old))
    if copy is not None:
        copy.copy_(torch.where(taken, new_value, copy))


def rounding_noise(size: int, num_updates: torch.Tensor) -> torch.Tensor:
    """Return 32 bits for each of `size` places at each slot's update, `[S, size]`, int64: an integer hash of both."""
    place = torch.arange(size, device=num_updates.device)
    return hashed(place * 0x9E3779B1 + num_updates.long().unsqueeze(1) * 0x85EBCA77)


def hashed(bits: torch.Tensor) -> torch.Tensor:
    """Return 32 bits, int64, in which each of the lowest 32 bits of `bits`, int64, shows."""
    bits = bits & LOW_WORD
    bits = ((bits ^ (bits >> 16)) * 0x7FEB352D) & LOW_WORD
    bits = ((bits ^ (bits >> 15)) * 0x846CA68B) & LOW_WORD
    return bits ^ (bits >> 16)


def rounded(x: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Return x as a number that bfloat16 has: away from 0 if `noise`, 0 to 65535, reaches over what is cut off."""
    return ((x.view(torch.int32) + noise.int()) & -0x10000).view(torch.float32)


def gated(gate_up: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return silu(gate) ⊙ up `[…, w]` of W_gate x beside W_up x `[…, 2w]`, as this float type."""
    gate, up = gate_up.float().chunk(2, dim=-1)
    return (silu(gate) * up).to(dtype)


def gated_backward(d_hidden: torch.Tensor, gate_up: torch.Tensor) -> torch.Tensor:
    """Return the gradient `[…, 2w]` with respect to `gate_up`, of its type, given that of `gated`'s result `[…, w]`."""
    gate, up = gate_up.float().chunk(2, dim=-1)
    d_gate = torch.ops.aten.silu_backward(d_hidden.float() * up, gate)
    return torch.cat([d_gate, d_hidden.float() * silu(gate)], dim=-1).to(gate_up.dtype)


def take_rows(
    rows: Rows, h_first: torch.Tensor, h_last: torch.Tensor, *, slots: int, cells: int, normalise: bool
) -> Taken:
    """Put the rows of h¹ and h^L, `[n, d]`, into the first `cells` cells of the first `slots` slots; others are zeros.

    A row takes part if it is live, at its first position or behind, and has a cell there. `normalise`: h¹ is scaled to
    a root mean square of 1. No two rows have one cell.
    """
    due = rows.live & (rows.position >= rows.first)
    here = due & (rows.slot >= 0) & (rows.slot < slots) & (rows.cell < cells)
    place = torch.where(here, rows.slot * cells + rows.cell, slots * cells + (due & (rows.slot < 0)).long())

    def in_cells(values: torch.Tensor) -> torch.Tensor:
        found = values.new_zeros(slots * cells + 2, values.shape[1])
        found.index_copy_(0, place, torch.where(here.unsqueeze(1), values, 0))
        return found[: slots * cells].view(slots, cells, -1)

    read = h_first.float()
    if normalise:
        read = read * torch.rsqrt(read.square().mean(-1, keepdim=True) + RMS_EPSILON)
    mask = in_cells((here & rows.new).float().unsqueeze(1)).squeeze(2)
    return Taken(in_cells(read), in_cells(h_last.float()), mask, place)


def mix_rows(
    rows: Rows, h_last: torch.Tensor, prediction: torch.Tensor, place: torch.Tensor, figures: torch.Tensor
) -> torch.Tensor:
    """Return h^L + β·(h^L − ĥ) `[n, d]` in h^L's type; a row without a cell, or with a β of 0, bit for bit.

    `prediction` is ĥ in all cells `[S', K', d]`, `place` from `take_rows`. A row that is new is counted in its member's
    line of `figures` `[members, ROW_FIGURES or more]`, float64; no two rows that take part are of one member.
    """
    cells, reference = prediction.flatten(0, 1), h_last.float()
    here = place < len(cells)
    error = reference - cells.index_select(0, place.clamp(max=len(cells) - 1))
    guided = here & (rows.beta != 0)
    moved = (reference + rows.beta.unsqueeze(1) * error).to(h_last.dtype)
    count_rows(rows, place, len(cells), error.norm(dim=1) / reference.norm(dim=1).clamp(min=1e-12), figures)
    return torch.where(guided.unsqueeze(1), moved, h_last)


def count_rows(rows: Rows, place: torch.Tensor, num_cells: int, novelty: torch.Tensor, figures: torch.Tensor) -> None:
    """Add what each row that is new did to its member's line: see ROW_FIGURES."""
    new = rows.new & (place < num_cells)
    counted = [
        torch.where(new & novelty.isfinite(), novelty, 0.0),
        new,
        new & (rows.beta != 0),
        rows.new & (place > num_cells),
    ]
    figures[:, : len(ROW_FIGURES)].index_add_(0, rows.member, torch.stack([one.double() for one in counted], dim=1))
