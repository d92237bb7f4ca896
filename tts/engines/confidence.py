"""The confidence of a candidate: Fu et al. 2025, «Deep Think with Confidence» (DeepConf), arXiv 2508.15260.

A token's is -(1/k) Σ log p over the k = 20 likeliest tokens of the raw distribution it was drawn from, whichever was
drawn: high where the model was sure. In nats. Differs from the source: of all 20 and no others, also where the drawn
token is not among them; nothing is rounded.

This is the one place of the measure: what is scored, and what a floor in the decoding looks at, are these numbers. A
request with a floor is measured as the floor says; where all are to be measured, the others are by `measured`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from tts.types import ConfidenceFloor

BOTTOM = 0.1  # the share of the windows that `bottom_confidence` is the mean of
ROUNDING = 1e-5
"""By more than this share a mean must be below a threshold: what two sums make of the same tokens is not told apart."""


def measured(window: int | None) -> ConfidenceFloor | None:
    """Return the floor of requests that are measured over this window and never given up; None: they are not."""
    return None if window is None else ConfidenceFloor(window)


def refusal_of(floor: ConfidenceFloor | None) -> str | None:
    """Return what is wrong with a request's floor; None: nothing."""
    if floor is None or (floor.window >= 1 and floor.top_k >= 1 and 0 <= floor.threshold < math.inf):
        return None
    return (
        "`floor` must have a window and a top_k of at least 1, and a finite threshold from 0 on, "
        f"got {floor.window}, {floor.top_k} and {floor.threshold}"
    )


def token_confidences(logits: torch.Tensor, top_k: int = ConfidenceFloor().top_k) -> torch.Tensor:
    """Return the confidence of one token a row, from raw logits `[num_rows, vocabulary]`, float32."""
    likeliest = logits.topk(min(top_k, logits.shape[-1]), dim=-1).values
    return logits.logsumexp(-1) - likeliest.mean(-1)


def confidences_for(logits: torch.Tensor, floors: Sequence[ConfidenceFloor | None]) -> torch.Tensor | None:
    """Return `token_confidences` as each row's floor counts them; of rows without one anything. None: no row has one.

    All rows are computed together, so that the shape does not depend on who has a floor.
    """
    top_ks = [0 if floor is None else floor.top_k for floor in floors]
    first, *others = sorted(set(top_ks) - {0}) or [0]
    if not first:
        return None
    found = token_confidences(logits, first)
    for top_k in others:
        is_meant = torch.tensor([one == top_k for one in top_ks], device=logits.device)
        found = torch.where(is_meant, token_confidences(logits, top_k), found)
    return found


def confidence_figures(confidences: Sequence[float], window: int, bottom: float = BOTTOM) -> dict[str, float]:
    """Return what engines note of a candidate's tokens; empty for none, or where one is not finite.

    `mean_confidence` is the mean of all tokens, `tail_confidence` that of the last `window`. Of the means of all runs
    of `window` tokens, `least_confidence` is the lowest, `bottom_confidence` the mean of the lowest tenth (one at
    least). With fewer tokens than that, all four are the mean.
    """
    if not confidences or not all(map(math.isfinite, confidences)):
        return {}
    mean = math.fsum(confidences) / len(confidences)
    tail = least = lowest = mean
    if len(confidences) > window:
        tail = math.fsum(confidences[-window:]) / window
        sums = np.concatenate([[0.0], np.cumsum(np.asarray(confidences, dtype=np.float64))])
        means = np.sort(sums[window:] - sums[:-window]) / window
        least, lowest = float(means[0]), float(means[: max(1, int(bottom * len(means)))].mean())
    return {
        "mean_confidence": mean,
        "tail_confidence": tail,
        "least_confidence": least,
        "bottom_confidence": lowest,
    }
