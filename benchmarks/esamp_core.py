r"""What a step of ESamp costs on this machine, and what its distillers learn, and when, as Markdown tables.

    python benchmarks/esamp_core.py [--threads 2] [--rounds 9]                  # costs
    python benchmarks/esamp_core.py --losses MODEL ... [--states DIR] [--tokens 200]

Costs: milliseconds of `ESampCore.step` on the CPU, all levers interleaved. One round is eight steps, so that every
lever trains as often as it should; printed are the median of the rounds' mean step and its range. Between two steps
80 MB of other memory is read, as the model's weights are.

Losses: the mean over the rows of ‖h^L − ĥ‖², each row predicted before anything is learnt from it, divided by that of
μ, the mean of the group's earlier h^L, over stretches of tokens. Of each model (a folder, a .gguf file, a
`package://NAME/FILE.gguf`) hidden states are recorded once, into a cache: 16 answers to one prompt, and 4 to each of
four, sampled at temperature 1, none of which ever ends. One recording each: differences below 2 % mean nothing.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import torch

from tts.plugins.esamp.core import ESampCore, StepRow
from tts.plugins.esamp.settings import ESampSettings

LEVERS: dict[str, dict[str, Any]] = {
    "default (`train_every: 4`)": {},
    "`train_every: 1`": {"train_every": 1},
    "`train_every: 2`": {"train_every": 2},
    "`train_every: 8`": {"train_every": 8},
    "`preset: paper`": {"preset": "paper"},
    "`width: 192`": {"width": 192},
    "`scope: shared`": {"scope": "shared"},
    "`control: untrained`": {"control": "untrained"},
    "`control: mean`": {"control": "mean"},
}
LEARNERS: dict[str, dict[str, Any]] = {
    "default (`train_every: 4`)": {},
    "`train_every: 1`": {"train_every": 1},
    "`train_every: 8`": {"train_every": 8},
    "`learning_rate: 8e-4`": {"learning_rate": 8e-4},
    "`learning_rate: 8e-4, train_every: 1`": {"learning_rate": 8e-4, "train_every": 1},
    "`learning_rate: 1.6e-3, train_every: 1`": {"learning_rate": 1.6e-3, "train_every": 1},
    "`input_norm: none`": {"input_norm": "none"},
    "`input_norm: none, train_every: 1`": {"input_norm": "none", "train_every": 1},
    "`start: paper`": {"start": "paper"},
    "`start: paper, train_every: 1`": {"start": "paper", "train_every": 1},
    "`start: paper, input_norm: none`": {"start": "paper", "input_norm": "none"},
    "`preset: paper`": {"preset": "paper"},
    "`control: untrained`": {"control": "untrained"},
    "`control: mean`": {"control": "mean"},
}
COST_SHAPES = [(576, 1, 16), (576, 8, 4), (896, 1, 16), (896, 8, 4)]
NUM_ROWS, ROUND = 16, 8
STRETCHES = {"1–16": (0, 16), "17–64": (16, 64), "65–128": (64, 128), "129–": (128, 10**9)}
PROMPTS = {
    "1 x 16": [
        "Let x + y = 60 with x, y > 0 and x a multiple of 7. Find the largest x*y; explain and check every step."
    ],
    "4 x 4": [
        "Tom has 12 apples, gives away 5, then buys 3 times as many as are left. How many has he? Explain at length.",
        "Write a long story about a lighthouse keeper who finds a letter in a bottle.",
        "A train goes 60 km in 45 minutes, waits 20 minutes, then goes 80 km twice as fast. What is its average speed?",
        "Describe in detail five different ways to sort a list of numbers, with Python code for each.",
    ],
}
"""What is recorded, by the shape: problems x candidates."""

Step: TypeAlias = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def step_of(lever: dict[str, Any], d: int, num_groups: int, rows_per_group: int, **more: Any) -> Step:
    """Return a new core's step for groups that never end."""
    settings = ESampSettings(**{"num_slots": num_groups} | lever | more)
    core = ESampCore(settings, d, num_groups * rows_per_group)
    names = [(f"{group}.{row}", str(group)) for group in range(num_groups) for row in range(rows_per_group)]
    for request_id, group in names:
        core.join(request_id, group, group_size=rows_per_group)
    rows = [StepRow(request_id, 2, 1) for request_id, _ in names]
    return lambda h_first, h_last: core.step(rows, h_first, h_last)


def costs(shape: tuple[int, int, int], num_rounds: int) -> dict[str, str]:
    """Return each lever's milliseconds per step: median (min to max)."""
    d, num_groups, rows_per_group = shape
    steps = {name: step_of(lever, *shape) for name, lever in LEVERS.items()}
    means: dict[str, list[float]] = {lever: [] for lever in LEVERS}
    model = torch.rand(20_000_000)
    for _ in range(num_rounds + 1):
        for lever, step in steps.items():
            seconds = 0.0
            for _ in range(ROUND):
                h_first, h_last = (torch.randn(num_groups * rows_per_group, d).bfloat16() for _ in range(2))
                model.sum()
                began = time.perf_counter()
                step(h_first, h_last)
                seconds += time.perf_counter() - began
            means[lever].append(seconds / ROUND * 1e3)
    measured = {lever: ms[1:] for lever, ms in means.items()}  # the first round warms up
    return {lever: f"{statistics.median(ms):.1f} ({min(ms):.1f} to {max(ms):.1f})" for lever, ms in measured.items()}


