"""What distillers learn of a real model's states, beside the running mean, and that it is what autograd learns.

`data/smollm2_64_tokens.safetensors` has h¹ and h^L `[64, 2, 576]` of SmolLM2-135M-Instruct: the first 64 tokens, after
the very first, of two answers to one prompt at temperature 1, as `benchmarks/esamp_core.py` records them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the hf extra")
safetensors = pytest.importorskip("safetensors.torch", reason="needs the hf extra")

from tts.plugins.esamp.core import ESampCore, StepRow  # noqa: E402  # after the skip
from tts.plugins.esamp.reference import ReferenceDistiller  # noqa: E402  # as above
from tts.plugins.esamp.settings import ESampSettings  # noqa: E402  # as above
from tts.plugins.esamp.stats import WINDOW  # noqa: E402  # as above

ROWS = [StepRow("a", 2, 1), StepRow("b", 2, 1)]


@pytest.fixture(scope="module")
def states() -> tuple[torch.Tensor, torch.Tensor]:
    """h¹ and h^L, float32."""
    read = safetensors.load_file(Path(__file__).parent / "data" / "smollm2_64_tokens.safetensors")
    return read["h_first"].float(), read["h_last"].float()


def predictions(settings: ESampSettings, h_firsts: torch.Tensor, h_lasts: torch.Tensor) -> torch.Tensor:
    """ĥ [64, 2, 576]; the two rows are of two problems. At β = 1 a row moves by the error itself."""
    core = ESampCore(settings, h_firsts.shape[-1], 2)
    core.join("a", "first", beta=1.0)
    core.join("b", "second", beta=1.0)
    pairs = zip(h_firsts, h_lasts, strict=True)
    return torch.stack([2 * h_last - core.step(ROWS, h_first, h_last) for h_first, h_last in pairs])


def twins(settings: ESampSettings, num: int) -> list[ReferenceDistiller]:
    how: dict[str, Any] = {"input_norm": settings.input_norm == "rms", "from_mean": settings.start == "mean"}
    every = settings.steps_per_training("cpu")
    rate = settings.learning_rate
    return [ReferenceDistiller(576, settings.width, learning_rate=rate, train_every=every, **how) for _ in range(num)]


@pytest.mark.parametrize("scope", ["prompt", "shared"])
@pytest.mark.parametrize(
    "values",
    [{}, {"train_every": 1}, {"start": "paper"}, {"input_norm": "none"}, {"preset": "paper"}],
    ids=["default", "every step", "start paper", "raw input", "preset paper"],
)
def test_every_start_and_preset_predicts_what_its_autograd_twin_does(
    states: tuple[torch.Tensor, torch.Tensor], values: dict[str, Any], scope: str
) -> None:
    """Within 1e-5 of h^L's own length, in every row of 64 steps. The twin is float64."""
    settings = ESampSettings.from_dict({"width": 48, "num_slots": 2, "scope": scope} | values)
    h_firsts, h_lasts = states
    with torch.inference_mode():
        found = predictions(settings, h_firsts, h_lasts)
    groups = [[0, 1]] if scope == "shared" else [[0], [1]]
    for twin, rows in zip(twins(settings, len(groups)), groups, strict=True):
        for step in range(64):
            expected = twin.predict(h_firsts[step, rows]).detach()
            twin.step(h_firsts[step, rows], h_lasts[step, rows], beta=0.25)
            off = (found[step, rows] - expected).norm(dim=-1) / h_lasts[step, rows].norm(dim=-1)
            assert off.max() < 1e-5, step


def test_the_comparison_can_fail(states: tuple[torch.Tensor, torch.Tensor]) -> None:
    h_firsts, h_lasts = states
    settings = ESampSettings(width=48, scope="shared", train_every=1)
    with torch.inference_mode():
        found = predictions(settings.model_copy(update={"learning_rate": 4.2e-4}), h_firsts, h_lasts)
    (twin,) = twins(settings, 1)
    for step in range(64):
        expected = twin.predict(h_firsts[step]).detach()
        twin.step(h_firsts[step], h_lasts[step], beta=0.25)
    assert (found[63] - expected).norm() / h_lasts[63].norm() > 1e-3


@pytest.mark.parametrize("train_every", [None, 1])
@pytest.mark.parametrize("scope", ["prompt", "shared"])
def test_the_loss_is_at_or_below_that_of_the_running_mean_from_the_first_tokens_on(
    states: tuple[torch.Tensor, torch.Tensor], train_every: int | None, scope: Any
) -> None:
    """And the published form is far above it: tokens 1 to 16 and 17 to 64, the defaults' width."""
    h_firsts, h_lasts = states
    late = slice(WINDOW, 64)
    with torch.inference_mode():
        ours, papers, of_mean = (
            (predictions(settings, h_firsts, h_lasts) - h_lasts).square().sum(-1).mean(-1)
            for settings in (
                ESampSettings(train_every=train_every, scope=scope, num_slots=2),
                ESampSettings(preset="paper", scope=scope, num_slots=2),
                ESampSettings(control="mean", scope=scope, num_slots=2),
            )
        )
    assert ours[:WINDOW].mean() <= 1.02 * of_mean[:WINDOW].mean()
    assert ours[late].mean() <= of_mean[late].mean()
    assert papers[late].mean() > 2 * of_mean[late].mean()


def test_the_first_step_predicts_the_deviation_alone(states: tuple[torch.Tensor, torch.Tensor]) -> None:
    h_firsts, h_lasts = (of_all[:1] for of_all in states)
    settings = ESampSettings(width=48, scope="shared")
    with torch.inference_mode():
        found = predictions(settings, h_firsts, h_lasts)[0]
    (twin,) = twins(settings, 1)
    deviation = twin.predict(h_firsts[0]) - twin.mean
    assert not twin.mean.any()
    torch.testing.assert_close(found.double(), deviation.detach(), rtol=1e-3, atol=1e-3)
