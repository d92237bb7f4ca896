"""Stored runs compared within their token limit: a candidate that the limit cut counts as wrong, not as undecided.

    python benchmarks/length_budget.py RUN RUN … [--k 1,4,16]

`tts bench` leaves open what a cut candidate would have become, so where many are cut its ranges are wide. What a model
gets done within a limit has no such doubt: every figure here is the lower end of its range, and every difference is
one of lower ends, paired over the problems, with 95 % intervals and p-values corrected for their number (Holm).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tts.candidate_file import open_stored
from tts.metrics.curves import Curve, curves
from tts.metrics.pool import pool
from tts.report.data import Contrast
from tts.report.gather import Wanted, gather
from tts.report.lines import PRIMARY, contrasts, line
from tts.stored import Stored


def within_limit(run: Stored, ks: Sequence[int]) -> list[Curve]:
    """Print a run's figures, and return their curves with no doubt left in them."""
    wanted = Wanted(tuple(run.problem_ids), num_texts=0, views=False, ballots=False)
    gathered = gather(run, run.path.name, wanted, lambda: None)
    graded, counts = pool(gathered.graded_rows()), gathered.counts
    found = [replace(one, upper=one.lower) for one in curves(graded, ks, seed=0) if one.name in PRIMARY]
    print(
        f"{run.path.name}: {graded.num_problems} problems, {counts['candidates']} candidates, "
        f"{counts['truncated']} cut, {counts['completion_tokens']} tokens; undecided: {dict(gathered.reasons)}"
    )
    for curve in found:
        for point in line(curve, graded, seed=0).points:
            interval = f"{100 * point.interval_low:.1f}–{100 * point.interval_high:.1f}"
            print(f"    {curve.name} at {point.k:3d}  {100 * point.lower:5.1f} %  ({interval})")
    return found


def told(one: Contrast) -> str:
    """Return a difference in percentage points, as a line."""
    interval = f"{100 * one.interval_low:+.1f} to {100 * one.interval_high:+.1f}"
    games = f"{one.num_wins} won, {one.num_losses} lost"
    p_values = f"p {one.p_value:.3f}, corrected {one.adjusted_p_value:.3f}"
    what = f"{one.first} − {one.second}  {one.figure} at {one.k}"
    return f"    {what}: {100 * one.lower:+.1f} ({interval}); {games}; {p_values}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--k", default="1,4,16", help="candidates to choose from")
    arguments = parser.parse_args()
    ks = [int(k) for k in arguments.k.split(",")]
    runs = open_stored(arguments.runs)
    arms = [(run.path.name, within_limit(run, ks)) for run in runs]
    for one in contrasts(arms, seed=0):
        print(told(one))


if __name__ == "__main__":
    main()
