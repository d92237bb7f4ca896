"""Accuracy against what it cost: stopping rules for nothing, each arm's own choice, and what nothing dominates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tts.metrics.bootstrap import estimates
from tts.metrics.budget import AMOUNTS, Budget
from tts.metrics.matched import undominated
from tts.metrics.stopping_curves import StoppingPoint as Stopping
from tts.metrics.stopping_curves import adaptive_consistency_curve, consensus_curve, esc_curve
from tts.metrics.subsets import Floats
from tts.metrics.units import units_of
from tts.report.data import Arm, Frontier, StoppingLine, StoppingPoint
from tts.report.lines import SELECTED
from tts.report.study import Studied
from tts.report.wording import decimal, known
from tts.runs.stored import Stored

VOTE = "maj@k"
WEIGHS = "confidence"
"""The scorer by which DeepConf's votes weigh."""
CONFIDENCES = (0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
WINDOWS = (2, 3, 4, 5, 8, 16)
CONSENSUSES, WARMUP = (0.6, 0.7, 0.8, 0.9, 0.95, 1.0), 16
MOST_CANDIDATES = 256
"""Of a problem, beyond which rules are not replayed: a single order has as many beginnings."""
MOST_CELLS = 1 << 21
"""Beginnings of orders, times answers that differ, in memory at once."""
FEWEST_ORDERS, MOST_ORDERS = 16, 256


def lacks(arm: Arm, axis: str) -> bool:
    """Tell whether it is not known what some of an arm's points cost on an axis, though their runs are over."""
    budgets = [point.budget for line in arm.lines for point in line.points if point.budget is not None]
    return any(one.num_candidates is not None and getattr(one, axis) is None for one in budgets)


def selecting(one: Studied) -> Studied:
    """Return an arm with a line more, which is there already under its own name: what its selector hands in."""
    curve = next((curve for curve in one.curves if curve.name == one.own_figure), None)
    line = next((line for line in one.arm.lines if line.figure == one.own_figure), None)
    if curve is None or line is None:
        return one
    arm = replace(one.arm, lines=(*one.arm.lines, replace(line, figure=SELECTED)))
    costs = {**one.costs, SELECTED: one.costs[one.own_figure]}
    return replace(one, arm=arm, curves=(*one.curves, replace(curve, name=SELECTED)), costs=costs)


def with_stopping_rules(one: Studied, run: Stored, seed: int) -> Studied:
    """Return an arm with what stopping rules would have bought on its candidates, if these know nothing of each other.

    None where answers do not vote (free text), a problem has no candidates, or one has more than 256.
    """
    pool = one.pool
    if pool is None or VOTE not in one.costs or run.recipe.task.kind == "text" or not pool.sizes.size:
        return one
    most = int(pool.sizes.max())
    if not pool.sizes.all() or not 2 < most <= MOST_CANDIDATES:
        return one
    cells = most * (int(pool.classes.max(initial=0)) + 1)
    orders = min(max(MOST_CELLS // cells, FEWEST_ORDERS), MOST_ORDERS)
    windows = [window for window in WINDOWS if window < most]
    rules = {
        "adaptive_consistency": adaptive_consistency_curve(pool, CONFIDENCES, num_orders=orders, seed=seed),
        "esc": esc_curve(pool, windows, num_orders=orders, seed=seed),
    }
    if WEIGHS in pool.scores:
        warmup = min(WARMUP, (most + 1) // 2)
        rules[f"{WEIGHS} consensus ({warmup} first)"] = consensus_curve(
            pool, CONSENSUSES, scorer=WEIGHS, warmup=warmup, num_orders=orders, seed=seed
        )
    units = units_of(pool.problem_ids, one.clusters)
    lines = [
        StoppingLine(rule, tuple(_told(point, one, units, seed) for point in found)) for rule, found in rules.items()
    ]
    return replace(one, arm=replace(one.arm, stopping=tuple(lines)))


def _told(point: Stopping, one: Studied, units: Sequence[str], seed: int) -> StoppingPoint:
    """Return a rule's point with all that it would have cost.

    What a problem's candidates cost beyond what they wrote (prompts, calls) falls to each alike.
    """
    pool, costs = one.pool, one.costs[VOTE]
    assert pool is not None
    each = {name: costs.amounts[name][0] / costs.ks[0] for name in AMOUNTS}
    written = pool.num_tokens.sum(axis=1) / pool.sizes
    beside = each["tokens"] - written
    tokens = point.num_tokens + beside * point.num_candidates
    per_token = np.divide(each["flops"], each["tokens"], out=np.full(len(tokens), np.nan), where=each["tokens"] > 0)
    spent: dict[str, Floats] = {name: each[name] * point.num_candidates for name in AMOUNTS}
    spent |= {
        "written_tokens": point.num_tokens + (each["written_tokens"] - written) * point.num_candidates,
        "tokens": tokens,
        "flops": per_token * tokens,
    }
    means = {name: float(values.mean()) for name, values in spent.items()}
    errors = point.errors_of_tokens + np.abs(beside) * point.errors_of_candidates
    (found,) = estimates(point.lower[None], point.upper[None], units=units, seed=seed)
    number = len(tokens)
    return StoppingPoint(
        setting=point.setting,
        budget=Budget(**{name: value if known(value) else None for name, value in means.items()}),
        lower=found.lower,
        upper=found.upper,
        interval_low=found.interval_low,
        interval_high=found.interval_high,
        cost_error=float(np.sqrt((errors**2).sum()) / number),
        sampling_error=float(np.sqrt((point.errors_of_accuracy**2).sum()) / number),
    )


def frontier(arms: Sequence[Arm], figure: str, axis: str) -> tuple[Frontier, ...]:
    """Return the points of a figure, and of stopping rules, that nothing dominates, by rising cost; none on axis k.

    What is undecided counts as wrong.
    """
    if axis == "k":
        return ()
    found = [
        Frontier(arm.name, f"k = {point.k}", cost, point.lower, point.upper)
        for arm in arms
        for point in arm.points(figure)
        if (cost := point.amount(axis)) is not None
    ]
    found += [
        Frontier(arm.name, f"{line.rule} {decimal(point.setting)}", cost, point.lower, point.upper)
        for arm in arms
        for line in arm.stopping
        for point in line.points
        if (cost := getattr(point.budget, axis)) is not None
    ]
    return tuple(found[place] for place in undominated([(one.cost, one.lower) for one in found]))
