"""Each kernel against its torch twin. `test_esamp_kernels` runs this file in a process of its own, where Triton is
interpreted on a CPU, or on a card. Hypothesis draws sizes that fill no tile."""

from __future__ import annotations

import os

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tts.plugins.esamp import fused, fused_triton
from tts.plugins.esamp.device_core import DeviceCore, DeviceRows
from tts.plugins.esamp.fused import AdamStep, AdamWeights, Rows, adam_of
from tts.plugins.esamp.settings import ESampSettings

DEVICE = os.environ.get("TTS_KERNEL_DEVICE", "cpu")
BETAS = (0.9, 0.999)
FEW = settings(derandomize=True, max_examples=4, deadline=None)
SIZES = st.tuples(st.integers(1, 3), st.integers(1, 21), st.integers(1, 70), st.integers(1, 70))


def random(*shape: int, seed: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype).to(DEVICE)


def weights_of(shape: tuple[int, ...], moments: torch.dtype) -> AdamWeights:
    value = random(*shape, seed=0)
    mean, mean_square = (torch.zeros(shape, dtype=moments, device=DEVICE) for _ in range(2))
    return AdamWeights(value, mean, mean_square, value.bfloat16() if moments == torch.bfloat16 else None)


def step_of(num_slots: int, t: int, taken: torch.Tensor) -> AdamStep:
    scale, updates = torch.linspace(0.5, 1, num_slots, device=DEVICE), torch.full((num_slots,), float(t), device=DEVICE)
    return adam_of(taken, scale, updates, rate=1e-3, betas=BETAS)


@FEW
@given(SIZES, st.sampled_from([torch.float32, torch.bfloat16]), st.booleans())
def test_a_step_of_adam(sizes, dtype, in_columns):
    num_slots, num_rows, out_size, in_size = sizes
    mine, theirs = (weights_of((num_slots, out_size, in_size), dtype) for _ in range(2))
    start, largest = mine.value.clone(), 0.0
    for t in range(1, 6):
        deltas = random(num_slots, num_rows, out_size, seed=t, dtype=dtype) * 0.01
        inputs = random(num_slots, num_rows, in_size, seed=100 + t, dtype=dtype)
        if in_columns:  # as the bank lays them out: [S, d, K]
            deltas, inputs = (one.mT.contiguous().mT for one in (deltas, inputs))
        taken = torch.arange(num_slots, device=DEVICE) % 3 != (t + 1) % 3
        taken[0] = num_slots > 1 or t < 4  # the first slot always goes
        step = step_of(num_slots, t, taken)
        before = [None if one is None else one.clone() for one in mine]
        fused_triton.adam_step(mine, deltas, inputs, step, betas=BETAS, epsilon=1e-4)
        fused.adam_step(theirs, deltas, inputs, step, betas=BETAS, epsilon=1e-4)
        for now, was in zip(mine, before, strict=True):
            assert now is None or torch.equal(now[~taken], was[~taken]), "a slot that takes no step must stay"
        largest = max(largest, (theirs.value - start).abs().max().item())
        # A sum in another order may be rounded the other way: one bfloat16 step.
        close = {"rtol": 2**-7, "atol": 1e-12} if dtype == torch.bfloat16 else {"rtol": 1e-4, "atol": 1e-9}
        for ours, other in zip(mine[1:3], theirs[1:3], strict=True):
            scale = other.float().abs().max().item()
            torch.testing.assert_close(ours, other, rtol=close["rtol"], atol=close["atol"] + scale * 1e-4)
        torch.testing.assert_close(mine.value, theirs.value, rtol=1e-6, atol=1e-2 * largest)
        if mine.copy is not None:
            assert torch.equal(mine.copy[taken], mine.value.bfloat16()[taken])


def test_a_slots_number_changes_nothing():
    weights = weights_of((3, 70, 65), torch.bfloat16)
    for one in weights:
        one[1:] = one[0].clone()
    deltas, inputs = random(1, 9, 70, seed=1).expand(3, -1, -1), random(1, 9, 65, seed=2).expand(3, -1, -1)
    step = step_of(3, 4, torch.tensor([True] * 3, device=DEVICE))._replace(scale=torch.full((3,), 0.5, device=DEVICE))
    fused_triton.adam_step(weights, deltas, inputs, step, betas=BETAS, epsilon=1e-4)
    for one in weights:
        assert torch.equal(one[0], one[1])
        assert torch.equal(one[0], one[2])


