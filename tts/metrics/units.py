"""What problems are drawn with: alone, or in clusters (of a passage, a translation, a template), which are the unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tts.metrics.subsets import Floats


def units_of(problem_ids: Sequence[str], clusters: Mapping[str, str]) -> list[str]:
    """Return the name of each problem's unit: that of its cluster, else its own."""
    return [f"cluster {clusters[one]}" if one in clusters else f"problem {one}" for one in problem_ids]


def by_unit(values: Floats, units: Sequence[str]) -> tuple[Floats, Floats]:
    """Return the sums of `values`, [rows, problems], in each unit, and how many they are, both [rows, num_units].

    NaN: that problem is not in this row. Units come in the order of their names.
    """
    place = {name: number for number, name in enumerate(sorted(set(units)))}
    member = np.array([place[name] for name in units], dtype=np.int64)
    present = ~np.isnan(values)
    sums, sizes = np.zeros((len(values), len(place))), np.zeros((len(values), len(place)))
    for row, here in enumerate(present):
        sizes[row] = np.bincount(member[here], minlength=len(place))
        sums[row] = np.bincount(member[here], values[row, here], minlength=len(place))
    return sums, sizes
