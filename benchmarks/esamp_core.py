r"""What a step of ESamp costs on this machine, and what each lever costs in loss, as two Markdown tables.

    python benchmarks/esamp_core.py --record SmolLM2.gguf a.pt --prompt "..."   # once per prompt
    python benchmarks/esamp_core.py [--states a.pt b.pt] [--threads 2] [--rounds 9]

The first table: milliseconds of `ESampCore.step` on the CPU, all levers interleaved. One round is eight steps, so that
every lever trains as often as it should; printed are the median of the rounds' mean step and its range. Between two
steps 80 MB of other memory is read, as the model's weights are.

The second: the mean over the rows of ‖h^L − ĥ‖², each row predicted before anything is learned from it, over the 16
steps up to the given one, divided by that of the paper's settings on the same rows; the mean over the files and, in
brackets, the worst file. A file holds `h_first` and `h_last`, each `[steps, 16, d]`. Without one, states are made up;
they say that the levers work, not what they cost with a real model.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any, TypeAlias

import torch

from tts.plugins.esamp.core import ESampCore, StepRow
from tts.plugins.esamp.settings import ESampSettings

LEVERS: dict[str, dict[str, Any]] = {
    "the paper's": {"train_every": 1, "learning_rate": 4e-4},
    "default": {},
    "`train_every: 1`": {"train_every": 1},
    "`train_every: 2`": {"train_every": 2},
    "`train_every: 8`": {"train_every": 8},
    "`learning_rate: 4e-4`": {"learning_rate": 4e-4},
    "`width: 192`": {"width": 192},
    "`scope: shared`": {"scope": "shared"},
    "`control: untrained`": {"control": "untrained"},
}
COST_SHAPES = [(576, 1, 16), (576, 8, 4), (896, 1, 16), (896, 8, 4)]
LOSS_SHAPES = [(1, 16), (4, 4)]
STAGES = [16, 64, 128, 256, 500]
NUM_ROWS, ROUND, WINDOW = 16, 8, 16

Step: TypeAlias = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def step_of(lever: str, d: int, num_groups: int, rows_per_group: int, **more: Any) -> Step:
    """Return a new core's step for groups that never end."""
    settings = ESampSettings(**{"num_slots": num_groups} | LEVERS[lever] | more)
    core = ESampCore(settings, d, num_groups * rows_per_group)
    names = [(f"{group}.{row}", str(group)) for group in range(num_groups) for row in range(rows_per_group)]
    for request_id, group in names:
        core.join(request_id, group, group_size=rows_per_group)
    rows = [StepRow(request_id, 2, 1) for request_id, _ in names]
    return lambda h_first, h_last: core.step(rows, h_first, h_last)


def costs(shape: tuple[int, int, int], num_rounds: int) -> dict[str, str]:
    """Return each lever's milliseconds per step: median (min to max)."""
    d, num_groups, rows_per_group = shape
    steps = {lever: step_of(lever, *shape) for lever in LEVERS}
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


def losses(lever: str, states: dict[str, torch.Tensor], shape: tuple[int, int]) -> list[float]:
    """Return the mean loss up to each stage. At β = 1 the state moves by the error itself."""
    h_firsts, h_lasts = states["h_first"].float(), states["h_last"].float()
    step = step_of(lever, h_firsts.shape[-1], *shape, beta=1.0)
    errors = [
        (step(h_first, h_last) - h_last).square().sum(-1).mean().item()
        for h_first, h_last in zip(h_firsts, h_lasts, strict=True)
    ]
    return [statistics.mean(errors[max(0, stage - WINDOW) : stage]) for stage in STAGES if stage <= len(errors)]


def loss_ratios(files: list[dict[str, torch.Tensor]], shape: tuple[int, int]) -> dict[str, str]:
    """Return each lever's losses over the paper's; of the paper's own, the losses."""
    paper = [losses("the paper's", states, shape) for states in files]
    cells = {"the paper's": " | ".join(f"{statistics.mean(stage):.0f}" for stage in zip(*paper, strict=True))}
    for lever in list(LEVERS)[1:]:
        mine = [losses(lever, states, shape) for states in files]
        ratios = [[a / b for a, b in zip(*pair, strict=True)] for pair in zip(mine, paper, strict=True)]
        cells[lever] = " | ".join(
            f"{statistics.mean(stage):.3f} ({max(stage):.3f})" for stage in zip(*ratios, strict=True)
        )
    return cells


def made_up(seed: int) -> dict[str, torch.Tensor]:
    """Return states of which a part can be learnt: each row is one of 500 tokens in a context of its own."""
    generator = torch.Generator().manual_seed(seed)
    d, num_steps = 576, max(STAGES)
    tokens = torch.randn(500, d, generator=generator)[torch.randint(500, (num_steps, NUM_ROWS), generator=generator)]
    context = torch.randn(num_steps, NUM_ROWS, d, generator=generator)
    mixing = torch.randn(d, d, generator=generator) / d**0.5
    return {"h_first": tokens + context / 4, "h_last": 2 * torch.tanh(tokens @ mixing) + context / 2}


@torch.inference_mode()  # type: ignore[untyped-decorator]  # torch is not type-checked
def record(name: str, path: str, prompt: str) -> None:
    """Sample 16 answers at T = 1, never ending them, and save the hidden states of each step."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from tts.models.pretrained import resolve

    source = resolve(name)
    tokenizer = AutoTokenizer.from_pretrained(source)
    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
    torch.manual_seed(0)
    chat = [{"role": "user", "content": prompt}]
    inputs = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    tokens, cache, states = inputs["input_ids"].expand(NUM_ROWS, -1), None, []
    for _ in range(max(STAGES) + 1):
        out = model(tokens, past_key_values=cache, output_hidden_states=True, logits_to_keep=1)
        cache = out.past_key_values
        states.append([out.hidden_states[layer][:, -1].bfloat16() for layer in (1, -1)])
        out.logits[:, -1, tokenizer.eos_token_id] = -torch.inf
        tokens = torch.multinomial(out.logits[:, -1].softmax(-1), 1)
    h_first, h_last = map(torch.stack, zip(*states[1:], strict=True))  # the first token is never guided
    torch.save({"h_first": h_first, "h_last": h_last}, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", nargs=2, metavar=("MODEL", "FILE"), help="write a file of states and stop")
    parser.add_argument("--prompt", default="Explain how photosynthesis works to a ten-year-old.")
    parser.add_argument("--states", nargs="*", default=[], metavar="FILE", help="recorded states")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=9, help="0: no table of costs")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.record:
        record(*args.record, args.prompt)
        return
    with torch.inference_mode():
        if args.rounds:
            header = " | ".join(f"d {d}, {groups} x {rows}" for d, groups, rows in COST_SHAPES)
            print(f"| ms per step, {args.threads} threads | {header} |\n|---|" + "---|" * len(COST_SHAPES))
            columns = [costs(shape, args.rounds) for shape in COST_SHAPES]
            for lever in LEVERS:
                print(f"| {lever} | " + " | ".join(column[lever] for column in columns) + " |")
        files = [torch.load(path) for path in args.states] or [made_up(seed) for seed in range(2)]
        origin = f"{len(files)} " + ("recorded files" if args.states else "made-up files")
        for shape in LOSS_SHAPES:
            print(f"\n| loss, {shape[0]} x {shape[1]}, {origin} | " + " | ".join(f"step {stage}" for stage in STAGES))
            print("|---|" + "---|" * len(STAGES))
            for lever, cells in loss_ratios(files, shape).items():
                print(f"| {lever} | {cells} |")


if __name__ == "__main__":
    main()
