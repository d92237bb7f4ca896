"""How fast searches are driven: calls a second on the replay engine, log and all, and the memory of many problems.

    python benchmarks/searches.py [--problems 300 1200] [--sampler prm_beam]

Prints for each number of problems the calls, calls a second of wall time and of CPU time, and the peak memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RECIPE = """
task: math
engine:
  name: replay
  batch_size: 256
  script: ["first we add", "so \\\\boxed{{2}}", "so \\\\boxed{{4}}", {{text: "step one\\n\\n", stop: "\\n\\n"}},
    {{text: "step two\\n\\n", stop: "\\n\\n"}}, {{text: "step three\\n\\n", stop: "\\n\\n"}}]
sampler:
  name: {sampler}
  num_candidates: 16
  reward: {{name: replay, batch_size: 256, rewards: [0.1, 0.3, 0.9, 0.5]}}
selector: majority_vote
"""


def one(sampler: str, num_problems: int) -> None:
    """Run in this process, print a line of JSON."""
    from tts.pipeline.run import open_run
    from tts.recipe import load_recipe

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "r.yaml")
        path.write_text(RECIPE.format(sampler=sampler))
        rows = ({"id": f"p{number}", "problem": f"{number} + 1?"} for number in range(num_problems))
        began, busy = time.perf_counter(), time.process_time()
        with open_run(load_recipe(str(path)), rows, Path(folder, "run")) as run:
            for _ in run.outcomes():
                pass
        wall, cpu = time.perf_counter() - began, time.process_time() - busy
        with Path(folder, "run", "calls.jsonl").open("rb") as lines:
            num_calls = sum(1 for _ in lines) - num_problems
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"problems": num_problems, "calls": num_calls, "wall": wall, "cpu": cpu, "mb": memory}))


def main() -> None:
    """Run each size in a process of its own."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--problems", type=int, nargs="+", default=[300, 1200])
    options.add_argument("--sampler", default="prm_beam")
    options.add_argument("--one", type=int, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.one is not None:
        return one(given.sampler, given.one)
    print("| problems | calls | calls/s | calls per CPU second | peak MB |")
    print("|---|---|---|---|---|")
    for number in given.problems:
        command = [sys.executable, __file__, "--sampler", given.sampler, "--one", str(number)]
        told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        per_wall, per_cpu = told["calls"] / told["wall"], told["calls"] / told["cpu"]
        print(f"| {number:,} | {told['calls']:,} | {per_wall:,.0f} | {per_cpu:,.0f} | {told['mb']:.0f} |")
    return None


if __name__ == "__main__":
    main()
