"""A report's data as CSV files, one kind of record a file; what is not known is an empty cell."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeAlias

from tts.metrics.budget import Budget
from tts.metrics.coverage_law import Extrapolated
from tts.report.counts import Reliable
from tts.report.data import Arm, ArmView, CandidateView, Contrast, Frontier, Point, Report, Speed, StoppingPoint
from tts.report.groups import Group
from tts.runs.files import write_whole
from tts.runs.records import as_dict

Row: TypeAlias = "Mapping[str, Any]"
TEXTS = {"text", "reasoning", "detail", "scores"}


def write_csv(report: Report, folder: Path) -> list[Path]:
    """Write `curves`, `gains`, `reliability`, `beyond`, `groups`, `comparisons`, `speeds`, `arms`, `problems` and
    `candidates` (without texts) into `folder`.

    On an axis of costs also `stopping` and `frontier`. Return the files; the folder is made. UTF-8; shares are in
    [0, 1]; a file without records has its header alone.
    """
    views = [(problem, view) for problem in report.problems for view in problem.arms]
    tables: dict[str, list[Row]] = {
        "curves": [
            {"arm": arm.name, "figure": line.figure, **_spread_out(point)}
            for arm in report.arms
            for line in arm.lines
            for point in line.points
        ],
        "gains": [{"arm": arm.name, **asdict(one)} for arm in report.arms for one in arm.gains],
        "reliability": [{"arm": arm.name, **asdict(one)} for arm in report.arms for one in arm.reliability],
        "beyond": [{"arm": arm.name, **asdict(one)} for arm in report.arms for one in arm.beyond],
        "groups": [{"arm": arm.name, **asdict(one)} for arm in report.arms for one in arm.groups],
        "comparisons": [as_dict(one) for one in report.contrasts],
        "speeds": [asdict(one) for one in report.speeds],
        "arms": [_arm(arm) for arm in report.arms],
        "problems": [
            {"problem_id": one.id, "kind": one.kind, "arm": view.arm, **_outcome(view)} for one, view in views
        ],
        "candidates": [
            {"problem_id": problem.id, "arm": view.arm, **_facts(candidate)}
            for problem, view in views
            for candidate in view.candidates
        ],
    }
    if report.axis != "k":
        tables["stopping"] = [
            {"arm": arm.name, "rule": line.rule, **_spread_out(point)}
            for arm in report.arms
            for line in arm.stopping
            for point in line.points
        ]
        tables["frontier"] = [asdict(one) for one in report.frontier]
    heads: dict[str, Sequence[str]] = {
        "curves": ("arm", "figure", *_columns(Point)),
        "stopping": ("arm", "rule", *_columns(StoppingPoint)),
        "frontier": Frontier.__slots__,
        "reliability": ("arm", *Reliable.__slots__),
        "beyond": ("arm", *Extrapolated.__slots__),
        "groups": ("arm", *Group.__slots__),
        "comparisons": [name for name in Contrast.__slots__ if name not in Contrast.LATER],
        "speeds": Speed.__slots__,
        "problems": ("problem_id", "kind", "arm", *_outcome(ArmView("", None, "undecided", "", ()))),
        "candidates": ("problem_id", "arm", *(name for name in CandidateView.__slots__ if name not in TEXTS)),
    }
    for name, rows in tables.items():
        columns = list(dict.fromkeys((*heads.get(name, ()), *(column for row in rows for column in row))))
        file = io.StringIO(newline="")
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
        write_whole(folder / f"{name}.csv", file.getvalue().encode("utf-8", "backslashreplace"))
    return [folder / f"{name}.csv" for name in tables]


def _cell(value: Any) -> Any:
    return "" if value is None or (isinstance(value, float) and not math.isfinite(value)) else value


def _spread_out(point: Point | StoppingPoint) -> Row:
    """Return a point with a column for each amount of its budget."""
    row = asdict(point)
    budget = row.pop("budget") or {}
    return row | {f"budget:{name}": value for name, value in budget.items()}


def _columns(kind: type[Point | StoppingPoint]) -> list[str]:
    return [*(one for one in kind.__slots__ if one != "budget"), *(f"budget:{one.name}" for one in fields(Budget))]


def _arm(arm: Arm) -> Row:
    """Return an arm's counts, costs and diversity side by side; what an engine took, and each order, have columns."""
    cost, quality = as_dict(arm.cost), as_dict(arm.quality)
    engines = cost.pop("engines")
    quality.pop("distinct_answers")
    spread = asdict(arm.spread) if arm.spread else {}
    vendi = spread.pop("vendi", {})
    return {
        "arm": arm.name,
        "run": arm.run,
        "num_problems": arm.num_problems,
        "num_graded": arm.num_graded,
        **cost,
        **{f"{engine}:{name}": value for engine, spent in engines.items() for name, value in as_dict(spent).items()},
        **quality,
        "distinct_answers": arm.quality.most_distinct,
        **spread,
        **{f"vendi_{order}": value for order, value in vendi.items()},
    }


def _outcome(view: ArmView) -> Row:
    statuses = [one.status for one in view.candidates]
    return {
        "selected": view.selected,
        "status": view.status,
        "reason": view.reason,
        "num_candidates": len(statuses),
        "num_passed": statuses.count("passed"),
        "num_undecided": statuses.count("undecided"),
    }


def _facts(one: CandidateView) -> Row:
    facts = {name: getattr(one, name) for name in one.__slots__ if name not in TEXTS}
    return {**facts, **{f"score:{name}": value for name, value in one.scores.items()}}
