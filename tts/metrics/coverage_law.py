"""Coverage beyond the candidates that there are: two laws, their intervals, and what holds without any law.

How it works. Each problem has a rate p at which its candidates are right. The beta-binomial law lets p be Beta(a, b)
over problems: pass@k = 1 - B(a, b + k) / B(a, b), whose tail falls as k^-a (Schaeffer et al. 2025, arXiv 2502.17578).
The second law adds shares of problems that are never right and always right. They err in opposite directions where
some problems are impossible, and no data at n can tell those from rates below 1/n; so what is told is the hull of both
laws' intervals, over problems drawn anew. Both are fitted by maximum likelihood.

The likelihood needs three counts alone: with A_j problems of more than j right candidates, B_j of more than j wrong
ones and N_j of more than j candidates, ln L = Σ_j A_j ln(a + j) + B_j ln(b + j) - N_j ln(a + b + j). So all resamples
are fitted at once, by Newton's method in (ln a, ln b), which stays within BOUND. The shares of the second law come by
expectation and maximisation around it.

Without a law: 1 - pass@k is log-convex in k (a mean of powers), so it falls at least by nothing and at most as fast as
from n/2 to n, for these very problems.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tts.errors import UsageError
from tts.metrics.pass_at_k import pass_at_k
from tts.metrics.subsets import Floats, Ints

FARTHEST = 4
"""Up to how many times the fewest candidates of a problem it is told."""

NUM_RESAMPLES = 200
BOUND = 9.0  # of |ln a| and |ln b|: beyond it the law is one point, or two
NUM_STEPS = 40  # of Newton's method
NUM_ROUNDS = 200  # of expectation and maximisation: shares that go to 0 do so slowly


@dataclass(frozen=True, slots=True)
class Extrapolated:
    """pass@k at a `k` beyond the candidates: both laws' range `low` … `high`, the hull of their 95 % intervals, and the
    bounds that hold for these problems whatever the law.
    """

    k: int
    low: float
    high: float
    interval_low: float
    interval_high: float
    bound_low: float
    bound_high: float


def extrapolated(
    num_candidates: Ints, num_right: Ints, ks: Sequence[int], *, units: Sequence[str] | None = None, seed: int = 0
) -> list[Extrapolated]:
    """Return pass@k at each of `ks`, beyond the fewest candidates of a problem, up to `FARTHEST` times as many.

    `num_candidates` and `num_right` are [problems]; `units` name what is drawn anew together, None: each problem alone.
    Nothing is told (an empty list) of fewer than two candidates or problems, or where all candidates are right, or all
    wrong: then no law has a shape. Raises UsageError where a k is outside that range.
    """
    fewest = int(num_candidates.min(initial=np.iinfo(np.int64).max)) if len(num_candidates) else 0
    for k in ks:
        if not fewest < k <= FARTHEST * fewest:
            raise UsageError(f"`k` must be from {fewest + 1} to {FARTHEST * fewest} to be extrapolated to, got {k}")
    share = num_right.sum() / max(1, num_candidates.sum())
    if fewest < 2 or len(num_candidates) < 2 or share in (0, 1) or not ks:
        return []
    # How often each problem is there in each resample; the first row is the data.
    names, places = np.unique(list(range(len(num_right))) if units is None else list(units), return_inverse=True)
    drawn = np.random.default_rng([seed, len(names)]).multinomial(
        len(names), np.full(len(names), 1 / len(names)), NUM_RESAMPLES
    )
    weights = np.concatenate([np.ones((1, len(names))), drawn])[:, places]
    # Problems with as many candidates of which as many are right are one kind.
    kinds, kind = np.unique(np.stack([num_candidates, num_right]), axis=1, return_inverse=True)
    weights = weights @ (kind[:, None] == np.arange(kinds.shape[1]))
    found = [_predicted(kinds, weights, np.asarray(ks), ends=ends) for ends in (False, True)]
    intervals = [np.nanquantile(one[1:], [0.025, 0.975], axis=0) for one in found]
    # What holds without a law.
    half = fewest // 2
    left, left_at_half = (1 - float(pass_at_k(num_candidates, num_right, k).mean()) for k in (fewest, half))
    slope = (left / left_at_half) ** (1 / (fewest - half)) if left_at_half else 0.0
    return [
        Extrapolated(
            k,
            low=float(min(one[0, place] for one in found)),
            high=float(max(one[0, place] for one in found)),
            interval_low=float(min(low[place] for low, _ in intervals)),
            interval_high=float(max(high[place] for _, high in intervals)),
            bound_low=1 - left,
            bound_high=1 - left * slope ** (k - fewest),
        )
        for place, k in enumerate(ks)
    ]


def _predicted(kinds: Ints, weights: Floats, ks: Ints, *, ends: bool) -> Floats:
    """Return pass@k of the fitted law, [resamples, ks]; `ends`: with shares of problems at exactly 0 and 1.

    `kinds` are numbers of candidates and of right ones, [2, kinds]; `weights` how often each is there.
    """
    sizes, right = kinds
    wrong, steps = sizes - right, np.arange(int(sizes.max()))
    of_right, of_wrong, of_all = ((counts[:, None] > steps).astype(float) for counts in (right, wrong, sizes))
    total = weights.sum(axis=1)
    at_ends = [np.flatnonzero(right == 0), np.flatnonzero(wrong == 0)]
    logs = np.zeros((len(weights), 2))  # ln a, ln b
    shares = np.zeros((2, len(weights)))  # of problems at 0 and at 1
    if ends:
        shares = np.stack([weights[:, there].sum(axis=1) for there in at_ends]) / (2 * total)
    for _ in range(NUM_ROUNDS if ends else 1):
        inside, rest = weights.copy(), 1 - shares.sum(axis=0)
        for end, there in enumerate(at_ends if ends else ()):
            # What part of the problems without a right answer, or a wrong one, the law itself explains.
            opposite, both = np.exp(logs)[:, 1 - end, None], np.exp(logs).sum(axis=1)[:, None]
            explained = np.exp(np.log((opposite + steps) / (both + steps)) @ of_all[there].T)
            explained *= rest[:, None]
            inside[:, there] *= explained / np.maximum(explained + shares[end][:, None], 1e-300)
            shares[end] = (weights[:, there] - inside[:, there]).sum(axis=1) / total
        logs = _fitted(logs, inside @ of_right, inside @ of_wrong, inside @ of_all, 3 if ends else NUM_STEPS)
    a, b = np.exp(logs)[:, 0, None], np.exp(logs)[:, 1, None]
    tries = np.arange(int(ks.max()))
    failing = np.exp(np.cumsum(np.log((b + tries) / (a + b + tries)), axis=1))[:, ks - 1]
    return np.asarray(shares[1][:, None] + (1 - shares.sum(axis=0))[:, None] * (1 - failing))


def _fitted(logs: Floats, of_right: Floats, of_wrong: Floats, of_all: Floats, num_steps: int) -> Floats:
    """Return ln a and ln b of the greatest likelihood, [resamples, 2], by damped steps of Newton's from `logs` on."""
    steps = np.arange(of_all.shape[1])

    def likelihood(logs: Floats) -> Floats:
        a, b = np.exp(logs)[:, 0, None], np.exp(logs)[:, 1, None]
        terms = of_right * np.log(a + steps) + of_wrong * np.log(b + steps) - of_all * np.log(a + b + steps)
        return np.asarray(terms.sum(axis=1))

    best, damping = likelihood(logs), np.full(len(logs), 1e-3)
    for _ in range(num_steps):
        a, b = np.exp(logs)[:, 0, None], np.exp(logs)[:, 1, None]
        both, both2 = (of_all / (a + b + steps)).sum(1), -(of_all / (a + b + steps) ** 2).sum(1)
        first = [((of_right / (a + steps)).sum(1) - both), ((of_wrong / (b + steps)).sum(1) - both)]
        second = [-(of_right / (a + steps) ** 2).sum(1), -(of_wrong / (b + steps) ** 2).sum(1)]
        # In logarithms: d/d ln a = a d/da, and the curvature has the slope beside it.
        scale = np.exp(logs)
        slope = np.stack(first, axis=1) * scale
        aa = scale[:, 0] ** 2 * (second[0] - both2) + slope[:, 0]
        bb = scale[:, 1] ** 2 * (second[1] - both2) + slope[:, 1]
        ab = -scale[:, 0] * scale[:, 1] * both2
        # A step uphill whatever the curvature: the diagonal is made negative enough.
        lift = np.maximum(0.0, np.maximum(aa, bb) + np.abs(ab)) + damping * (1 + np.abs(aa) + np.abs(bb))
        aa, bb = aa - lift, bb - lift
        determinant = aa * bb - ab**2
        step = np.stack([bb * slope[:, 0] - ab * slope[:, 1], aa * slope[:, 1] - ab * slope[:, 0]], axis=1)
        tried = np.clip(logs - np.clip(step / determinant[:, None], -2.0, 2.0), -BOUND, BOUND)
        reached = likelihood(tried)
        better = reached >= best
        logs, best = np.where(better[:, None], tried, logs), np.where(better, reached, best)
        damping = np.where(better, damping / 4, damping * 8)
    return logs
