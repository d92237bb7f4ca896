"""Random k-subsets of a problem's candidates: the chances that everything exact in this package is made of."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tts.errors import UsageError, plural

Floats: TypeAlias = NDArray[np.float64]
Complexes: TypeAlias = NDArray[np.complex128]
LongFloats: TypeAlias = NDArray[np.longdouble]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]


def log_choose(a: ArrayLike, b: ArrayLike) -> LongFloats:
    """Return ln C(a, b), -inf where b > a or b = -1; broadcasts. `a` ≥ 0.

    Where long doubles have 64 bits, its exponential is good to the last digit of a double for a in the hundreds, and to
    about 1e-13 at 10,000.
    """
    a, b = np.asarray(a), np.asarray(b)
    logs = _log_factorials(int(max(a.max(initial=0), b.max(initial=0))).bit_length())
    return np.asarray(logs[a] - logs[b] - logs[a - b])


@lru_cache(maxsize=32)
def _log_factorials(num_bits: int) -> LongFloats:
    """Return ln 0!, ln 1!, … up to 2^num_bits - 1, then as many inf: what a negative index finds."""
    size = 1 << num_bits
    logs = np.full(2 * size, np.inf, dtype=np.longdouble)
    logs[:size] = np.cumsum(np.log(np.maximum(1, np.arange(size)).astype(np.longdouble)))
    logs.flags.writeable = False
    return logs


def odds_within(marked: ArrayLike, total: ArrayLike, k: int) -> Floats:
    """Return the chance C(marked, k) / C(total, k) that a random k-subset of `total` lies within the `marked`.

    Broadcasts; 0 where marked < k ≤ total, 1 where all are marked. Every `total` must be at least `k`.
    """
    return np.asarray(np.exp(log_choose(marked, k) - log_choose(total, k)), dtype=np.float64)


def short(sizes: Ints) -> Bools:
    """Tell which problems have too few candidates to set what k can be: at a k beyond theirs, nothing is known of them.

    These are problems without candidates; and those with fewer than half of the median, if they are one in 20 or fewer.
    """
    drawn = sizes > 0
    few = drawn & (sizes < np.median(sizes[drawn] if drawn.any() else 0) / 2)
    return ~drawn | (few if 20 * few.sum() <= len(sizes) else False)


def require_ks(ks: Sequence[int], sizes: Ints, problem_ids: tuple[str, ...]) -> None:
    """Raise UsageError unless 1 ≤ k ≤ n for every k and the number n of candidates of every problem not `short`."""
    for k in ks:
        if k < 1:
            raise UsageError(f"`k` must be at least 1, got {k}")
        setting = np.flatnonzero(~short(sizes))
        if setting.size and k > sizes[setting].min():
            fewest = int(setting[sizes[setting].argmin()])
            num_short = int((sizes < k).sum())
            raise UsageError(
                f"`k` must be at most {sizes[fewest]}, the number of candidates of problem {problem_ids[fewest]!r}, "
                f"got {k} ({plural(num_short, 'problem', of=sizes.size)} with fewer). Draw more "
                "candidates, or leave this k out"
            )
