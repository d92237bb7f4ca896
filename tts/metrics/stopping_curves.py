"""What stopping rules would have cost and reached on a stored pool, for nothing: at every threshold, without a model.

A pool of candidates that did not influence each other is drawn again in random orders, and the rule, the very function
by which the samplers stop (`tts.samplers.stopping`), looks at each beginning of an order and says when to stop; what is
handed in is the vote over what was drawn until then, weighed as the rule does, ties shared. Means are over random
orders, and each has the standard error that comes from drawing them; where a problem has no more orders than would be
drawn, each is counted once.

The tokens are those of the candidates that the rule looked at; a sampler that draws ahead of its decision pays more.
Drawn without replacement: a rule that reads most of a pool sees less chance than fresh draws would have.
DeepConf also gives up candidates in their middle: where a stored one would have been cut is not on record, so what that
saves cannot be told here; its stop at a consensus can.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from tts.errors import UsageError
from tts.metrics.parties import shared_by_vote
from tts.metrics.pool import Pool
from tts.metrics.subsets import Bools, Floats, Ints
from tts.samplers.stopping import ROUNDING, ahead, unanimous
from tts.types import Grouping

NUM_ORDERS = 256
"""Random orders of each problem."""

Links: TypeAlias = frozenset[tuple[int, int]]

Stops: TypeAlias = Callable[[Ints, Floats, Links], list[Ints]]
"""(classes and weights in the orders drawn [orders, most], links) → how many candidates each order takes, [orders] a
setting."""


@dataclass(frozen=True, slots=True)
class StoppingPoint:
    """What a rule does at one setting, each [num_problems]: means over the orders, with their standard errors.

    `lower` (all undecided wrong) and `upper` (all right) are the accuracy of the vote over what was drawn.
    """

    setting: float
    num_candidates: Floats
    num_tokens: Floats
    lower: Floats
    upper: Floats
    errors_of_candidates: Floats
    errors_of_tokens: Floats
    errors_of_accuracy: Floats


def adaptive_consistency_curve(
    pool: Pool, confidences: Sequence[float], *, most: int | None = None, num_orders: int = NUM_ORDERS, seed: int = 0
) -> list[StoppingPoint]:
    """Return the Beta criterion's point at each confidence, in (0.5, 1). `most`: draw no more (None: the pool)."""
    for confidence in confidences:
        if not 0.5 < confidence < 1:
            raise UsageError(f"`confidence` must be above 0.5 and below 1, got {confidence}")

    def stops(classes: Ints, weights: Floats, links: Links) -> list[Ints]:  # noqa: ARG001 # every vote weighs the same
        leads, runs_up = leaders_along(classes, links)
        pairs, places = np.unique(np.stack([leads, runs_up], axis=-1).reshape(-1, 2), axis=0, return_inverse=True)
        settled = [[ahead(*map(int, pair), confidence) for pair in pairs] for confidence in confidences]
        return [_first(np.array(met, dtype=bool)[places].reshape(leads.shape)) for met in settled]

    return _points(pool, confidences, stops, most=most, num_orders=num_orders, seed=seed)


def esc_curve(
    pool: Pool, windows: Sequence[int], *, most: int | None = None, num_orders: int = NUM_ORDERS, seed: int = 0
) -> list[StoppingPoint]:
    """Return the point of early-stopping self-consistency at each size of the window, from 1 on."""
    for window in windows:
        if window < 1:
            raise UsageError(f"`window` must be at least 1, got {window}")

    def stops(classes: Ints, weights: Floats, links: Links) -> list[Ints]:  # noqa: ARG001 # a window is one node
        found = []
        for window in windows:
            met = np.zeros(classes.shape, dtype=bool)
            for end in range(window, classes.shape[1] + 1, window):
                blocks = classes[:, end - window : end].tolist()
                met[:, end - 1] = [unanimous(_grouping(block), window) for block in blocks]
            found.append(_first(met))
        return found

    return _points(pool, windows, stops, most=most, num_orders=num_orders, seed=seed)


def consensus_curve(
    pool: Pool,
    consensuses: Sequence[float],
    *,
    scorer: str,
    warmup: int,
    most: int | None = None,
    num_orders: int = NUM_ORDERS,
    seed: int = 0,
) -> list[StoppingPoint]:
    """Return DeepConf's point at each consensus, in (0.5, 1]: the share of all weight that must be the leader's.

    A candidate weighs its score by `scorer`, from 0 on, in the rule and in the vote; one without a score abstains. At
    least `warmup` candidates are drawn.
    """
    for consensus in consensuses:
        if not 0.5 < consensus <= 1:
            raise UsageError(f"`consensus` must be above 0.5 and at most 1, got {consensus}")
    if warmup < 1:
        raise UsageError(f"`warmup` must be at least 1, got {warmup}")
    scores = pool.scores[scorer]
    if (scores < 0).any():
        raise UsageError(f"scores must be 0 or above to weigh votes, got {np.nanmin(scores)} by {scorer}")

    def stops(classes: Ints, weights: Floats, links: Links) -> list[Ints]:
        votes, linked = ~np.isnan(weights), _linked(classes, links)
        said = (classes[..., None] == np.arange(len(linked))) & votes[..., None]
        sums = (said * np.where(votes, weights, 0.0)[..., None]).cumsum(axis=1)
        leading = np.where(said.cumsum(axis=1) > 0, sums @ linked, 0.0).max(axis=-1)
        total = sums.sum(axis=-1)
        may_stop = (total > 0) & (np.arange(1, classes.shape[1] + 1) >= warmup)
        return [_first(may_stop & (leading >= (consensus - ROUNDING) * total)) for consensus in consensuses]

    return _points(pool, consensuses, stops, most=most, num_orders=num_orders, seed=seed, scores=scores)


