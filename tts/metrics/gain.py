"""What a selector gains over one sample of the same candidates, and what it leaves to a perfect choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tts.metrics.bootstrap import estimates, mean_ratio
from tts.metrics.curves import Curve
from tts.metrics.intervals import Estimate
from tts.metrics.paired import Look, family
from tts.metrics.units import units_of

ONE_SAMPLE, PERFECT = "random", "pass@k"
LEAST_ROOM = 0.02  # of a perfect choice over one sample, below which no share of it is told


@dataclass(frozen=True, slots=True)
class Gain:
    """One selector at one k > 1, all on the same candidates.

    `look` is at its figure minus pass@1, in one family with all selectors and ks of the arm. Its p-values ask whether
    problems are as likely to gain as to lose. `gap` is pass@k minus the figure: it has no p-value, since it is never
    0. `closed` is the share of the way from pass@1 to pass@k that was gone, with its 95 % interval (the ratio of the
    means, undecided verdicts counted as wrong); None where that way is below 2 points.
    """

    figure: str
    k: int
    look: Look
    gap: Estimate
    closed: tuple[float, float, float] | None


def gains(curves: Sequence[Curve], *, clusters: Mapping[str, str] | None = None, seed: int = 0) -> list[Gain]:
    """Return the gain of each selector at each k > 1.

    `curves` are those of one pool, as `tts.metrics.curves.curves` returns them, with others of the same problems.
    """
    by_name = {curve.name: curve for curve in curves}
    chosen = [curve for curve in curves if curve.name not in (ONE_SAMPLE, PERFECT, "pass^k")]
    cells = [(curve, row) for curve in chosen for row, k in enumerate(curve.ks) if k > 1]
    if not cells:
        return []
    one, perfect = by_name[ONE_SAMPLE], by_name[PERFECT]
    units = units_of(one.problem_ids, clusters or {})

    # Undecided verdicts are those of the same candidates: wrong on both sides, or right.
    lower, upper = np.array([(curve.lower[row], curve.upper[row]) for curve, row in cells]).swapaxes(0, 1)
    single_lower, single_upper = np.array([(one.lower[row], one.upper[row]) for _, row in cells]).swapaxes(0, 1)
    best_lower, best_upper = np.array([(perfect.lower[row], perfect.upper[row]) for _, row in cells]).swapaxes(0, 1)
    found = family(lower - single_lower, units, upper=upper - single_upper, seed=seed)
    missed = np.clip([best_lower - lower, best_upper - upper], 0.0, 1.0)  # sampled curves may be above by chance
    gaps = estimates(missed.min(axis=0), missed.max(axis=0), units=units, seed=seed)
    return [
        Gain(
            curve.name,
            curve.ks[row],
            look,
            gap,
            mean_ratio(gain, room, units, seed=seed) if room.mean() >= LEAST_ROOM else None,
        )
        for (curve, row), look, gap, gain, room in zip(
            cells, found.looks, gaps, lower - single_lower, best_lower - single_lower, strict=True
        )
    ]
