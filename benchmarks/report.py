"""A large stored run: how long a report of it takes from the files to all figures, and how much memory.

    python benchmarks/report.py FOLDER [--problems 1000] [--candidates 256] [--embeddings ngrams]
    python benchmarks/report.py FOLDER --commands [--problems 100000] [--candidates 8]

Writes a simulated run into FOLDER (problems of all difficulties, texts of about 100 words, verdicts and selections as
a finished run has them), unless there is a run, then reads it back as `tts report` does, at nine values of k,
candidates left out of the page. With --commands each command over stored runs is a process of its own: `tts solve`,
which finds nothing missing, `grade`, `select`, `report`, and `grade` of the same candidates as another tool's file.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import time
from pathlib import Path

from tts.recipe import rebuild_recipe
from tts.report.analyse import report_of
from tts.runs import job
from tts.runs.folder import RunFolder
from tts.runs.judgements import DerivedFiles
from tts.runs.records import dumps
from tts.selectors.majority_vote import MajorityVote
from tts.types import Answer, Ballot, Candidate, Judged, Problem, Reference, Verdict

KS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
WORDS = [f"word{number}" for number in range(400)]


def simulate(path: Path, num_problems: int, num_candidates: int) -> None:
    rng = random.Random(0)
    recipe = rebuild_recipe(
        {
            "task": "math",
            "engine": {"name": "replay", "script": ["simulated"]},
            "sampler": {"name": "temperature", "num_candidates": num_candidates},
            "selector": "majority_vote",
        },
        name="simulated",
    )
    with RunFolder(path) as folder:
        job.prepare(folder, recipe, "-", None)
        derived = DerivedFiles(folder, scored=False)
        for number in range(num_problems):
            name = f"p{number}"
            problem = Problem(name, f"What is {number}?", "math")
            folder["problems.jsonl"].append({"line": number + 1, "problem": problem, "reference": Reference("0")})
            popularity = [rng.random() ** 4 for _ in range(rng.randint(2, 60))]
            found = rng.choices(range(len(popularity)), popularity, k=num_candidates)
            candidates = [_candidate(rng, name, index, answer) for index, answer in enumerate(found)]
            folder["candidates.jsonl"].append(*candidates)
            derived.write(name, _judged(candidates, found))
        folder["problems.jsonl"].append({"end": num_problems})


def _candidate(rng: random.Random, name: str, index: int, answer: int) -> Candidate:
    text = f"{' '.join(rng.choices(WORDS, k=100))} so \\boxed{{{answer}}}."
    reason = "length" if rng.random() < 0.08 else "stop"
    logprob = -rng.random()
    return Candidate(name, index, text, None, reason, 90, 130, 130 * logprob, logprob, 5 + rng.random(), index, "s")


def _judged(candidates: list[Candidate], found: list[int]) -> Judged:
    finished = [candidate.finish_reason == "stop" for candidate in candidates]
    answers = [Answer(str(one), "boxed") if done else None for one, done in zip(found, finished, strict=True)]
    numbers = {text: place for place, text in enumerate(dict.fromkeys(one.text for one in answers if one))}
    classes = [numbers[one.text] if one else None for one in answers]
    verdicts = [
        Verdict("undecided", "truncated") if one is None else Verdict("passed" if one.text == "0" else "failed")
        for one in answers
    ]
    selection = MajorityVote().select(Ballot(tuple(candidates), tuple(answers), tuple(classes)))
    return Judged(tuple(answers), tuple(classes), (), selection, tuple(verdicts), Verdict("failed", "wrong_answer"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--problems", type=int, default=1000)
    parser.add_argument("--candidates", type=int, default=256)
    parser.add_argument("--embeddings", default="ngrams")
    parser.add_argument("--commands", action="store_true")
    args = parser.parse_args()
    if not args.folder.exists():
        simulate(args.folder, args.problems, args.candidates)
    if args.commands:
        return run_commands(args.folder)
    ks = [k for k in KS if k <= args.candidates]
    began, used = time.perf_counter(), time.process_time()
    report = report_of([args.folder], ks, embeddings=args.embeddings, candidates=False)
    wall, processor = time.perf_counter() - began, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print("| problems × candidates | values of k | lines | texts compared by | seconds | processor seconds | peak MB |")
    print("|---|---|---|---|---|---|---|")
    print(
        f"| {args.problems} × {args.candidates} | {len(ks)} | {len(report.arms[0].lines)} | {args.embeddings} | "
        f"{wall:.1f} | {processor:.1f} | {peak:.0f} |"
    )
    return None


def run_commands(folder: Path) -> None:
    """Print what each command takes: wall and processor seconds, and the most memory that it held."""
    with (folder.parent / f"{folder.name}-problems.jsonl").open("wb") as problems:
        for line in (folder / "problems.jsonl").open("rb"):
            if "problem" in (row := json.loads(line)):
                problem = row["problem"]
                problems.write(dumps({"id": problem["id"], "problem": problem["prompt"], **row["reference"]}))
    commands = {
        "solve, nothing missing": ["solve", "--run", folder],
        "grade": ["grade", folder],
        "select": ["select", folder],
        "report": ["report", folder, "--no-candidates", "--embeddings", "none"],
        "grade, as a file": ["grade", folder / "candidates.jsonl", "--problems", problems.name],
    }
    print("| command | exit code | seconds | processor seconds | peak MB |\n|---|---|---|---|---|")
    for name, arguments in commands.items():
        began = time.perf_counter()
        child = subprocess.Popen(
            [sys.executable, "-m", "tts", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        wall, processor = time.perf_counter() - began, used.ru_utime + used.ru_stime
        print(
            f"| {name} | {child.returncode} | {wall:.1f} | {processor:.1f} | {used.ru_maxrss / 1024:.0f} |", flush=True
        )


if __name__ == "__main__":
    main()
