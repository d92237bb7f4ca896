"""Power: how large a difference these problems and candidates could have told apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from tts.errors import plural
from tts.metrics.paired import FEWEST_MOVED
from tts.metrics.subsets import Floats

POWER = 0.8
FURTHER = 0.5  # how much of a gain that was not seen yet comes as further problems of the size of those seen


@dataclass(frozen=True, slots=True)
class Power:
    """The least gain in the mean, in (0, 1), that would be told apart 80 % of the time, all looks considered.

    It is for a gain that is alike on all problems; a scattered one is seen less often. None: no gain could be.
    """

    num_problems: int
    num_candidates: int
    num_looks: int
    detectable: float | None
    num_clusters: int | None = None  # None: problems are independent

    def __str__(self) -> str:
        looks = f" and {plural(self.num_looks, 'look')}" if self.num_looks > 1 else ""
        units, unit = self.num_problems, "problem"
        problems = plural(units, unit)
        if self.num_clusters is not None:
            units, unit = self.num_clusters, "cluster"
            problems += f" in {plural(units, unit)}"
        setting = f"with {problems} of {plural(self.num_candidates, 'candidate')}{looks}"
        if self.detectable is None:
            few = f": it takes at least {FEWEST_MOVED} {unit}s" if units < FEWEST_MOVED else ""
            return f"{setting}, no gain would be told apart{few}"
        gain = plural(math.ceil(100 * self.detectable), "point")
        return (
            f"{setting}, a gain of about {gain} that is alike on all problems would be told apart 4 times in 5; a "
            "scattered one less often"
        )


def detectable(differences: Floats, num_problems: int, level: float) -> float | None:
    """Return the least mean difference, in (0, 1), that a row like this would show at `level` 80 % of the time.

    `differences` are those of the row's units, [units]. Their mean square grows with the gain: half of what was not
    seen yet comes as further units of the size of those seen. The least δ with δ - z(level) √(V / n) ≥
    z₀.₈ √((V - δ²) / n), by bisection. None below 6 units, or where there is none.
    """
    if len(differences) < FEWEST_MOVED:
        return None
    magnitude, squares = float(np.abs(differences).sum()), float((differences**2).sum())
    size = squares / magnitude if magnitude else num_problems / len(differences)
    seen = abs(float(differences.sum())) / num_problems
    z_level, z_power = NormalDist().inv_cdf(1 - level / 2), NormalDist().inv_cdf(POWER)

    def shows(gain: float) -> bool:
        spread = squares / num_problems + FURTHER * size * max(0.0, gain - seen)
        left = max(spread - gain**2, 1e-12)
        return gain - z_level * math.sqrt(spread / num_problems) >= z_power * math.sqrt(left / num_problems)

    low, high = 0.0, 1.0
    if not shows(high):
        return None
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if shows(middle) else (middle, high)
    return high
