r"""CodeT on public programs and tests: `python benchmarks/codet.py PROGRAMS TESTS PROBLEMS --results FILE`.

PROGRAMS and TESTS are what CodeGen-16B wrote for HumanEval, 100 texts a problem each, as published in microsoft/CodeT
(`HumanEval_codegen16B_temp0.8_topp0.95_num100_max300_{code_solution,test_case}.jsonl`, MIT; gzip is read, too);
PROBLEMS is HumanEval itself. Every distinct program is run in the sandbox by HumanEval's tests and by those that the
model wrote, the first five of each text. Problems come in a shuffled order; what one gave is a line of FILE.
`--seconds` ends a session after the problem at hand, and the next one goes on. The figures are of the problems that are
there: ties are shared, and at k a program is taken from each of the k best groups, as `src/evaluation.py` does it.
"""

from __future__ import annotations

import argparse
import ast
import gzip
import json
import math
import random
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from tts.metrics.pass_at_k import pass_at_k
from tts.metrics.subsets import Floats
from tts.programs.agreement import agreement
from tts.programs.judging.judge import judge
from tts.programs.judging.records import Assertions
from tts.sandbox import Limits, Sandbox

STOPS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")
"""Where the authors cut what a model wrote."""

KS = (1, 2, 10)


def rows(path: Path) -> Iterator[dict[str, Any]]:
    data = path.read_bytes()
    text = gzip.decompress(data) if path.suffix == ".gz" else data
    yield from map(json.loads, text.decode().splitlines())


def cut(text: str) -> str:
    for stop in STOPS:
        text = text.partition(stop)[0]
    return text


def asserts_in(text: str, entry_point: str) -> list[str]:
    """Return the assertions as the authors take them from a text that goes on behind `assert `."""
    parts = [f"assert {part}".strip() for part in f"assert {text}".split("assert ") if entry_point in part]
    return [test for test in (cut(part).strip() for part in parts) if is_python(test)]


def is_python(test: str) -> bool:
    try:
        with warnings.catch_warnings(action="ignore"):
            ast.parse(test)
            compile(test, "", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def run(
    sandbox: Sandbox,
    threads: ThreadPoolExecutor,
    problem: dict[str, Any],
    programs: Sequence[str],
    texts: Sequence[str],
) -> dict[str, Any]:
    """Return which program is right, and which of the tests each passes; equal ones are run once."""
    name = problem["entry_point"]
    written = Counter(test for text in texts for test in asserts_in(text, name)[:5])
    tests = sorted(written)
    official = Assertions((f"{problem['test']}\ncheck({name})",), (name,), problem["prompt"])
    own = Limits(cpu_seconds=0.2, wall_seconds=2, total_cpu_seconds=2, total_wall_seconds=20)
    distinct = sorted(set(programs))

    def verdict(program: str) -> tuple[bool, list[int]]:
        right = judge(sandbox, program, official, Limits(cpu_seconds=2, total_cpu_seconds=2)).verdict.status == "passed"
        cases = judge(sandbox, program, Assertions(tuple(tests), (name,)), own, all_tests=True).cases if tests else ()
        return right, [place for place, case in enumerate(cases) if case.outcome == "ok"]

    found = dict(zip(distinct, threads.map(verdict, distinct), strict=True))
    return {
        "id": problem["id"],
        "programs": [distinct.index(program) for program in programs],
        "right": [found[program][0] for program in distinct],
        "passed": [found[program][1] for program in distinct],
        "times": [written[test] for test in tests],
    }


def expected(scores: Sequence[float], right: Sequence[bool], k: int) -> float:
    """Return how likely one of k programs is right: one of each of the k best scores, over again where these end."""
    levels = sorted({score for score in scores if score > 0}, reverse=True)[:k]
    if not levels:
        return float(pass_at_k(len(right), sum(right), k))
    wrong = 1.0
    for place, level in enumerate(levels):
        group = [one for one, score in zip(right, scores, strict=True) if score == level]
        times = k // len(levels) + (place < k % len(levels))
        wrong *= (1 - sum(group) / len(group)) ** times
    return 1 - wrong


def figures(found: Sequence[dict[str, Any]]) -> None:
    """Print pass@k of a random pick and of the best scores, with percentile intervals over problems."""
    by_rule: dict[str, dict[int, list[float]]] = {}
    for one in found:
        right = [one["right"][place] for place in one["programs"]]
        passed = [one["passed"][place] for place in one["programs"]]
        times = dict(enumerate(one["times"]))
        num_passed = [sum(times[test] for test in tests) for tests in passed]
        size = Counter(map(frozenset, passed))
        rules: dict[str, list[float]] = {
            "√programs · tests (CodeT)": agreement(passed, times),
            "programs · tests": [size[frozenset(a)] * b for a, b in zip(passed, num_passed, strict=True)],
            "tests alone": [float(number) for number in num_passed],
            "programs alone": [float(size[frozenset(tests)] * bool(tests)) for tests in passed],
        }
        for k in (*KS, 100):
            chosen = {name: expected(scores, right, k) for name, scores in rules.items()} if k < 100 else {}
            chosen["random pick"] = float(pass_at_k(len(right), sum(right), k))
            for name, value in chosen.items():
                by_rule.setdefault(name, {}).setdefault(k, []).append(value)
    drawn = np.random.default_rng(0).integers(0, len(found), (10_000, len(found)))
    plain = {k: np.array(values) for k, values in by_rule["random pick"].items()}
    for name, by_k in by_rule.items():
        told = [f"pass@{k} {told_mean(np.array(values), drawn)}" for k, values in by_k.items()]
        if name != "random pick":
            told += [f"@{k} {told_mean(np.array(values) - plain[k], drawn)} over it" for k, values in by_k.items()]
        print(f"{name}: {', '.join(told)}")


def told_mean(values: Floats, drawn: Any) -> str:
    """Return a mean over problems in percent, and the percentile interval of its resamples."""
    low, high = np.percentile(values[drawn].mean(axis=1), [2.5, 97.5])
    return f"{100 * values.mean():.1f} ({100 * low:.1f} – {100 * high:.1f})"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("programs", "tests", "problems"):
        options.add_argument(name, type=Path)
    options.add_argument("--results", type=Path, required=True)
    options.add_argument("--seconds", type=float, default=math.inf)
    options.add_argument("--workers", type=int, default=2)
    chosen = options.parse_args()
    by_name = {f"def {row['entry_point']}(": row for row in rows(chosen.problems)}
    texts = {row["prompt"].split("    pass\n\n# check")[0]: row["samples"] for row in rows(chosen.tests)}
    found = [*rows(chosen.results)] if chosen.results.exists() else []
    done, began, number = {one["id"] for one in found}, time.monotonic(), len(found)
    asked = [*rows(chosen.programs)]
    random.Random(0).shuffle(asked)
    with (
        Sandbox(chosen.workers) as sandbox,
        ThreadPoolExecutor(chosen.workers) as threads,
        chosen.results.open("a", encoding="utf-8") as results,
    ):
        for row in asked:
            name = f"def {row['prompt'].rpartition('def ')[2].partition('(')[0]}("
            problem = by_name[name]
            if problem["id"] in done:
                continue
            if time.monotonic() > began + chosen.seconds:
                break
            programs = [row["prompt"] + cut(sample) for sample in row["samples"]]
            found.append(run(sandbox, threads, problem, programs, texts[row["prompt"]]))
            results.write(json.dumps(found[-1]) + "\n")
            results.flush()
    print(f"{len(found)} problems, {len(found) - number} of them now, in {time.monotonic() - began:.1f} s")
    figures(found)


if __name__ == "__main__":
    main()
