"""The confidence of a candidate: Fu et al. 2025, «Deep Think with Confidence» (DeepConf), arXiv 2508.15260.

A token's is -(1/k) Σ log p over the k = 20 likeliest tokens of the raw distribution it was drawn from, whichever was
drawn: high where the model was sure. In nats. Differs from the source: of all 20 and no others, also where the drawn
token is not among them; nothing is rounded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

NUM_LIKELIEST = 20
BOTTOM = 0.1  # the share of the windows that `bottom_confidence` is the mean of


def token_confidences(logits: torch.Tensor) -> torch.Tensor:
    """Return the confidence of one token a row, from raw logits `[num_rows, vocabulary]`, float32."""
    likeliest = logits.topk(min(NUM_LIKELIEST, logits.shape[-1]), dim=-1).values
    return logits.logsumexp(-1) - likeliest.mean(-1)


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
