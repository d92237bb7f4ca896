"""Candidates per second and peak memory of the whole pipeline on the replay engine.

    python benchmarks/pipeline.py [--candidates 8] [--repeats 3] [--beside CHECKOUT] 1000 10000

Each size runs as its own process (`tts solve` from a JSONL file, stdout to a file), sizes interleaved. Printed: median
candidates per second over the whole command, start-up included, with the range; the median peak memory. With
`--beside`, another commit's checkout takes turns with this one, and the ratios of the rates are printed, too: by wall
time and by CPU time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

RECIPE = """\
task: math
engine:
  name: replay
  script: ["It is \\\\boxed{42}.", "It is \\\\boxed{41}.", "So \\\\boxed{\\\\frac{84}{2}}.", "no idea"]
sampler: {name: temperature, num_candidates: %d}
selector: majority_vote
"""


HERE = Path(__file__).parents[1]


def solve(folder: Path, num_problems: int, checkout: Path) -> tuple[float, float, float]:
    """Run one size with the package of a checkout; return (wall seconds, CPU seconds, peak memory in MB)."""
    arguments = [sys.executable, "-m", "tts", "solve", f"{num_problems}.jsonl", "--recipe", "recipe.yaml"]
    began = time.perf_counter()
    process = os.posix_spawn(
        sys.executable,
        [*arguments, "--run", f"run-{num_problems}-{began}"],
        {**os.environ, "PYTHONPATH": str(checkout)},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 1, str(folder / "out.jsonl"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
            (os.POSIX_SPAWN_OPEN, 2, str(folder / "err.txt"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
        ],
    )
    _, status, usage = os.wait4(process, 0)
    seconds = time.perf_counter() - began
    assert status == 0, (folder / "err.txt").read_text()
    assert sum(1 for _ in (folder / "out.jsonl").open()) == num_problems
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", type=int, nargs="+", help="numbers of problems")
    parser.add_argument("--candidates", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--beside", type=Path, metavar="CHECKOUT", help="the folder of another commit")
    args = parser.parse_args()
    checkouts = [HERE, *([args.beside.resolve()] if args.beside else [])]
    measured: dict[tuple[int, Path], list[tuple[float, float, float]]] = {
        (size, checkout): [] for size in args.sizes for checkout in checkouts
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.chdir(folder)
        (folder / "recipe.yaml").write_text(RECIPE % args.candidates)
        for size in args.sizes:
            lines = (json.dumps({"id": f"p{n}", "problem": f"What is {n}?", "answer": "42"}) for n in range(size))
            (folder / f"{size}.jsonl").write_text("\n".join(lines) + "\n")
        for number in range(args.repeats):
            turns = list(measured.items())
            for (size, checkout), runs in reversed(turns) if number % 2 else turns:
                runs.append(solve(folder, size, checkout))
    print("| problems | candidates | checkout | candidates/s (range) | peak memory MB |\n|---|---|---|---|---|")
    for (size, checkout), runs in measured.items():
        num = size * args.candidates
        rates = sorted(num / seconds for seconds, _, _ in runs)
        memory = statistics.median(peak for _, _, peak in runs)
        told = f"{statistics.median(rates):.0f} ({rates[0]:.0f}–{rates[-1]:.0f})"
        print(f"| {size} | {num} | {'this' if checkout == HERE else checkout.name} | {told} | {memory:.0f} |")
    for size in args.sizes if args.beside else ():
        told = []
        for clock in (0, 1):
            both = zip(measured[size, checkouts[1]], measured[size, HERE], strict=True)
            ratios = sorted(other[clock] / mine[clock] for other, mine in both)
            told.append(f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f})")
        print(f"{size} problems, rate of this beside {checkouts[1].name}: {told[0]}, by CPU time {told[1]}")


if __name__ == "__main__":
    main()