@FEW
@given(SIZES, st.sampled_from([torch.float32, torch.bfloat16]))
def test_the_gate_and_its_gradient(sizes, dtype):
    num_slots, num_rows, width, _ = sizes
    gate_up = random(num_slots, num_rows, 2 * width, seed=1, dtype=dtype) * 3
    d_hidden = random(num_slots, num_rows, width, seed=2, dtype=dtype)
    tolerance = {"rtol": 2**-7, "atol": 1e-6} if dtype == torch.bfloat16 else {"rtol": 2e-6, "atol": 2e-6}
    for kind in (torch.float32, torch.bfloat16):
        within = tolerance if kind == dtype else {"rtol": 2**-7, "atol": 1e-6}
        torch.testing.assert_close(fused_triton.gated(gate_up, kind), fused.gated(gate_up, kind), **within)
    torch.testing.assert_close(
        fused_triton.gated_backward(d_hidden, gate_up), fused.gated_backward(d_hidden, gate_up), **tolerance
    )


def rows_of(num_rows: int, slots: int, cells: int, seed: int) -> Rows:
    """Rows in cells of their own, some ended, some before their first position, some without a slot or beyond."""
    generator = torch.Generator().manual_seed(seed)
    places = torch.randperm((slots + 1) * (cells + 2), generator=generator)[:num_rows]
    flags = torch.rand(2, num_rows, generator=generator) < 0.8
    slot = places // (cells + 2) - (torch.rand(num_rows, generator=generator) < 0.1).long() * 100
    beta = torch.rand(num_rows, generator=generator) * (torch.rand(num_rows, generator=generator) < 0.7)
    position = torch.randint(3, 9, (num_rows,), generator=generator)
    rows = (flags[0], flags[1], position, torch.full_like(position, 4), slot, places % (cells + 2), beta)
    return Rows(*(one.to(DEVICE) for one in (torch.randperm(20)[:num_rows], *rows)))


@FEW
@given(
    st.tuples(st.integers(1, 9), st.integers(1, 3), st.integers(1, 6), st.integers(1, 70)),
    st.booleans(), st.integers(0, 999), st.sampled_from([torch.float32, torch.bfloat16]),
)  # fmt: skip
def test_rows_go_into_their_cells_and_come_back_mixed(sizes, normalise, seed, dtype):
    num_rows, slots, cells, size = sizes
    rows = rows_of(min(num_rows, (slots + 1) * (cells + 2)), slots, cells, seed)
    num_rows = len(rows.slot)
    h_first, wide = random(num_rows, size, seed=1, dtype=dtype), random(num_rows, 2 * size, seed=2, dtype=dtype)
    h_last = wide[:, :size]  # as a part of something wider
    keys = {"slots": slots, "cells": cells, "normalise": normalise}
    mine, theirs = (module.take_rows(rows, h_first, h_last, **keys) for module in (fused_triton, fused))
    assert torch.equal(mine.place, theirs.place)
    assert torch.equal(mine.mask, theirs.mask)
    assert torch.equal(mine.h_last, theirs.h_last)
    torch.testing.assert_close(mine.h_first, theirs.h_first, rtol=1e-5, atol=1e-6)
    prediction = random(slots, cells, size, seed=3)
    mine_counted, counted = (torch.ones(20, 6, dtype=torch.float64, device=DEVICE) for _ in range(2))
    mixed = fused_triton.mix_rows(rows, h_last, prediction, theirs.place, mine_counted)
    expected = fused.mix_rows(rows, h_last, prediction, theirs.place, counted)
    tolerance = {"rtol": 2**-7, "atol": 1e-6} if dtype == torch.bfloat16 else {"rtol": 1e-5, "atol": 1e-6}
    torch.testing.assert_close(mixed, expected, **tolerance)
    torch.testing.assert_close(mine_counted, counted, rtol=1e-5, atol=1e-6)
    still = (theirs.place >= slots * cells) | (rows.beta == 0)
    assert torch.equal(mixed[still], h_last[still])


