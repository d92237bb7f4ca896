"""Time and peak memory of `tts export`, a process for each form.

    python benchmarks/export.py [--candidates 8] [--words 300] 1000 10000

Each size is drawn once by `tts solve` on the replay engine, texts of so many words; then exported in every form.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path


def run(folder: Path, *arguments: str) -> tuple[float, float]:
    """Run a command of `tts` in `folder`; return (wall seconds, peak memory in MB)."""
    began = time.perf_counter()
    line = [sys.executable, "-m", "tts", *arguments]
    null = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)
    here = Path.cwd()
    os.chdir(folder)
    process = os.posix_spawn(
        sys.executable, line, {"PYTHONPATH": str(Path(__file__).parents[1]), **os.environ}, file_actions=[null]
    )
    os.chdir(here)
    _, status, usage = os.wait4(process, 0)
    assert status == 0
    return time.perf_counter() - began, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", type=int, nargs="+", help="numbers of problems")
    parser.add_argument("--candidates", type=int, default=8)
    parser.add_argument("--words", type=int, default=300)
    asked = parser.parse_args()
    chance = random.Random(0)
    words = ["therefore", "we", "add", "42", "and", "the", "rest", "which", "is", "ü"]
    texts = [
        f"{' '.join(chance.choices(words, k=asked.words))} \\boxed{{{number % 5}}}"
        for number in range(asked.candidates)
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recipe = {
            "task": "math",
            "engine": {"name": "replay", "script": texts},
            "sampler": {"name": "temperature", "num_candidates": asked.candidates},
            "selector": "majority_vote",
        }
        (folder / "recipe.yaml").write_text(json.dumps(recipe))
        for size in asked.sizes:
            rows = ({"problem": f"What is {number}?", "answer": str(number % 7)} for number in range(size))
            (folder / f"{size}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
            run(folder, "solve", f"{size}.jsonl", "-r", "recipe.yaml", "--run", f"run-{size}")
            for form in ("parquet", "csv", "jsonl"):
                seconds, memory = run(folder, "export", f"run-{size}", "--to", f"{size}.{form}")
                bytes_ = (folder / f"{size}.{form}").stat().st_size
                print(
                    f"{size} problems × {asked.candidates}, {form}: {seconds:.1f} s, peak {memory:.0f} MB, "
                    f"{bytes_ / 1e6:.1f} MB written",
                    flush=True,
                )


if __name__ == "__main__":
    main()
