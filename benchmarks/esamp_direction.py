"""Does the direction of ESamp pay? Variants at equal sharpness, run by run, resumable, and their table.

    python benchmarks/esamp_direction.py DIR --model QWEN --problems humaneval.jsonl [--arms NAME …] [--nice 10]
    python benchmarks/esamp_direction.py DIR --table

With an uninformative q, ESamp is nothing but a lower temperature: T/(1 + β). So each arm that moves away from something
also keeps the reference's entropy (`keep_entropy`), and what is left is the direction. Every arm is one run folder
`DIR/ARM` of `humaneval.yaml` with keys set; a run that was interrupted goes on. Eight candidates of at most 256 tokens
for the first 66 problems; what the limit cut is wrong. The table is that of `tts bench --from`, paired over problems.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

GUIDED = {"sampler.name": "esamp", "sampler.temperature": "1.0"}
SHARED = GUIDED | {"sampler.scope": "shared"}
COLD_OUT = {"sampler.keep_entropy": "true"}
ARMS: dict[str, dict[str, str]] = {
    "vanilla": {"sampler.temperature": "1.0"},
    "vanilla-t0.8": {"sampler.temperature": "0.8"},
    "shared": SHARED | COLD_OUT,
    "shared-mean": SHARED | COLD_OUT | {"sampler.control": "mean"},
    "shared-cold": SHARED,
    "prompt": GUIDED | COLD_OUT,
    "paper": SHARED | COLD_OUT | {"sampler.preset": "paper"},
    "untrained": SHARED | COLD_OUT | {"sampler.control": "untrained"},
    "noise": SHARED | COLD_OUT | {"sampler.control": "noise"},
    "kl": SHARED | COLD_OUT | {"sampler.target_kl": "0.05"},
    "layer-8": SHARED | COLD_OUT | {"sampler.layer": "8"},
    "beta-0.5": SHARED | COLD_OUT | {"sampler.beta": "0.5"},
}
"""What is set in each arm, over BASE."""

BASE = {
    "engine.name": "vllm",
    "engine.batch_size": "64",
    "engine.max_model_len": "2048",
    "sampler.num_candidates": "8",
    "sampler.max_tokens": "256",
}


def values_of(arm: str, model: str, problems: str) -> dict[str, str]:
    """Return what an arm sets over `humaneval.yaml`."""
    return {"engine.model": model, "problems": f"humaneval?path={problems}"} | BASE | ARMS[arm]


def run(folder: Path, arm: str, model: str, problems: str, nice: int) -> int:
    """Draw the arm, or what is missing of it; return the command's exit code."""
    words = [word for key, value in values_of(arm, model, problems).items() for word in ("--set", f"{key}={value}")]
    command = [sys.executable, "-m", "tts", "solve", "--limit", "66", "--run", arm]
    fresh = [] if (folder / arm / "run.json").exists() else ["--recipe", "humaneval.yaml", *words]
    with (folder / f"{arm}.jsonl").open("w") as out:
        done = subprocess.run(
            ["nice", "-n", str(nice), *command, *fresh], check=False, cwd=folder, stdin=subprocess.DEVNULL, stdout=out
        )
    return done.returncode


def table(folder: Path) -> None:
    """Print each arm's figures of ESamp, then the comparison of all that are there."""
    arms = [arm for arm in ARMS if (folder / arm / "summary.json").exists()]
    shown = ("loss_over_mean", "mean_kl", "mean_beta", "mean_entropy", "mean_reference_entropy")
    print(f"| arm | {' | '.join(shown)} |\n|---|" + "---|" * len(shown))
    for arm in arms:
        figures = json.loads((folder / arm / "run.json").read_text()).get("statistics", {}).get("esamp", {})
        cells = (figures.get(name) for name in shown)
        print(f"| {arm} | " + " | ".join("" if cell is None else f"{cell:.3f}" for cell in cells) + " |")
    words = [word for arm in arms for word in ("--from", arm)]
    subprocess.run([sys.executable, "-m", "tts", "bench", *words, "--k", "1,4,8"], cwd=folder, check=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="Qwen/Qwen2.5-Coder-0.5B-Instruct")
    parser.add_argument("--problems", default="humaneval.jsonl", help="a copy of the data set")
    parser.add_argument("--arms", nargs="*", choices=ARMS, default=list(ARMS))
    parser.add_argument("--nice", type=int, default=0)
    parser.add_argument("--table", action="store_true")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    if args.table:
        table(args.folder)
        return
    for arm in args.arms:
        code = run(args.folder, arm, args.model, str(Path(args.problems).resolve()), args.nice)
        print(f"{arm}: exit code {code}", file=sys.stderr)
        if code not in (0, 1):
            sys.exit(code)


if __name__ == "__main__":
    main()
