"""The share of right candidates of each problem: how problems spread over it, and one recipe against another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from tts.errors import plural
from tts.metrics.bootstrap import DIGITS
from tts.metrics.pool import Pool
from tts.report.bars import Bars, Dots
from tts.report.counts import BINS, Against, Rates
from tts.report.data import Report

MOST_PAIRS = 4


def rates_of(pool: Pool) -> Rates:
    """Return how many problems fall into each of `BINS`; those without candidates into none."""

    def numbers(right: Sequence[int]) -> tuple[int, ...]:
        sizes = pool.sizes.tolist()
        places = Counter(_bin(one, size) for one, size in zip(right, sizes, strict=True) if size)
        return tuple(places[place] for place in range(len(BINS)))

    right = pool.passed.sum(axis=1)
    return Rates(numbers(right.tolist()), numbers((right + pool.open.sum(axis=1)).tolist()))


def _bin(right: int, size: int) -> int:
    inner = len(BINS) - 2
    return 0 if right == 0 else inner + 1 if right == size else -(-inner * right // size)


def shares_of(pool: Pool, keys: Mapping[str, str]) -> dict[str, float]:
    """Return the share of right candidates, undecided ones wrong, by the name that all recipes share."""
    counts = zip(pool.problem_ids, pool.passed.sum(axis=1).tolist(), pool.sizes.tolist(), strict=True)
    return {keys[name]: round(right / size, DIGITS) for name, right, size in counts if size}


def against(shares: Mapping[str, Mapping[str, float]], baseline: str | None) -> tuple[Against, ...]:
    """Return the recipes, by name, against the baseline or the first: up to `MOST_PAIRS`, on the problems of both."""
    base = next(iter(shares), "") if baseline is None else baseline
    found = []
    for name, of_arm in shares.items():
        both = [one for one in of_arm if one in shares[base]]
        if name != base and both:
            points = Counter((shares[base][one], of_arm[one]) for one in both)
            found.append(Against(base, name, tuple((x, y, number) for (x, y), number in sorted(points.items()))))
    return tuple(found[:MOST_PAIRS])


def bars(report: Report) -> Bars | None:
    """Return the histogram of all recipes; None where nothing is graded."""
    arms = [(arm.name, arm.rates) for arm in report.arms if arm.rates is not None and any(arm.rates.numbers)]
    if not arms:
        return None
    return Bars(
        name="rates",
        title="Problems by their share of right candidates",
        description="Exactly none and exactly all stand alone. Undecided candidates are counted as wrong.",
        x_title="share of a problem's candidates that are right",
        labels=BINS,
        names=tuple(name for name, _ in arms),
        numbers=tuple(rates.numbers for _, rates in arms),
    )


def dots(report: Report) -> Iterator[Dots]:
    """Yield each pair as a scatter."""
    for number, one in enumerate(report.against, start=1):
        above = sum(times for x, y, times in one.points if y > x)
        below = sum(times for x, y, times in one.points if y < x)
        same = sum(times for *_, times in one.points) - above - below
        yield Dots(
            name=f"against-{number}",
            title=f"{one.second} against {one.first}, problem by problem",
            description=(
                f"{one.second} has more right candidates on {plural(above, 'problem')}, fewer on {below}, as many on "
                f"{same}. A dot's area is the number of problems; on the diagonal both are equal."
            ),
            x_title=f"right of {one.first}",
            y_title=f"right of {one.second}",
            dots=one.points,
        )