def leaders_along(classes: Ints, links: Links) -> tuple[Ints, Ints]:
    """Return `tts.samplers.stopping.leaders` of every beginning of every order: [orders, most] each, fast.

    `classes` is [orders, most], below 0 for no answer.
    """
    most, linked = classes.shape[1], _linked(classes, links)
    said = classes[..., None] == np.arange(len(linked))
    votes = said.cumsum(axis=1)
    supports = np.where(votes > 0, votes @ linked, 0) if links else votes
    # The leader is, of those with most support, the one that was seen first.
    seen_at = np.where(said.any(axis=1), said.argmax(axis=1), most)[:, None]
    leader = (supports * (most + 1) + most - seen_at).argmax(axis=-1)
    first = np.take_along_axis(supports, leader[..., None], axis=-1)[..., 0]
    return first, np.where(linked[leader] > 0, 0, supports).max(axis=-1)


def _linked(classes: Ints, links: Links) -> Ints:
    """Return which nodes support which, themselves among them, [nodes, nodes]."""
    num_nodes = 1 + max(int(classes.max(initial=0)), *(right for _, right in links), 0)
    linked = np.eye(num_nodes, dtype=np.int64)
    for left, right in links:
        linked[left, right] = linked[right, left] = 1
    return linked


def _points(
    pool: Pool,
    settings: Sequence[float],
    stops: Stops,
    *,
    most: int | None,
    num_orders: int,
    seed: int,
    scores: Floats | None = None,
) -> list[StoppingPoint]:
    if most is not None and most < 1:
        raise UsageError(f"`most` must be at least 1, got {most}")
    if num_orders < 2:
        raise UsageError(f"`num_orders` must be at least 2, for a standard error, got {num_orders}")
    if not pool.sizes.all():
        empty = pool.problem_ids[int(np.argmin(pool.sizes))]
        raise UsageError(f"every problem must have a candidate, got none for {empty!r}")
    weights = np.where(pool.classes >= 0, 1.0 if scores is None else scores, np.nan)
    choose = shared_by_vote(pool, weights)
    tables = np.zeros((len(settings), 4, 2, pool.num_problems))  # of each setting: what, mean or error
    for problem in range(pool.num_problems):
        orders, are_all = _orders(int(pool.sizes[problem]), most, num_orders, np.random.default_rng([seed, problem]))
        classes = pool.classes[problem][orders]
        tokens = pool.num_tokens[problem][orders].cumsum(axis=1)
        for row, taken in enumerate(stops(classes, weights[problem][orders], pool.links[problem])):
            right = np.zeros((2, len(orders)))  # undecided ones wrong, and right
            for number in np.unique(taken):  # those that stop together are voted on together
                those = np.flatnonzero(taken == number)
                drawn = orders[those, :number]
                shares, _ = choose(np.full(len(those), problem), drawn)
                right[0, those] = (shares * pool.passed[problem][drawn]).sum(axis=1)
                right[1, those] = right[0, those] + (shares * pool.open[problem][drawn]).sum(axis=1)
                # Nothing is handed in, but nothing is decided, either.
                is_cut = pool.cut[problem][drawn]
                undecided = (is_cut | pool.open[problem][drawn]).all(axis=1) & ~is_cut.all(axis=1)
                right[1, those] += undecided & ~shares.any(axis=1)
            values = np.stack([taken, tokens[np.arange(len(orders)), taken - 1], *right])
            tables[row, :, 0, problem] = values.mean(axis=1)
            if not are_all:
                tables[row, :, 1, problem] = values.std(axis=1, ddof=1) / math.sqrt(len(orders))
    return [
        StoppingPoint(
            setting=setting,
            num_candidates=table[0, 0],
            num_tokens=table[1, 0],
            lower=table[2, 0],
            upper=table[3, 0],
            errors_of_candidates=table[0, 1],
            errors_of_tokens=table[1, 1],
            errors_of_accuracy=table[2:, 1].max(axis=0),
        )
        for setting, table in zip(settings, tables, strict=True)
    ]


def _orders(size: int, most: int | None, num_orders: int, rng: np.random.Generator) -> tuple[Ints, bool]:
    """Return the beginnings of random orders of `size` candidates, [orders, most], and whether these are all."""
    length = size if most is None else min(size, most)
    if math.perm(size, length) <= num_orders:
        return np.array(list(itertools.permutations(range(size), length))), True
    return rng.permuted(np.tile(np.arange(size), (num_orders, 1)), axis=1)[:, :length], False


def _first(met: Bools) -> Ints:
    """Return how many candidates each order takes until the rule is met, all where it never is; `met` is by place."""
    return np.asarray(np.where(met.any(axis=1), met.argmax(axis=1) + 1, met.shape[1]))


def _grouping(classes: Sequence[int]) -> Grouping:
    return Grouping(tuple(None if one < 0 else one for one in classes))
