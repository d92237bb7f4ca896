"""What runs as one kernel on a card: the torch twins by arithmetic of their own, the kernels against the twins."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the hf extra")

from tts.plugins.esamp.fused import (  # noqa: E402  # after the skip
    AdamWeights,
    Rows,
    adam_of,
    adam_step,
    fused_for,
    gated,
    gated_backward,
    mix_rows,
    rounded,
    rounding_noise,
    take_rows,
)

BETAS = (0.9, 0.999)
needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="needs triton (make test-vllm installs it)")


def checks(only: str = "", **environment: str) -> None:
    """Run the kernels' own checks in a process of their own: Triton decides when it is imported what it is."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "--override-ini"]
    command += ["filterwarnings=default", "-k", only, str(Path(__file__).with_name("kernel_checks.py"))]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


@needs_triton
def test_the_kernels_say_what_torch_says_interpreted():
    checks(TRITON_INTERPRET="1")


@needs_triton
def test_the_kernels_compile_for_a_card_that_is_not_here():
    checks("compiles", TRITON_INTERPRET="0")


@needs_triton
@pytest.mark.gpu
def test_the_kernels_say_what_torch_says_on_a_card():
    checks(TTS_KERNEL_DEVICE="cuda")


def test_on_a_cpu_torch_does_it():
    assert fused_for(torch.device("cpu")).__name__ == "tts.plugins.esamp.fused"


def updated(moments: torch.dtype, num_updates: int) -> tuple[AdamWeights, torch.Tensor]:
    """One weight after updates by gradients of 1 or −1, and torch's own mean square after the same, in float32."""
    generator = torch.Generator().manual_seed(0)
    shape = (1, 24, 16)
    weights = AdamWeights(torch.zeros(shape), *(torch.zeros(shape, dtype=moments) for _ in range(2)))
    twin = torch.zeros(shape[1:], requires_grad=True)
    adam = torch.optim.Adam([twin], lr=1e-3, betas=BETAS, eps=1e-4)
    one = torch.ones(1)
    for t in range(1, num_updates + 1):
        gradient = torch.randn(shape[1:], generator=generator).sign()
        eye = torch.eye(24).unsqueeze(0)  # rows as many as outputs: deltas · inputs is the gradient itself
        step = adam_of(torch.tensor([True]), one, one * t, rate=1e-3, betas=BETAS)
        adam_step(weights, eye, gradient.unsqueeze(0), step, betas=BETAS, epsilon=1e-4)
        twin.grad = gradient
        adam.step()
    return weights, adam.state[twin]["exp_avg_sq"]


def test_float32_moments_are_torchs_adam():
    weights, mean_square = updated(torch.float32, 20)
    torch.testing.assert_close(weights.mean_square[0], mean_square)


def test_bfloat16_mean_squares_go_on_growing():
    # By hand: after 1500 updates v = 1 − 0.999^1500 = 0.777. Rounded to the nearest it stands still at 0.25, where a
    # thousandth of 1 − v is less than half a step of bfloat16, 2⁻¹⁰.
    weights, mean_square = updated(torch.bfloat16, 1500)
    torch.testing.assert_close(mean_square, torch.full_like(mean_square, 0.777), rtol=0, atol=1e-3)
    assert weights.mean_square.float().mean().item() == pytest.approx(0.777, abs=0.01)
    nearest = torch.zeros((), dtype=torch.bfloat16)
    for _ in range(1500):
        nearest = (0.999 * nearest.float() + 0.001).bfloat16()
    assert nearest.item() == 0.25


