"""One decoding step on the device, but for the training that follows: its rows, predicted and mixed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from tts.plugins.esamp.controls import Control, NoiseKey, norm
from tts.plugins.esamp.distiller import DistillerBank, Prediction
from tts.plugins.esamp.fusion import fuse
from tts.plugins.esamp.running_mean import RunningMeans
from tts.plugins.esamp.strength import Strengths


@dataclass(frozen=True, slots=True)
class SlotRows:
    """One group's rows of a step, planned on the host: parallel lists, `rows` being their places among all rows.

    `trains`: after this step its distiller is trained on all its rows since it was trained last.
    """

    slot: int
    rows: Sequence[int]
    betas: Sequence[float]
    noise_keys: Sequence[NoiseKey]
    trains: bool


class Cells(NamedTuple):
    """The rows of S slots, float32, one in each of their K cells; a cell without a row is all zeros."""

    slots: Sequence[int]
    h_first: torch.Tensor  # [S, K, d]
    h_last: torch.Tensor  # [S, K, d]
    beta: torch.Tensor  # [S, K, 1]
    mask: torch.Tensor  # [S, K, 1], 1 where there is a row
    noise: torch.Tensor | None  # [S, K, d]


class Mixed(NamedTuple):
    """What came of the cells: the mixed hidden states, how new each was, how well it was known, what training needs."""

    h: torch.Tensor  # [S, K, d]
    beta: torch.Tensor  # [S, K, 1], as used
    novelty: torch.Tensor  # [S, K], ‖h^L − ĥ‖ / ‖h^L‖
    losses: torch.Tensor  # [S, 2], the means over the rows of ‖h^L − ĥ‖² and of ‖h^L − μ‖²
    mean: torch.Tensor  # [S, 1, d], μ before this step
    prediction: Prediction


def predict(
    bank: DistillerBank, means: RunningMeans, control: Control, strengths: Strengths | None, cells: Cells
) -> Mixed:
    """Return h^L + β·(h^L − q) for every cell, and h^L itself, bit for bit, where β is 0. The rows then enter μ."""
    mean = means.of(cells.slots)
    prediction = Prediction(mean.expand_as(cells.h_last), [])
    if control.predicts:
        prediction = bank.predict(cells.slots, cells.h_first, mean)
    q = control.q(cells.h_last, prediction.h, cells.noise)
    beta = cells.beta if strengths is None else strengths.beta(cells.slots, cells.h_last - q, cells.beta)
    error = norm(cells.h_last - prediction.h)
    errors = torch.stack([error, norm(cells.h_last - mean)], dim=-1)  # [S, K, 2]
    losses = (errors.square() * cells.mask).sum(1) / cells.mask.sum(1).clamp(min=1)
    means.add(cells.slots, cells.h_last, cells.mask)
    novelty = error / norm(cells.h_last).clamp(min=1e-12)
    return Mixed(fuse(cells.h_last, q, beta), beta, novelty, losses, mean, prediction)
