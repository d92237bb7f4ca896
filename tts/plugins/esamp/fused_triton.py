"""The functions of `fused` as Triton kernels, for CUDA. Interpreted on a CPU (TRITON_INTERPRET=1) by their tests.

Everything is said in `fused`: what the functions mean, shapes, how moments are rounded. Rounding is by the same integer
operations as there, so that interpreter, card and torch round alike; sums run in another order.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from tts.plugins.esamp.fused import AdamStep, AdamWeights

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
    size, root = step.corrected(betas)
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
        step.taken,
        step.scale,
        size,
        root,
        step.num_updates,
        deltas.shape[1],
        OUT=out_size,
        IN=in_size,
        BETA1=betas[0],
        BETA2=betas[1],
        EPSILON=epsilon,
        HAS_COPY=copy is not None,
        IS_BFLOAT16=mean.dtype == torch.bfloat16,
        PRECISION="tf32" if deltas.dtype == inputs.dtype == torch.bfloat16 else "ieee",
        M=TILE_OUT,
        N=TILE_IN,
        K=TILE_ROWS,
    )


def gated(gate_up: torch.Tensor) -> torch.Tensor:
    """Do as `fused.gated`; `gate_up` must be contiguous."""
    width = gate_up.shape[-1] // 2
    hidden = gate_up.new_empty(*gate_up.shape[:-1], width)
    grid = (gate_up.numel() // (2 * width), triton.cdiv(width, TILE_WIDTH))
    _gated[grid](gate_up, hidden, width, N=TILE_WIDTH)
    return hidden


def gated_backward(d_hidden: torch.Tensor, gate_up: torch.Tensor) -> torch.Tensor:
    """Do as `fused.gated_backward`; both must be contiguous."""
    width = gate_up.shape[-1] // 2
    d_gate_up = torch.empty_like(gate_up)
    grid = (gate_up.numel() // (2 * width), triton.cdiv(width, TILE_WIDTH))
    _gated_backward[grid](d_hidden, gate_up, d_gate_up, width, N=TILE_WIDTH)
    return d_gate_up


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
