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
    looks = family(
        np.array([curve.lower[row] - one.lower[row] for curve, row in cells]),
        units,
        upper=np.array([curve.upper[row] - one.upper[row] for curve, row in cells]),
        seed=seed,
    ).looks

    # One cell after the other: of many problems, all that is said of all cells takes much memory.
    found = []
    for (curve, row), look in zip(cells, looks, strict=True):
        ends = [perfect.lower[row] - curve.lower[row], perfect.upper[row] - curve.upper[row]]
        missed = np.sort(np.clip(ends, 0.0, 1.0), axis=0)  # sampled curves may be above by chance
        (gap,) = estimates(missed[:1], missed[1:], units=units, seed=seed)
        gain, room = curve.lower[row] - one.lower[row], perfect.lower[row] - one.lower[row]
        closed = mean_ratio(gain, room, units, seed=seed) if room.mean() >= LEAST_ROOM else None
        told = look.of_clusters(len(set(units))) if clusters else look
        found.append(Gain(curve.name, curve.ks[row], told, gap, closed))
    return found
