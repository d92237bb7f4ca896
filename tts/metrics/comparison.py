"""Two recipes on the same problems: paired differences at each k or budget, with interval, p-value, wins and losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tts.errors import UsageError
from tts.metrics.paired import Look, family, rounded
from tts.metrics.power import Power, detectable
from tts.metrics.subsets import Floats
from tts.metrics.units import by_unit, units_of


class Figures(Protocol):
    """A figure of each problem at several places; a `Curve` is one, whose places are its ks (see there)."""

    @property
    def name(self) -> str:
        """What it is a figure of."""

    @property
    def places(self) -> Sequence[float]:
        """Where its rows are: numbers of candidates, or budgets."""

    @property
    def problem_ids(self) -> tuple[str, ...]:
        """Whose values its columns are."""

    @property
    def num_candidates(self) -> int:
        """The candidates of a problem that they rest on."""

    @property
    def lower(self) -> Floats:
        """The values with all undecided wrong, [num_places, num_problems]."""

    @property
    def upper(self) -> Floats:
        """The same with all right."""


@dataclass(frozen=True, slots=True)
class Record:
    """On how many problems the first recipe does better, worse, alike; `num_open`: that hangs on what is undecided."""

    num_wins: int
    num_losses: int
    num_ties: int
    num_open: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """The first recipe minus the second, at one place of an axis (k, or a budget), on the problems that both have.

    The lower end of `look` counts the first's undecided verdicts as wrong and the second's as right, the upper end the
    other way round. Its p-values are NaN where problems come in fewer than 6 clusters. `power` counts all as wrong.
    """

    figure: str
    place: float
    look: Look
    record: Record
    power: Power


@dataclass(frozen=True, slots=True)
class Compared:
    """Comparisons taken together. `level`: one is told apart where its p-value is at most this."""

    comparisons: tuple[Comparison, ...]
    level: float


def compare(
    pairs: Sequence[tuple[Figures, Figures]], *, clusters: Mapping[str, str] | None = None, seed: int = 0
) -> Compared:
    """Return the comparison of each pair of curves at each place, in that order, corrected for all of them.

    A pair is compared on the problems that both its curves have; problems' order does not matter. `clusters` names by
    problem id what problems are drawn together. Raises UsageError where a pair's figures or places are not the same, or
    no problem is in both.
    """
    ids = sorted({one for pair in pairs for curve in pair for one in curve.problem_ids})
    units = units_of(ids, clusters or {})
    shared: list[tuple[Figures, Figures, int]] = []
    ends: list[Floats] = []  # of each look: the lower end, the upper, and all undecided counted as wrong
    for first, second in pairs:
        if (first.name, list(first.places)) != (second.name, list(second.places)):
            raise UsageError(
                f"both curves must be of the same figure at the same places, got {first.name} at "
                f"{list(first.places)} and {second.name} at {list(second.places)}"
            )
        if not set(first.problem_ids) & set(second.problem_ids):
            raise UsageError("a comparison must have at least one problem that both recipes solved, got none")
        (low, high), (other_low, other_high) = (
            (_at(ids, curve, curve.lower), _at(ids, curve, curve.upper)) for curve in (first, second)
        )
        shared += [(first, second, row) for row in range(len(first.places))]
        ends += list(np.stack([low - other_high, high - other_low, low - other_low], axis=1))

    lower, upper, as_wrong = np.moveaxis(rounded(np.reshape(ends, (len(shared), 3, len(ids)))), 1, 0)
    found = family(lower, units, upper=upper, seed=seed)
    sums, sizes = by_unit(as_wrong, units)
    comparisons = []
    for place, ((first, second, row), look) in enumerate(zip(shared, found.looks, strict=True)):
        in_pair = sizes[place] > 0
        comparisons.append(
            Comparison(
                first.name,
                first.places[row],
                look.of_clusters(int(in_pair.sum())) if clusters else look,
                _record(lower[place], upper[place]),
                Power(
                    look.num_problems,
                    min(first.num_candidates, second.num_candidates),
                    len(shared),
                    detectable(sums[place][in_pair], look.num_problems, found.level),
                    int(in_pair.sum()) if clusters else None,
                ),
            )
        )
    return Compared(tuple(comparisons), found.level)


def _at(ids: Sequence[str], curve: Figures, values: Floats) -> Floats:
    """Return a curve's values at these problems, [num_ks, ids]; NaN where it has none."""
    table = np.full((len(values), len(ids)), np.nan)
    place = {name: number for number, name in enumerate(ids)}
    table[:, [place[name] for name in curve.problem_ids]] = values
    return table


def _record(lower: Floats, upper: Floats) -> Record:
    wins, losses = lower > 0, upper < 0
    ties = (lower == 0) & (upper == 0)
    undecided = ~(wins | losses | ties | np.isnan(lower))
    return Record(int(wins.sum()), int(losses.sum()), int(ties.sum()), int(undecided.sum()))
