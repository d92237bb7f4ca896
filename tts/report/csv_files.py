"""A report's data as CSV files, one kind of record a file; what is not known is an empty cell."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

from tts.report.data import Arm, ArmView, CandidateView, Report

Row: TypeAlias = "Mapping[str, Any]"
TEXTS = {"text", "reasoning", "detail", "scores"}


def write_csv(report: Report, folder: Path) -> list[Path]:
    """Write `curves`, `comparisons`, `speeds`, `arms`, `problems` and `candidates` (without texts) into `folder`.

    Return the files; the folder is made. UTF-8; shares are in [0, 1]; a file without records has no lines.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tables = {
        "curves": _curves(report),
        "comparisons": map(asdict, report.contrasts),
        "speeds": map(asdict, report.speeds),
        "arms": map(_arm, report.arms),
        "problems": _problems(report),
        "candidates": _candidates(report),
    }
    return [_write(folder / f"{name}.csv", list(rows)) for name, rows in tables.items()]


def _write(path: Path, rows: list[Row]) -> Path:
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([names] if rows else [])
        writer.writerows([_cell(row.get(name)) for name in names] for row in rows)
    return path


def _cell(value: Any) -> Any:
    return "" if value is None or (isinstance(value, float) and not math.isfinite(value)) else value


def _curves(report: Report) -> Iterator[Row]:
    for arm in report.arms:
        for line in arm.lines:
            yield from ({"arm": arm.name, "figure": line.figure, **asdict(point)} for point in line.points)


def _arm(arm: Arm) -> Row:
    """Return an arm's counts, costs and diversity side by side; a score per k or order is a column each."""
    quality = asdict(arm.quality)
    distinct = quality.pop("distinct_answers")
    spread = asdict(arm.spread) if arm.spread else {}
    vendi = spread.pop("vendi", {})
    return {
        "arm": arm.name,
        "run": arm.run,
        "num_problems": arm.num_problems,
        "num_graded": arm.num_graded,
        **asdict(arm.cost),
        **quality,
        "distinct_answers": distinct[-1] if distinct else None,
        **spread,
        **{f"vendi_{order}": value for order, value in vendi.items()},
    }


def _problems(report: Report) -> Iterator[Row]:
    for problem in report.problems:
        for view in problem.arms:
            yield {"problem_id": problem.id, "kind": problem.kind, "arm": view.arm, **_outcome(view)}


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


def _candidates(report: Report) -> Iterator[Row]:
    for problem in report.problems:
        for view in problem.arms:
            yield from ({"problem_id": problem.id, "arm": view.arm, **_facts(one)} for one in view.candidates)


def _facts(one: CandidateView) -> Row:
    facts = {name: getattr(one, name) for name in one.__slots__ if name not in TEXTS}
    return {**facts, **{f"score:{name}": value for name, value in one.scores.items()}}
