"""What is read off how many candidates of each problem are right: rates, reliability, coverage that was not drawn.

Undecided verdicts make ranges, as everywhere: all of them wrong, all right. Nothing is known of a problem with fewer
candidates than it takes: it counts as 0 and as 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter

import numpy as np

from tts.metrics.bootstrap import DIGITS, estimates
from tts.metrics.coverage_law import FARTHEST, Extrapolated, extrapolated
from tts.metrics.g_pass import g_pass_at_k, mean_g_pass_at_k
from tts.metrics.pool import Pool, picked
from tts.metrics.subsets import Floats, Ints, short
from tts.metrics.units import units_of

SHARES = (0.25, 0.5, 0.75, 1.0)
STEPS = (1.5, 2.0, 3.0, float(FARTHEST))
"""How many times the candidates that there are coverage is told of."""


@dataclass(frozen=True, slots=True)
class Reliable:
    """G-Pass@k at a share τ: the chance that at least that share of k candidates is right; `share` None: mG-Pass@k."""

    share: float | None
    k: int
    lower: float
    upper: float
    interval_low: float
    interval_high: float

    @property
    def name(self) -> str:
        """What it is called: `G-Pass@8, τ = 0.5` or `mG-Pass@8`."""
        return f"mG-Pass@{self.k}" if self.share is None else f"G-Pass@{self.k}, τ = {self.share:g}"


BINS = ("0", "to 20 %", "to 40 %", "to 60 %", "to 80 %", "< 100 %", "100 %")
"""Shares of right candidates: exactly none, up to and with a fifth, …, less than all, exactly all."""


@dataclass(frozen=True, slots=True)
class Rates:
    """How many problems have so many right candidates, by `BINS`: undecided ones wrong, and right (`upper_numbers`)."""

    numbers: tuple[int, ...]
    upper_numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Against:
    """The share of right candidates, undecided ones wrong, of two arms: `points` are (first, second, problems)."""

    first: str
    second: str
    points: tuple[tuple[float, float, int], ...]


def reliability_of(pool: Pool, k: int, *, clusters: Mapping[str, str], seed: int) -> tuple[Reliable, ...]:
    """Return G-Pass@k at each of `SHARES`, then mG-Pass@k; none at k = 1, where all of them are pass@1."""
    there = pool.sizes >= k
    if k == 1 or not there.any():
        return ()
    right = pool.passed.sum(axis=1)

    def values(num_right: Ints, unknown: float) -> Floats:
        # Problems with as many candidates of which as many are right are one kind.
        kinds, kind = np.unique(np.stack([pool.sizes, num_right])[:, there], axis=1, return_inverse=True)
        sizes, rights = kinds
        figures = [*(g_pass_at_k(sizes, rights, k, share) for share in SHARES), mean_g_pass_at_k(sizes, rights, k)]
        table = np.full((len(figures), pool.num_problems), unknown)
        table[:, there] = np.clip(np.stack(figures), 0.0, 1.0)[:, kind.ravel()]
        return table

    found = estimates(
        values(right, 0.0),
        values(right + pool.open.sum(axis=1), 1.0),
        units=units_of(pool.problem_ids, clusters),
        seed=seed,
    )
    return tuple(
        Reliable(share, k, one.lower, one.upper, one.interval_low, one.interval_high)
        for share, one in zip((*SHARES, None), found, strict=True)
    )


def beyond(pool: Pool, *, clusters: Mapping[str, str], seed: int) -> tuple[Extrapolated, ...]:
    """Return coverage at `STEPS` times the fewest candidates of a problem that is not `short`.

    What is undecided is taken all wrong and all right, and the ends of both are told. None where the law has no shape
    (see `tts.metrics.coverage_law`).
    """
    drawn = picked(pool, np.flatnonzero(~short(pool.sizes)).tolist())
    fewest = int(drawn.sizes.min(initial=0 if not drawn.num_problems else np.iinfo(np.int64).max))
    if fewest < 2:
        return ()
    ks, units = [int(fewest * step) for step in STEPS], units_of(drawn.problem_ids, clusters)
    right, undecided = drawn.passed.sum(axis=1), drawn.open.sum(axis=1)
    low = extrapolated(drawn.sizes, right, ks, units=units, seed=seed)
    high = extrapolated(drawn.sizes, right + undecided, ks, units=units, seed=seed) if undecided.any() else low
    if not low or not high:
        return ()
    # The law need not rise with every candidate that is right, so that the two ends may come in any order.
    pairs = list(zip(low, high, strict=True))
    share = drawn.num_problems / pool.num_problems

    def least(name: str) -> list[float]:
        return [round(share * min(map(attrgetter(name), pair)), DIGITS) for pair in pairs]

    def most(name: str) -> list[float]:
        return [round(share * max(map(attrgetter(name), pair)) + 1 - share, DIGITS) for pair in pairs]

    ends = [(f"{kind}low", f"{kind}high") for kind in ("", "interval_", "bound_")]
    columns = [column for one, other in ends for column in (least(one), most(other))]
    return tuple(map(Extrapolated, ks, *columns))