def test_rounding_is_right_on_average_and_repeats():
    x = torch.full((1, 1, 4096), 1 + 0.3 * 2**-7)  # three tenths of the way from one bfloat16 to the next
    noise = rounding_noise(4096, torch.tensor([7.0])).view(1, 1, -1) & 0xFFFF
    found = rounded(x, noise)
    assert set(found.unique().tolist()) == {1.0, 1 + 2**-7}
    # 4096 draws of 0.3: a standard deviation of 0.0072; five of them is a false alarm in 2 million
    assert (found > 1).float().mean().item() == pytest.approx(0.3, abs=0.036)
    assert torch.equal(noise, rounding_noise(4096, torch.tensor([7.0])).view(1, 1, -1) & 0xFFFF)
    assert not torch.equal(noise, rounding_noise(4096, torch.tensor([8.0])).view(1, 1, -1) & 0xFFFF)


def test_a_slot_that_takes_no_step_stays_even_where_its_gradient_is_not_a_number():
    weights = AdamWeights(
        torch.ones(2, 3, 2), torch.zeros(2, 3, 2), torch.zeros(2, 3, 2), torch.ones(2, 3, 2).bfloat16()
    )
    deltas = torch.full((2, 1, 3), torch.nan)
    deltas[0] = 1
    step = adam_of(torch.tensor([True, False]), torch.ones(2), torch.ones(2), rate=1.0, betas=BETAS)
    adam_step(weights, deltas, torch.ones(2, 1, 2), step, betas=BETAS, epsilon=1e-4)
    assert torch.equal(weights.value[1], torch.ones(3, 2))
    assert weights.value[0].unique().numel() == 1
    assert weights.value[0, 0, 0].item() == pytest.approx(0.0, abs=2e-4)  # Adam's first step is the rate: 1


def test_the_gate_by_hand_and_by_autograd():
    gate_up = torch.tensor([[0.0, 1.0, 2.0, 3.0]], requires_grad=True)  # gates 0 and 1, ups 2 and 3
    by_hand = torch.tensor([[0.0, 3 / (1 + torch.e**-1)]])
    torch.testing.assert_close(gated(gate_up, torch.float32), by_hand)
    d_hidden = torch.tensor([[0.5, -2.0]])
    gated(gate_up, torch.float32).backward(d_hidden)
    torch.testing.assert_close(gated_backward(d_hidden, gate_up.detach()), gate_up.grad)


def test_rows_by_hand():
    yes, no = True, False
    rows = Rows(
        member=torch.arange(5),
        live=torch.tensor([yes, yes, no, yes, yes]),
        new=torch.tensor([yes, no, yes, yes, yes]),
        position=torch.tensor([5, 9, 9, 4, 9]),
        first=torch.tensor([5, 5, 5, 5, 5]),
        slot=torch.tensor([1, 0, 0, 0, -1]),
        cell=torch.tensor([0, 1, 0, 0, 0]),
        beta=torch.tensor([0.5, 0.0, 0.5, 0.5, 0.5]),
    )
    h_last = torch.tensor([[3.0, 4.0]]).expand(5, 2).contiguous()
    taken = take_rows(rows, h_last, h_last, slots=2, cells=2, normalise=True)
    assert taken.place.tolist() == [2, 1, 4, 4, 5]  # ended, before its first position, without a slot: beyond all
    assert taken.mask.tolist() == [[0, 0], [1, 0]]
    torch.testing.assert_close(taken.h_first[1, 0], torch.tensor([3.0, 4.0]) / 12.5**0.5)
    assert taken.h_last.sum().item() == 14.0
    prediction = torch.zeros(2, 2, 2)
    prediction[1, 0] = torch.tensor([3.0, 0.0])
    figures = torch.zeros(6, 6, dtype=torch.float64)
    mixed = mix_rows(rows, h_last, prediction, taken.place, figures)
    assert mixed.tolist() == [[3.0, 6.0]] + [[3.0, 4.0]] * 4
    assert figures[0].tolist() == pytest.approx([4 / 5, 1, 1, 0, 0, 0])  # the second row is not new
    assert figures[4].tolist() == [0, 0, 0, 1, 0, 0]
    assert figures[[1, 2, 3, 5]].sum() == 0
