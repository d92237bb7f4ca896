"""The Vendi score: how many different texts there are in effect, given how similar they are."""

from __future__ import annotations

import math

import numpy as np

from tts.errors import UsageError
from tts.metrics.subsets import Floats

ROUNDING = 1e-10  # an eigenvalue below it is zero
NEAR_1 = 1e-6  # an order so near to 1 is 1: rounding, divided by what is left, would be all there is

SMALLEST = 1e-300  # below it a sum of powers has lost digits, and is taken from the logarithms


def vendi_score(kernel: Floats, q: float = 1.0) -> float:
    """Return the Vendi score of order `q` of n texts, from 1 (all alike) to n (nothing in common); NaN for no texts.

    `kernel` holds their similarities, [n, n]: symmetric, positive semidefinite, 1 on the diagonal. With λ the
    eigenvalues of kernel / n, it is exp of the Rényi entropy, (Σ λ^q)^(1 / (1 - q)): q = 0 counts what is linearly
    independent, q = 1 is the Shannon entropy's, q = inf is 1 / max λ; a larger q heeds rare texts less. Source:
    Friedman & Dieng 2023, «The Vendi Score»; for q ≠ 1 Pasarkar & Dieng 2024, «Cousins of the Vendi Score».
    """
    if not q >= 0:
        raise UsageError(f"`q` must be at least 0, got {q}")
    if not len(kernel):
        return math.nan
    if kernel.shape != (len(kernel), len(kernel)) or not np.allclose(kernel, kernel.T):
        raise UsageError(f"`kernel` must be a symmetric square of similarities, got the shape {kernel.shape}")
    if not np.allclose(np.diagonal(kernel), 1.0):
        raise UsageError(f"`kernel` must have 1 on its diagonal, got {np.diagonal(kernel).min()} there")
    shares = np.linalg.eigvalsh(kernel / len(kernel))
    shares = shares[shares > ROUNDING]
    logs = np.log(shares)
    if abs(q - 1) < NEAR_1:
        return float(np.exp(-np.sum(shares * logs)))
    if math.isinf(q):
        return float(1 / shares.max())
    total = np.sum(shares**q)
    log_total = np.log(total) if total > SMALLEST else np.logaddexp.reduce(q * logs)
    return float(np.exp(log_total / (1 - q)))


def mean_similarity(kernel: Floats) -> float:
    """Return the mean similarity of two different texts of n, over all pairs; NaN for fewer than two."""
    n = len(kernel)
    return float((kernel.sum() - np.trace(kernel)) / (n * (n - 1))) if n > 1 else math.nan
