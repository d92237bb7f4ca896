"""The functions of `fused` as Triton kernels, for CUDA. Interpreted on a CPU (TRITON_INTERPRET=1) by their tests.

Everything is said in `fused`: what the functions mean, shapes, how moments are rounded. Rounding is by the same integer
operations as there, so that interpreter, card and torch round alike; sums run in another order.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from tts.plugins.esamp.fused import RMS_EPSILON, AdamStep, AdamWeights, Rows, Taken

TILE_OUT, TILE_IN, TILE_ROWS = 64, 64, 16
"""How much of a weight one program updates, and how many rows it multiplies at a time."""

TILE_WIDTH = 128


def adam_step(
    weights: AdamWeights,
    deltas: torch.Tensor,
    inputs: torch.Tensor,
    step: AdamStep,
    *,
    betas: tuple[float, float],
    epsilon: float,
) -> None:
    """Do as `fused.adam_step`; the weights must be contiguous."""
    value, mean, mean_square, copy = weights
    num_slots, out_size, in_size = value.shape
    grid = (num_slots, triton.cdiv(out_size, TILE_OUT), triton.cdiv(in_size, TILE_IN))
    _adam_step[grid](
        value,
        mean,
        mean_square,
        value if copy is None else copy,
        deltas,
        *deltas.stride(),
        inputs,
        *inputs.stride(),
        *step,
        deltas.shape[1],
        OUT=out_size,
        IN=in_size,
        BETA1=betas[0],
        BETA2=betas[1],
        EPSILON=epsilon,
        HAS_COPY=copy is not None,
        IS_BFLOAT16=mean.dtype == torch.bfloat16,
        PRECISION="tf32" if deltas.dtype == inputs.dtype == torch.bfloat16 and not torch.version.hip else "ieee",
        M=TILE_OUT,
        N=TILE_IN,
        K=TILE_ROWS,
    )


def gated(gate_up: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Do as `fused.gated`."""
    gate_up = gate_up.contiguous()
    width = gate_up.shape[-1] // 2
    hidden = gate_up.new_empty(*gate_up.shape[:-1], width, dtype=dtype)
    grid = (gate_up.numel() // (2 * width), triton.cdiv(width, TILE_WIDTH))
    _gated[grid](gate_up, hidden, width, N=TILE_WIDTH)
    return hidden


def gated_backward(d_hidden: torch.Tensor, gate_up: torch.Tensor) -> torch.Tensor:
    """Do as `fused.gated_backward`."""
    d_hidden, gate_up = d_hidden.contiguous(), gate_up.contiguous()
    width = gate_up.shape[-1] // 2
    d_gate_up = torch.empty_like(gate_up)
    grid = (gate_up.numel() // (2 * width), triton.cdiv(width, TILE_WIDTH))
    _gated_backward[grid](d_hidden, gate_up, d_gate_up, width, N=TILE_WIDTH)
    return d_gate_up


def take_rows(
    rows: Rows, h_first: torch.Tensor, h_last: torch.Tensor, *, slots: int, cells: int, normalise: bool
) -> Taken:
    """Do as `fused.take_rows`: one launch, after the cells were emptied."""
    (num_rows, size), num_cells = h_last.shape, slots * cells
    numbers = {"dtype": torch.float32, "device": h_last.device}
    # One memory for all, so that it is emptied at once.
    memory = torch.zeros(num_cells * (2 * size + 1), **numbers)
    into_first, into_last, mask = memory.split([num_cells * size, num_cells * size, num_cells])
    place = torch.empty(num_rows, dtype=torch.int64, device=h_last.device)
    taken = Taken(
        into_first.view(slots, cells, size), into_last.view(slots, cells, size), mask.view(slots, cells), place
    )
    _take_rows[(num_rows,)](
        *rows[1:-1], h_first, h_first.stride(0), h_last, h_last.stride(0), *taken, slots, cells, size,
        EPSILON=RMS_EPSILON, NORMALISE=normalise, N=triton.next_power_of_2(size),
    )  # fmt: skip
    return taken


def mix_rows(
    rows: Rows, h_last: torch.Tensor, prediction: torch.Tensor, place: torch.Tensor, figures: torch.Tensor
) -> torch.Tensor:
    """Do as `fused.mix_rows`, in one launch."""
    num_rows, size = h_last.shape
    mixed, prediction = torch.empty_like(h_last, memory_format=torch.contiguous_format), prediction.contiguous()
    num_cells = prediction.shape[0] * prediction.shape[1]
    _mix_rows[(num_rows,)](
        rows.member, rows.new, rows.beta, h_last, h_last.stride(0), prediction, place, mixed, figures,
        figures.stride(0), num_cells, size, N=triton.next_power_of_2(size),
    )  # fmt: skip
    return mixed


@triton.jit
def _rounding_noise(place, num_updates):
    bits = place.to(tl.uint32) * 0x9E3779B1 + num_updates.to(tl.uint32) * 0x85EBCA77
    bits = (bits ^ (bits >> 16)) * 0x7FEB352D
    bits = (bits ^ (bits >> 15)) * 0x846CA68B
    return bits ^ (bits >> 16)


@triton.jit
def _rounded(x, noise):
    return ((x.to(tl.int32, bitcast=True) + noise.to(tl.int32)) & -0x10000).to(tl.float32, bitcast=True)


@triton.jit
def _to_nearest(x):
    """Round to the nearest bfloat16, ties to even; by hand, since the interpreter cuts off."""
    bits = x.to(tl.int32, bitcast=True)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & -0x10000).to(tl.float32, bitcast=True)


@triton.jit
def _adam_step(
    value, mean, mean_square, copy,
    deltas, delta_slot, delta_row, delta_out,
    inputs, input_slot, input_row, input_in,
    taken, scale, size, root, num_updates, num_rows,
    OUT: tl.constexpr, IN: tl.constexpr, BETA1: tl.constexpr, BETA2: tl.constexpr, EPSILON: tl.constexpr,
    HAS_COPY: tl.constexpr, IS_BFLOAT16: tl.constexpr, PRECISION: tl.constexpr,
    M: tl.constexpr, N: tl.constexpr, K: tl.constexpr,
):  # fmt: skip
    """Update the tile [M, N] of one slot's weight. A slot that takes no step costs its flag."""
    slot = tl.program_id(0).to(tl.int64)
    if tl.load(taken + slot) == 0:
        return
    out = tl.program_id(1) * M + tl.arange(0, M)
    into = tl.program_id(2) * N + tl.arange(0, N)
    # The tile's gradient.
    gradient = tl.zeros((M, N), dtype=tl.float32)
    for start in range(0, num_rows, K):
        row = start + tl.arange(0, K)
        there = row < num_rows
        at = deltas + slot * delta_slot + row[None, :] * delta_row + out[:, None] * delta_out
        delta = tl.load(at, mask=there[None, :] & (out < OUT)[:, None], other=0.0)
        at = inputs + slot * input_slot + row[:, None] * input_row + into[None, :] * input_in
        read = tl.load(at, mask=there[:, None] & (into < IN)[None, :], other=0.0)
        # A bfloat16 is a TF32 number; the interpreter multiplies no bfloat16.
        gradient += tl.dot(delta.to(tl.float32), read.to(tl.float32), input_precision=PRECISION)
    gradient *= tl.load(scale + slot)
    # Adam.
    place = out[:, None] * IN + into[None, :]
    at = slot * OUT * IN + place
    inside = (out < OUT)[:, None] & (into < IN)[None, :]
    m = BETA1 * tl.load(mean + at, mask=inside, other=0.0).to(tl.float32) + (1 - BETA1) * gradient
    v = BETA2 * tl.load(mean_square + at, mask=inside, other=0.0).to(tl.float32) + (1 - BETA2) * gradient * gradient
    moved = tl.load(size + slot) * m / (tl.sqrt(v) * tl.load(root + slot) + EPSILON)
    w = tl.load(value + at, mask=inside, other=0.0) - moved
    if IS_BFLOAT16:
        noise = _rounding_noise(place, tl.load(num_updates + slot).to(tl.int32))
        m = _rounded(m, noise & 0xFFFF)
        v = _rounded(v, noise >> 16)
    tl.store(mean + at, m.to(mean.dtype.element_ty), mask=inside)
    tl.store(mean_square + at, v.to(mean_square.dtype.element_ty), mask=inside)
    tl.store(value + at, w, mask=inside)
    if HAS_COPY:
        tl.store(copy + at, _to_nearest(w).to(copy.dtype.element_ty), mask=inside)


@triton.jit
def _gated(gate_up, hidden, width, N: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * N + tl.arange(0, N)
    inside = column < width
    gate = tl.load(gate_up + row * 2 * width + column, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(gate_up + row * 2 * width + width + column, mask=inside, other=0.0).to(tl.float32)
    opened = gate * tl.sigmoid(gate) * up
    if hidden.dtype.element_ty == tl.bfloat16:
        opened = _to_nearest(opened)
    tl.store(hidden + row * width + column, opened.to(hidden.dtype.element_ty), mask=inside)


@triton.jit
def _gated_backward(d_hidden, gate_up, d_gate_up, width, N: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * N + tl.arange(0, N)
    inside = column < width
    gate = tl.load(gate_up + row * 2 * width + column, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(gate_up + row * 2 * width + width + column, mask=inside, other=0.0).to(tl.float32)
    d = tl.load(d_hidden + row * width + column, mask=inside, other=0.0).to(tl.float32)
    open_part = tl.sigmoid(gate)
    d_gate = d * up * open_part * (1 + gate * (1 - open_part))
    d_up = d * gate * open_part
    if d_gate_up.dtype.element_ty == tl.bfloat16:
        d_gate = _to_nearest(d_gate)
        d_up = _to_nearest(d_up)
    tl.store(d_gate_up + row * 2 * width + column, d_gate.to(d_gate_up.dtype.element_ty), mask=inside)
    tl.store(d_gate_up + row * 2 * width + width + column, d_up.to(d_gate_up.dtype.element_ty), mask=inside)


@triton.jit
def _take_rows(
    live, new, position, first, slot, cell,
    h_first, first_row, h_last, last_row,
    into_first, into_last, mask, place,
    slots, cells, size, EPSILON: tl.constexpr, NORMALISE: tl.constexpr, N: tl.constexpr,
):  # fmt: skip
    """Put one row where it belongs."""
    row = tl.program_id(0).to(tl.int64)
    s = tl.load(slot + row)
    k = tl.load(cell + row)
    due = (tl.load(live + row) != 0) & (tl.load(position + row) >= tl.load(first + row))
    here = due & (s >= 0) & (s < slots) & (k < cells)
    at = tl.where(here, s * cells + k, slots * cells + (due & (s < 0)).to(tl.int64))
    tl.store(place + row, at)
    if here:
        column = tl.arange(0, N)
        inside = column < size
        x = tl.load(h_first + row * first_row + column, mask=inside, other=0.0).to(tl.float32)
        if NORMALISE:
            x = x / tl.sqrt(tl.sum(x * x) / size + EPSILON)
        y = tl.load(h_last + row * last_row + column, mask=inside, other=0.0).to(tl.float32)
        tl.store(into_first + at * size + column, x, mask=inside)
        tl.store(into_last + at * size + column, y, mask=inside)
        tl.store(mask + at, tl.load(new + row).to(tl.float32))


@triton.jit
def _mix_rows(
    member, new, beta, h_last, last_row, prediction, place, mixed, figures, line, num_cells, size, N: tl.constexpr
):
    """Mix one row, and count it in its member's line: novelty, new, guided, without a slot."""
    row = tl.program_id(0).to(tl.int64)
    at = tl.load(place + row)
    here = at < num_cells
    column = tl.arange(0, N)
    inside = column < size
    unmixed = tl.load(h_last + row * last_row + column, mask=inside, other=0.0)
    y = unmixed.to(tl.float32)
    read = tl.minimum(at, num_cells - 1)
    error = y - tl.load(prediction + read * size + column, mask=inside, other=0.0).to(tl.float32)
    b = tl.load(beta + row)
    moved = y + b * error
    if mixed.dtype.element_ty == tl.bfloat16:
        moved = _to_nearest(moved)
    guided = here & (b != 0)
    tl.store(mixed + row * size + column, tl.where(guided, moved.to(mixed.dtype.element_ty), unmixed), mask=inside)
    if tl.load(new + row) != 0:
        of_member = figures + tl.load(member + row) * line
        if here:
            novelty = tl.sqrt(tl.sum(error * error)) / tl.maximum(tl.sqrt(tl.sum(y * y)), 1e-12)
            finite = novelty < float("inf")  # and a number
            tl.store(of_member, tl.load(of_member) + tl.where(finite, novelty, 0.0).to(tl.float64))
            tl.store(of_member + 1, tl.load(of_member + 1) + 1)
            tl.store(of_member + 2, tl.load(of_member + 2) + guided.to(tl.float64))
        if at > num_cells:
            tl.store(of_member + 3, tl.load(of_member + 3) + 1)