@pytest.mark.parametrize(("half", "train_every"), [(False, 1), (True, 2)])
def test_a_whole_core_by_kernels_is_the_core_by_torch(half, train_every):
    settings = ESampSettings(num_slots=2, width=24, train_every=train_every)
    cores = [
        DeviceCore(settings, 40, num_members=6, max_rows=4, device=torch.device(DEVICE), half=half) for _ in range(2)
    ]
    for core, module in zip(cores, (fused_triton, fused), strict=True):
        core._fused = core.grid._fused = module
    [seats, _] = [[core.join(str(i), i, f"group {i // 3}", 3) for i in range(6)] for core in cores]
    numbers = {"member": range(6), "slot": [seat.slot for seat in seats], "cell": [seat.cell for seat in seats]}
    given = {name: torch.tensor(list(of), device=DEVICE) for name, of in numbers.items()}
    beta = torch.tensor([0.25, 0.0, 3.0] * 2, device=DEVICE)
    first, seed = torch.full((6,), 4, device=DEVICE), torch.zeros(6, dtype=torch.long, device=DEVICE)
    for position in range(3, 9):
        at = torch.tensor([position] * 5 + [2], device=DEVICE)  # the last one still reads its prompt
        live = torch.tensor([True] * 4 + [position % 2 == 0, True], device=DEVICE)
        rows = DeviceRows(position=at, live=live, new=at > 4, beta=beta, first=first, seed=seed, **given)
        states = [random(6, 40, seed=10 * position + one, dtype=torch.bfloat16) for one in range(2)]
        mixed = []
        for core in cores:
            new, predicted = core.predict(core.size, rows, *states)
            core.train(predicted)
            mixed.append(new)
        torch.testing.assert_close(mixed[0], mixed[1], rtol=2**-7, atol=2**-6 if half else 1e-3)
        assert torch.equal(mixed[0][[1, 5]], states[1][[1, 5]])
    torch.testing.assert_close(cores[0]._of_members, cores[1]._of_members, rtol=1e-3, atol=1e-3)
    assert cores[0]._of_members[0, 1] >= 4


@pytest.mark.skipif(DEVICE != "cpu", reason="what the interpreter is asked for")
def test_triton_is_interpreted_here():
    assert os.environ["TRITON_INTERPRET"] == "1"


def compiled(kernel, types: dict[str, str], **constants) -> int:
    """Compile a kernel for a card that need not be there; return how much machine code came of it."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    signature = {one.name: types.get(one.name, "constexpr") for one in kernel.params}
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
    return len(triton.compile(source, target=GPUTarget("cuda", 90, 32)).asm["cubin"])


@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="the interpreter compiles nothing")
@pytest.mark.parametrize("moments", ["*fp32", "*bf16"])
def test_each_kernel_compiles_for_a_hopper_card(moments):
    is_bfloat16 = moments == "*bf16"
    types = dict.fromkeys(("value", "scale", "size", "root", "num_updates"), "*fp32") | {"taken": "*i1"}
    types |= dict.fromkeys(("mean", "mean_square", "copy", "deltas", "inputs"), moments)
    types |= dict.fromkeys(("delta_slot", "delta_row", "delta_out", "input_slot", "input_row", "input_in"), "i32")
    sizes = {"OUT": 768, "IN": 3584, "BETA1": 0.9, "BETA2": 0.999, "EPSILON": 1e-4, "M": 64, "N": 64, "K": 16}
    flags = {"HAS_COPY": is_bfloat16, "IS_BFLOAT16": is_bfloat16, "PRECISION": "tf32" if is_bfloat16 else "ieee"}
    assert compiled(fused_triton._adam_step, types | {"num_rows": "i32"}, **sizes, **flags)
    types = dict.fromkeys(("gate_up", "hidden", "d_hidden", "d_gate_up"), moments) | {"width": "i32"}
    assert compiled(fused_triton._gated, types, N=128)
    assert compiled(fused_triton._gated_backward, types, N=128)
    types |= dict.fromkeys(("live", "new"), "*i1") | dict.fromkeys(("beta", "prediction"), "*fp32")
    types |= dict.fromkeys(("member", "position", "first", "slot", "cell", "place"), "*i64") | {"figures": "*fp64"}
    types |= dict.fromkeys(("into_first", "into_last", "mask"), "*fp32")
    types |= dict.fromkeys(("h_first", "h_last", "mixed"), moments)
    types |= dict.fromkeys(("first_row", "last_row", "slots", "cells", "size", "num_cells", "line"), "i32")
    assert compiled(fused_triton._take_rows, types, EPSILON=1e-6, NORMALISE=True, N=4096)
    assert compiled(fused_triton._mix_rows, types, N=4096)
