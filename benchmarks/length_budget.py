"""Stored runs compared within their token limit: a candidate that the limit cut counts as wrong, not as undecided.

    python benchmarks/length_budget.py RUN RUN … [--k 1,4,16]

`tts bench` leaves open what a cut candidate would have become, so where many are cut its ranges are wide. What a model
gets done within a limit has no such doubt: every figure here is the lower end of its range (whatever else is undecided
counts as wrong, too; the reasons are counted), and every difference is one of lower ends, paired over the problems,
with 95 % intervals and p-values corrected for their number (Holm).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tts.cli.options import read_ks
from tts.metrics.curves import Curve, curves
from tts.metrics.pool import pool
from tts.report.data import Contrast
from tts.report.gather import Wanted, gather
from tts.report.lines import PRIMARY, contrasts, line
from tts.report.scope import check_ks, choose_problems, distinct_names
from tts.report.wording import at_k, interval, p_value, percent
from tts.runs.opening import open_stored
from tts.runs.stored import Stored


def within_limit(name: str, run: Stored, problem_ids: tuple[str, ...], ks: Sequence[int]) -> list[Curve]:
    """Print a run's figures, and return their curves with no doubt left in them."""
    gathered = gather(run, name, Wanted(problem_ids, num_texts=0, views=False, ballots=False), lambda: None)
    graded, counts = pool(gathered.graded_rows()), gathered.counts
    found = [replace(one, upper=one.lower) for one in curves(graded, ks, seed=0) if one.name in PRIMARY]
    print(
        f"{name}: {graded.num_problems} problems, {counts['candidates']} candidates, {counts['truncated']} cut, "
        f"{counts['completion_tokens']} tokens; undecided: {dict(gathered.reasons)}"
    )
    for curve in found:
        for point in line(curve, graded, seed=0).points:
            bounds = interval(point.interval_low, point.interval_high)
            print(f"    {at_k(curve.name, point.k):8}{percent(point.lower):>8}  ({bounds})")
    return found


def told(one: Contrast) -> str:
    """Return a difference in percentage points, as a line."""
    difference = percent(one.lower, sign=True)
    bounds = interval(one.interval_low, one.interval_high, sign=True)
    p_values = f"p {p_value(one.p_value)}, corrected {p_value(one.adjusted_p_value)}"
    what = f"{one.first} − {one.second}  {at_k(one.figure, one.k)}"
    return f"    {what}: {difference} ({bounds}); {one.num_wins} won, {one.num_losses} lost; {p_values}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--k", default="1,4,16", help="candidates to choose from")
    arguments = parser.parse_args()
    runs, ks = open_stored(arguments.runs), read_ks(arguments.k)
    names = distinct_names(runs)
    chosen, warnings = choose_problems(names, runs, ks)
    ks = check_ks(runs, chosen, ks)
    for warning in warnings:
        print(warning, file=sys.stderr)
    arms = [(name, within_limit(name, run, ids, ks)) for name, run, ids in zip(names, runs, chosen, strict=True)]
    if all(ids == chosen[0] for ids in chosen):
        print(*map(told, contrasts(arms, seed=0)), sep="\n")


if __name__ == "__main__":
    main()
