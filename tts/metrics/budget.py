"""What the points of a curve cost: all engines together, what was thrown away included.

The sum over a run's ledger is what a problem took. Of candidates that know nothing of each other, k of n take k / n of
that, on average over subsets; of a run that was made for its k, a point takes all of it.

What is read counts in full, unless of every run that is compared it is on record what a cache saved: of a candidate
that was drawn in one go it is not, and would seem to cost more than the same one drawn by a search.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from tts.metrics.subsets import Floats
from tts.types import Spent


@dataclass(frozen=True, slots=True)
class Budget:
    """What a problem takes at one point: means over the problems whose cost is known.

    Of the `prompt_tokens` that all engines read, `cached_tokens` came from a cache. `tokens` and `flops` are those read
    and written on the axis of costs (see above for what a cache saved). None: not known.
    """

    num_candidates: float | None
    num_calls: float | None
    written_tokens: float | None
    prompt_tokens: float | None
    cached_tokens: float | None
    tokens: float | None
    flops: float | None


AMOUNTS = tuple(one.name for one in fields(Budget))


@dataclass(frozen=True, slots=True)
class Costs:
    """What each point takes of each problem: `amounts` by the names of `Budget`, [num_ks, num_problems] each.

    NaN where an amount is not known, or a problem has no candidates.
    """

    ks: tuple[int, ...]
    problem_ids: tuple[str, ...]
    amounts: Mapping[str, Floats]

    def budgets(self, problem_ids: Sequence[str] | None = None) -> list[Budget]:
        """Return the budget of each point: the mean over those of some problems (None: all) whose cost is known."""
        place = {name: number for number, name in enumerate(self.problem_ids)}
        wanted = self.problem_ids if problem_ids is None else problem_ids
        columns = [place[one] for one in wanted if one in place]
        means = {name: _means(table[:, columns]) for name, table in self.amounts.items()}
        return [
            Budget(**{name: None if math.isnan(row[number]) else row[number] for name, row in means.items()})
            for number in range(len(self.ks))
        ]

    def renamed(self, names: Mapping[str, str]) -> Costs:
        """Return the same of problems under other names."""
        return replace(self, problem_ids=tuple(names[one] for one in self.problem_ids))


def costs_of_subsets(
    ks: Sequence[int], sizes: Mapping[str, int], ledgers: Mapping[str, Mapping[str, Spent]], *, with_hits: bool = False
) -> Costs:
    """Return what k of a problem's candidates cost, given how many there are and what each problem's took by engine."""
    totals = _totals(sizes, ledgers, with_hits=with_hits)
    number = np.array(list(sizes.values()), dtype=np.float64)
    shares = np.array(ks, dtype=np.float64)[:, None] / np.where(number > 0, number, np.nan)
    return Costs(tuple(ks), tuple(sizes), {name: shares * totals[name] for name in AMOUNTS})


def costs_of_whole(
    k: int, sizes: Mapping[str, int], ledgers: Mapping[str, Mapping[str, Spent]], *, with_hits: bool = False
) -> Costs:
    """Return what the run that was made for this k cost; `sizes` are those of the problems that are complete."""
    totals = _totals(sizes, ledgers, with_hits=with_hits)
    return Costs((k,), tuple(sizes), {name: totals[name][None] for name in AMOUNTS})


def joined_costs(parts: Sequence[Costs]) -> Costs:
    """Return the costs of the points of several runs, by k; NaN for a problem that one lacks."""
    parts = sorted(parts, key=lambda one: one.ks)
    ids = tuple(dict.fromkeys(name for one in parts for name in one.problem_ids))
    place = {name: number for number, name in enumerate(ids)}
    amounts = {}
    for name in AMOUNTS:
        rows = []
        for one in parts:
            table = np.full((len(one.ks), len(ids)), np.nan)
            table[:, [place[each] for each in one.problem_ids]] = one.amounts[name]
            rows.append(table)
        amounts[name] = np.concatenate(rows)
    return Costs(tuple(k for one in parts for k in one.ks), ids, amounts)


def _totals(
    sizes: Mapping[str, int], ledgers: Mapping[str, Mapping[str, Spent]], *, with_hits: bool
) -> dict[str, Floats]:
    """Return what each problem took, by the names of `Budget`, [num_problems] each."""
    found = {name: np.full(len(sizes), np.nan) for name in AMOUNTS}
    for place, (problem_id, size) in enumerate(sizes.items()):
        spent = list(ledgers[problem_id].values())
        if any(one.num_uncounted for one in spent):  # a lower bound would make an arm cheaper than it is
            written = math.nan
        else:
            written = float(sum(one.written_tokens for one in spent))
        read, cached = sum(one.prompt_tokens for one in spent), sum(one.cached_tokens for one in spent)
        flops = math.fsum(_flops(one, with_hits=with_hits) for one in spent)
        values = (
            float(size),
            float(sum(one.num_calls for one in spent)),
            written,
            float(read),
            float(cached) if with_hits else math.nan,
            written + read - (cached if with_hits else 0),
            flops if not math.isnan(written) else math.nan,
        )
        for name, value in zip(AMOUNTS, values, strict=True):
            found[name][place] = value
    return found


def _flops(spent: Spent, *, with_hits: bool) -> float:
    if spent.flops is None:
        return math.nan if spent.num_calls else 0.0
    computed = spent.prompt_tokens + spent.written_tokens - spent.cached_tokens
    if with_hits or not computed:
        return spent.flops
    return spent.flops * (computed + spent.cached_tokens) / computed


def _means(table: Floats) -> list[float]:
    """Return the mean of each row over what is known; NaN where nothing is."""
    known = ~np.isnan(table)
    sums, numbers = np.where(known, table, 0.0).sum(axis=1), known.sum(axis=1)
    means: list[float] = np.where(numbers > 0, sums / np.maximum(numbers, 1), np.nan).tolist()
    return means
