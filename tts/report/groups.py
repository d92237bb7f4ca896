"""Figures by what rows say of their problems, such as a level or a subject: single figures, no tests between them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tts.metrics.bootstrap import DIGITS
from tts.metrics.curves import Curve
from tts.metrics.intervals import wilson
from tts.metrics.units import units_of
from tts.types import JSON

FEWEST_VALUES, MOST_VALUES = 2, 20
LONGEST_VALUE = 60
ONE_SAMPLE, COVERAGE = "random", "pass@k"

Told: TypeAlias = "Mapping[str, str | None]"
"""What a row says of its problem, by key; None: too long for a table, or no text, number or truth value."""


@dataclass(frozen=True, slots=True)
class Group:
    """A figure at one k of the problems whose rows have `value` under `key` (None: they have not that key).

    The interval is Wilson's, with the problems, or their clusters, as its number.
    """

    key: str
    value: str | None
    num_problems: int
    figure: str
    k: int
    lower: float
    upper: float
    interval_low: float
    interval_high: float


def told(metadata: Mapping[str, JSON]) -> Told:
    """Return what of a row's other keys can head a line of a table."""
    return {key: _text(value) for key, value in metadata.items()}


def _text(value: JSON) -> str | None:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if isinstance(value, str | int | float) and len(text) <= LONGEST_VALUE else None


def groups_of(
    rows: Mapping[str, Told], curves: Sequence[Curve], figure: str, k: int, clusters: Mapping[str, str]
) -> tuple[Group, ...]:
    """Return pass@1, `figure` and pass@k at `k` for each value of each key that has 2 to 20; `rows` go by the problem.

    A key is left out if a problem's value is none for a table.
    """
    wanted = [curve for curve in curves if curve.name in {ONE_SAMPLE, figure, COVERAGE} and k in curve.ks]
    if not wanted:
        return ()
    ids = wanted[0].problem_ids
    units = units_of(ids, clusters)
    found = []
    for key in dict.fromkeys(key for one in ids for key in rows[one]):
        members: dict[str | None, list[int]] = {}  # places of problems, by value
        for place, one in enumerate(ids):
            if key in rows[one]:
                members.setdefault(rows[one][key], []).append(place)
        without = [place for place, one in enumerate(ids) if key not in rows[one]]
        if None in members or not FEWEST_VALUES <= len(members) <= MOST_VALUES:
            continue
        ordered = sorted(((value or "", places) for value, places in members.items()), key=lambda one: _order(one[0]))
        for value, places in [*ordered, *([(None, without)] if without else [])]:
            num_units = len({units[place] for place in places})
            for curve in wanted:
                row = curve.ks.index(k)
                lower, upper = (float(side[row, places].mean()) for side in (curve.lower, curve.upper))
                figures = (lower, upper, wilson(lower, num_units)[0], wilson(upper, num_units)[1])
                at = 1 if curve.name == ONE_SAMPLE else k
                found.append(
                    Group(key, value, len(places), curve.name, at, *(round(number, DIGITS) for number in figures))
                )
    return tuple(found)


def _order(value: str) -> tuple[bool, float, str]:
    """Return what sorts numbers by their size, before texts."""
    try:
        return False, float(value), value
    except ValueError:
        return True, 0.0, value
