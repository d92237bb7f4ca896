"""At which k a scorer's line is highest, whether it turns down beyond, and what the scorer adds to the plain vote.

More candidates give a scorer more to be wrong about: the best of many by an imperfect measure is the one that deceives
it best (Gao et al. 2023, «Scaling Laws for Reward Model Overoptimization», arXiv 2210.10760).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tts.metrics.curves import Curve
from tts.metrics.paired import SIGNIFICANCE, Look, family
from tts.metrics.units import by_unit, units_of

NUM_RESAMPLES = 2_000
PLAIN_VOTE = "maj@k"


@dataclass(frozen=True, slots=True)
class Peak:
    """Where a line is highest (the smallest such k), undecided verdicts counted as wrong.

    From `low` to `high` it is in 95 % of the resamples of the problems. `loss` is the look at the k < K that is most
    clearly above the last one, K: its figure minus that at K, corrected for all of them; None where there is none
    above. `turns_down`: it is told apart from chance.
    """

    figure: str
    k: int
    low: int
    high: int
    loss: Look | None

    @property
    def turns_down(self) -> bool:
        """Whether the line is higher before its end, and not by chance."""
        return self.loss is not None and self.loss.adjusted_p_value <= SIGNIFICANCE


def peak(curve: Curve, *, clusters: Mapping[str, str] | None = None, seed: int = 0) -> Peak:
    """Return where the curve is highest. `clusters` are what problems share, by their ids."""
    ks, values = np.array(curve.ks), curve.lower
    order = np.argsort(ks)
    ks, values = ks[order], values[order]
    units = units_of(curve.problem_ids, clusters or {})

    # The problems drawn anew, whole units at a time: where is the line highest then?
    sums, sizes = by_unit(values, units)
    num_units = sums.shape[1]
    rng = np.random.default_rng([seed, num_units])
    drawn = rng.multinomial(num_units, np.full(num_units, 1 / max(num_units, 1)), NUM_RESAMPLES).astype(np.float64)
    heights = (drawn @ sums.T) / np.maximum(drawn @ sizes.T, 1e-12)
    peaks = ks[np.argmax(np.round(heights, 12), axis=1)]
    low, high = np.quantile(peaks, [0.025, 0.975], method="inverted_cdf")

    # Every earlier k against the last one, in one family: so no k is chosen for its height before it is tested.
    loss = None
    if len(ks) > 1:
        looks = family(values[:-1] - values[-1], units, seed=seed).looks
        above = [look for look in looks if look.lower > 0]
        loss = min(above, key=lambda look: (look.adjusted_p_value, -look.lower), default=None)
    highest = int(ks[np.argmax(np.round(values.mean(axis=1), 12))])
    return Peak(curve.name, highest, int(low), int(high), loss)


@dataclass(frozen=True, slots=True)
class Added:
    """A selector's figure minus that of the plain vote at one k > 1, on the same candidates, problem by problem."""

    figure: str
    k: int
    look: Look


def added(curves: Sequence[Curve], *, clusters: Mapping[str, str] | None = None, seed: int = 0) -> list[Added]:
    """Return what each curve adds to that of the plain vote among them, corrected for all; [] where that is missing."""
    by_name = {curve.name: curve for curve in curves}
    vote = by_name.pop(PLAIN_VOTE, None)
    if vote is None:
        return []
    cells = [
        (curve, row, vote.ks.index(k))
        for curve in by_name.values()
        for row, k in enumerate(curve.ks)
        if k > 1 and k in vote.ks
    ]
    if not cells:
        return []
    lower = np.array([curve.lower[row] - vote.lower[other] for curve, row, other in cells])
    upper = np.array([curve.upper[row] - vote.upper[other] for curve, row, other in cells])
    looks = family(lower, units_of(vote.problem_ids, clusters or {}), upper=upper, seed=seed).looks
    return [Added(curve.name, curve.ks[row], look) for (curve, row, _), look in zip(cells, looks, strict=True)]
