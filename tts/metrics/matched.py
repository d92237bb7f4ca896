"""Two arms at the same cost, where their points cost unlike amounts.

Between two points of an arm its value at a budget B is a mixture, (1 - w) v0 + w v1 with w = (B - b0) / (b1 - b0): what
the policy «take the dearer one with chance w» reaches at the expected cost B, so nothing is modelled. It is taken
problem by problem, so that differences stay paired. b is the mean over the problems that both arms have. The neighbours
are two runs that were made; of candidates that know nothing of each other, k and k + 1. Beyond an arm's points nothing
is known, and nothing is said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tts.errors import UsageError
from tts.metrics.budget import Costs
from tts.metrics.curves import Curve
from tts.metrics.subsets import Floats

SAME = 1e-9  # relative difference below which two budgets are one


@dataclass(frozen=True, slots=True)
class Mixed:
    """A figure of each problem at several budgets, [num_places, num_problems]; see `tts.metrics.comparison.Figures`."""

    name: str
    places: tuple[float, ...]
    problem_ids: tuple[str, ...]
    num_candidates: int
    lower: Floats
    upper: Floats


@dataclass(frozen=True, slots=True)
class Buys:
    """What an arm buys at what cost. `curves` and `costs`, those of their points, go by the figure's name.

    `between` is for candidates that know nothing of each other: it returns a figure at any k up to `most`, but for
    those that are known at their own points alone (`fixed`). None: there is a run for each k, and nothing between.
    """

    name: str
    curves: Mapping[str, Curve]
    costs: Mapping[str, Costs]
    between: Callable[[str, Sequence[int]], Curve] | None = None
    most: int = 0
    fixed: frozenset[str] = frozenset()

    def shared(self, other: Buys, figure: str) -> list[str]:
        """Return the problems that both arms have, in order."""
        return sorted(set(self.curves[figure].problem_ids) & set(other.curves[figure].problem_ids))

    def budgets(self, figure: str, axis: str, problem_ids: Sequence[str]) -> list[float]:
        """Return what each point costs on the axis (`tokens`, `flops`), over these problems; NaN: not known.

        Of a `fixed` figure it is the last point's alone: what was paid was paid for the whole draw.
        """
        costs = self.costs[figure]
        found = dict(zip(costs.ks, costs.budgets(problem_ids), strict=True))
        amounts = [getattr(found[k], axis) for k in self.curves[figure].ks]
        known = [np.nan if one is None else float(one) for one in amounts]
        return [*[np.nan] * (len(known) - 1), *known[-1:]] if figure in self.fixed else known

    def reach(self, figure: str, axis: str, problem_ids: Sequence[str]) -> tuple[float, float]:
        """Return the least and the largest budget at which something is known; NaN where there is none."""
        known = [one for one in self.budgets(figure, axis, problem_ids) if not np.isnan(one)]
        if not known:
            return np.nan, np.nan
        if self.between is None or figure in self.fixed:
            return min(known), max(known)
        each = known[0] / self.curves[figure].ks[0]
        return each, self.most * each

    def at(self, figure: str, axis: str, places: Sequence[float], problem_ids: Sequence[str]) -> Mixed:
        """Return the figure at these budgets, which lie within `reach`."""
        curve, budgets = self.curves[figure], self.budgets(figure, axis, problem_ids)
        if self.between is not None and figure not in self.fixed:
            each = budgets[0] / curve.ks[0]
            numbers = [int(place / each * (1 + SAME)) if each else self.most for place in places]
            below = [min(max(one, 1), self.most) for one in numbers]
            ks = sorted({k for one in below for k in (one, min(one + 1, self.most))})
            curve, budgets = self.between(figure, ks), [k * each for k in ks]
        return mixed(curve, budgets, places)


def grid(first: Buys, second: Buys, figure: str, axis: str) -> list[float]:
    """Return the budgets of either arm's points inside the range that both cover, in order; none where there is none.

    A point whose cost is not known is left out.
    """
    ids = first.shared(second, figure)
    (low, high), (other_low, other_high) = first.reach(figure, axis, ids), second.reach(figure, axis, ids)
    low, high = np.maximum(low, other_low), np.minimum(high, other_high)  # NaN where either is: then nothing is inside
    found: list[float] = []
    for place in sorted([*first.budgets(figure, axis, ids), *second.budgets(figure, axis, ids)]):
        inside = low * (1 - SAME) <= place <= high * (1 + SAME)
        if inside and not (found and place - found[-1] <= SAME * place):
            found.append(place)
    return found


def mixed(curve: Curve, budgets: Sequence[float], places: Sequence[float]) -> Mixed:
    """Return a curve's values at some budgets, given what each of its points costs.

    A point's own budget gives the point itself; of several that cost the same, that with the largest k. Raises
    UsageError for a budget outside those of the points: nothing is extrapolated.
    """
    order = [row for row in np.lexsort((curve.ks, budgets)).tolist() if not np.isnan(budgets[row])]
    costs = np.array([budgets[row] for row in order])
    lower, upper = [], []
    for place in places:
        close = np.flatnonzero(np.abs(costs - place) <= SAME * np.maximum(costs, place))
        if close.size:
            rows, weights = [order[close[-1]]], [1.0]
        else:
            above = int(np.searchsorted(costs, place))
            if not 0 < above < len(costs):
                known = f"{costs[0]:g} to {costs[-1]:g}" if costs.size else "no budget"
                raise UsageError(f"a budget must be one that {curve.name} covers, {known}, got {place:g}")
            share = float((place - costs[above - 1]) / (costs[above] - costs[above - 1]))
            rows, weights = order[above - 1 : above + 1], [1 - share, share]
        lower.append(sum(weight * curve.lower[row] for row, weight in zip(rows, weights, strict=True)))
        upper.append(sum(weight * curve.upper[row] for row, weight in zip(rows, weights, strict=True)))
    shape = (len(places), len(curve.problem_ids))
    return Mixed(
        curve.name,
        tuple(places),
        curve.problem_ids,
        curve.num_candidates,
        np.array(lower, dtype=np.float64).reshape(shape),
        np.array(upper, dtype=np.float64).reshape(shape),
    )


def undominated(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the places of the (cost, value) that nothing dominates: no other is as cheap and better, or cheaper and
    as good. By rising cost; of points that are the same, the first.
    """
    best, found = -np.inf, []
    for place in sorted(range(len(points)), key=lambda one: (points[one][0], -points[one][1], one)):
        if points[place][1] > best:
            best = points[place][1]
            found.append(place)
    return found