def losses(lever: dict[str, Any], h_firsts: torch.Tensor, h_lasts: torch.Tensor, shape: tuple[int, int]) -> list[float]:
    """Return each step's loss. At β = 1 the state moves by the error itself."""
    step = step_of(lever, h_firsts.shape[-1], *shape, beta=1.0)
    return [
        (step(h_first, h_last) - h_last).square().sum(-1).mean().item()
        for h_first, h_last in zip(h_firsts, h_lasts, strict=True)
    ]


def losses_of_mean(h_lasts: torch.Tensor, num_groups: int) -> list[float]:
    """Return each step's loss of the mean of the group's rows before it, 0 at first."""
    groups = h_lasts.unflatten(1, (num_groups, -1))  # [T, groups, rows, d]
    before = groups.mean(2).cumsum(0) / torch.arange(1, len(groups) + 1).view(-1, 1, 1)
    before = torch.cat([torch.zeros_like(before[:1]), before[:-1]]).unsqueeze(2)
    return (groups - before).square().sum(-1).mean((1, 2)).tolist()  # type: ignore[no-any-return]


def means_by_stretch(losses: list[float]) -> list[float]:
    """Return the mean over each stretch that is there."""
    return [statistics.mean(losses[start:end]) for start, end in STRETCHES.values() if start < len(losses)]


@torch.inference_mode()  # type: ignore[untyped-decorator]  # torch is not type-checked
def record(name: str, prompts: list[str], num_tokens: int) -> dict[str, torch.Tensor]:
    """Sample 16 answers at T = 1, never ending them; return h¹ and h^L of each step, `[num_tokens, 16, d]`."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from tts.models.pretrained import resolve

    source = resolve(name)
    tokenizer = AutoTokenizer.from_pretrained(source, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(source, dtype="auto")
    generator = torch.Generator().manual_seed(0)
    chats = [[{"role": "user", "content": prompt}] for prompt in prompts for _ in range(NUM_ROWS // len(prompts))]
    how = {"add_generation_prompt": True, "padding": True, "return_tensors": "pt", "return_dict": True}
    inputs = tokenizer.apply_chat_template(chats, **how)
    tokens, mask, cache, states = inputs["input_ids"], inputs["attention_mask"], None, []
    for _ in range(num_tokens + 1):
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
        given = {"attention_mask": mask, "position_ids": positions, "past_key_values": cache}
        out = model(tokens, **given, output_hidden_states=True, logits_to_keep=1, use_cache=True)
        cache, logits = out.past_key_values, out.logits[:, -1].float()
        states.append([out.hidden_states[layer][:, -1].bfloat16() for layer in (1, -1)])
        logits[:, tokenizer.eos_token_id] = -torch.inf
        tokens = torch.multinomial(logits.softmax(-1), 1, generator=generator)
        mask = torch.cat([mask, mask.new_ones(NUM_ROWS, 1)], dim=1)
    h_first, h_last = map(torch.stack, zip(*states[1:], strict=True))  # the first token is never guided
    return {"h_first": h_first, "h_last": h_last}


def recorded(name: str, shape: str, cache: Path, num_tokens: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return h¹ and h^L, float32, from the cache, or record them into it."""
    path = cache / f"{Path(name).name} {shape} {num_tokens}.pt"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        torch.save(record(name, PROMPTS[shape], num_tokens), path)
    states = torch.load(path)
    return states["h_first"].float(), states["h_last"].float()


def print_losses(name: str, cache: Path, num_tokens: int) -> None:
    """Print the losses of all learners over that of the running mean."""
    columns: dict[str, dict[str, list[float]]] = {}
    for shape, prompts in PROMPTS.items():
        h_firsts, h_lasts = recorded(name, shape, cache, num_tokens)
        for scope, num_groups in (("prompt", len(prompts)), ("shared", 1)):
            if scope == "shared" and len(prompts) == 1:
                continue  # one group is one group
            of_mean = means_by_stretch(losses_of_mean(h_lasts, num_groups))
            column = {"running mean, ‖h^L − μ‖²": of_mean}
            for learner, lever in LEARNERS.items():
                mine = means_by_stretch(losses(lever, h_firsts, h_lasts, (num_groups, NUM_ROWS // num_groups)))
                column[learner] = [a / b for a, b in zip(mine, of_mean, strict=True)]
            columns[f"{shape}, {scope}"] = column
    d, first = h_firsts.shape[-1], next(iter(columns.values()))
    print(f"\n| {Path(name).name}, d {d}, tokens {', '.join(STRETCHES)} | " + " | ".join(columns) + " |")
    print("|---|" + "---|" * len(columns))
    for row in first:
        cells = [
            " ".join(f"{number:.3f}" if number < 100 else f"{number:.0f}" for number in c[row])
            for c in columns.values()
        ]
        print(f"| {row} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--losses", nargs="+", default=[], metavar="MODEL", help="print what distillers learn, no costs"
    )
    parser.add_argument("--states", type=Path, default=Path.home() / ".cache" / "tts" / "esamp_states", metavar="DIR")
    parser.add_argument("--tokens", type=int, default=200, help="how many tokens of each answer are recorded")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for name in args.losses:
        with torch.inference_mode():
            print_losses(name, args.states, args.tokens)
    if args.losses:
        return
    with torch.inference_mode():
        header = " | ".join(f"d {d}, {groups} x {rows}" for d, groups, rows in COST_SHAPES)
        print(f"| ms per step, {args.threads} threads | {header} |\n|---|" + "---|" * len(COST_SHAPES))
        columns = [costs(shape, args.rounds) for shape in COST_SHAPES]
        for lever in LEVERS:
            print(f"| {lever} | " + " | ".join(column[lever] for column in columns) + " |")


if __name__ == "__main__":
    main()
