"""What each control moves away from and what it learns, by numbers worked out by hand."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch", reason="needs the hf extra")

from tts.errors import EngineError  # noqa: E402  # after the skip
from tts.plugins.esamp.controls import (  # noqa: E402  # as above
    Distilled,
    Noise,
    NoiseKey,
    Subtract,
    VocabularyKL,
    control_of,
    gaussian,
)
from tts.plugins.esamp.distiller import squared_error  # noqa: E402  # as above
from tts.plugins.esamp.fusion import fuse  # noqa: E402  # as above
from tts.plugins.esamp.settings import ESampSettings  # noqa: E402  # as above

H_LAST = torch.tensor([[[1.0, 2.0], [0.0, 5.0]]])
PREDICTION = torch.tensor([[[4.0, 6.0], [0.0, 3.0]]])  # errors of length 5 and 2
NOISE = torch.tensor([[[0.0, 0.5], [-3.0, 4.0]]])


def test_esamp_moves_away_from_the_prediction() -> None:
    assert fuse(H_LAST, Distilled().q(H_LAST, PREDICTION, None), 0.5).tolist() == [[[-0.5, 0.0], [0.0, 6.0]]]


def test_noise_moves_as_far_as_esamp_in_the_noises_direction() -> None:
    mixed = fuse(H_LAST, Noise().q(H_LAST, PREDICTION, NOISE), 0.5)
    torch.testing.assert_close(mixed, torch.tensor([[[1.0, 4.5], [-0.6, 5.8]]]))


def test_subtract_takes_beta_times_the_prediction_from_the_reference() -> None:
    assert fuse(H_LAST, Subtract().q(H_LAST, PREDICTION, None), 0.5).tolist() == [[[-1.0, -1.0], [0.0, 3.5]]]


def test_the_vocabulary_loss_is_the_kl_of_the_next_token_distributions() -> None:
    """Two tokens, the head is the identity: h^L gives (3/4, 1/4), ĥ gives (1/2, 1/2)."""
    loss, gradient = VocabularyKL(torch.eye(2))(
        torch.zeros(2, 2, 2), torch.tensor([math.log(3), 0.0]).expand(2, 2, 2), torch.tensor([[1.0, 1.0], [0.0, 1.0]])
    )
    kl = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    torch.testing.assert_close(loss, torch.tensor([kl, kl]))
    torch.testing.assert_close(
        gradient,
        torch.tensor([[[-0.125, 0.125], [-0.125, 0.125]], [[0.0, 0.0], [-0.25, 0.25]]]),
    )


def test_the_settings_name_the_control() -> None:
    def named(control: str) -> Distilled:
        return control_of(ESampSettings.from_dict({"control": control}), torch.eye(2))

    assert [type(named(control)) for control in ("none", "noise", "subtract")] == [Distilled, Noise, Subtract]
    assert named("none").objective is squared_error
    assert named("untrained").objective is None
    assert (named("untrained").predicts, named("mean").objective, named("mean").predicts) == (True, None, False)
    assert isinstance(named("vocabulary").objective, VocabularyKL)


def test_the_vocabulary_control_without_a_head_is_refused() -> None:
    with pytest.raises(EngineError, match="`control` must not be vocabulary"):
        control_of(ESampSettings(control="vocabulary"), None)


def test_a_noise_vector_depends_on_seed_and_position_alone() -> None:
    draws = [NoiseKey(7, 3), NoiseKey(7, 4), NoiseKey(8, 3), NoiseKey(-1, 0), NoiseKey(2**64 - 1, 0)]
    together = gaussian(draws, 40)
    for draw, vector in zip(draws, together, strict=True):
        assert torch.equal(gaussian([draw], 40)[0], vector)
    assert len({tuple(vector.tolist()) for vector in together}) == 4  # -1 and 2^64 - 1 are one seed


def test_noise_is_standard_normal() -> None:
    """Mean and variance of 400,000 numbers within 5 standard errors: a false alarm in a million runs, were they new."""
    numbers = gaussian([NoiseKey(seed, position) for seed in range(20) for position in range(20)], 1000)
    assert abs(numbers.mean().item()) < 5 / 400_000**0.5
    assert abs(numbers.var().item() - 1) < 5 * (2 / 400_000) ** 0.5
