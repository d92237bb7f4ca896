"""What candidates that were cut by their length limit could have changed: bounds, not an interval.

A cut candidate counts as wrong, within its budget, and has no vote. Had it been finished, it could at best have been
right, and at worst have voted for what is wrong.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tts.metrics.pool import Pool


def had_voted(pool: Pool, *, right: bool) -> Pool:
    """Return the pool in which all cut candidates of a problem agree on its strongest answer that is right, or wrong.

    Strongest is what most support; where there is none, they agree on an answer of their own. An undecided answer may
    be either: it counts as right for `right`, else as wrong.
    """
    classes, passed = pool.classes.copy(), pool.passed.copy()
    for problem in np.flatnonzero(pool.cut.any(axis=1)):
        nodes = pool.classes[problem]
        good = pool.passed[problem] | (pool.open[problem] if right else False)
        size = 1 + max([int(nodes.max()), *(two for _, two in pool.links[problem])])
        counts = np.bincount(nodes[nodes >= 0], minlength=size)
        num_good = np.bincount(nodes[(nodes >= 0) & good], minlength=size)
        supports = counts.copy()
        for one, two in pool.links[problem]:
            supports[one] += counts[two]
            supports[two] += counts[one]
        fitting = (counts > 0) & ((2 * num_good >= counts) == right)
        cut = pool.cut[problem]
        classes[problem, cut] = np.where(fitting, supports, -1).argmax() if fitting.any() else size
        passed[problem, cut] = right
    return replace(pool, classes=classes, passed=passed, cut=np.zeros_like(pool.cut))
