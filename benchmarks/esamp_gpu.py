"""What ESamp costs on this card at sizes and shapes of the paper's tables, beside what was predicted, with a profile.

    python benchmarks/esamp_gpu.py                                     # under 10 minutes, without vLLM and any model
    python benchmarks/esamp_gpu.py --vllm Qwen/Qwen2.5-7B-Instruct     # vLLM itself, after that
    python benchmarks/esamp_gpu.py --device cpu --small                # a rehearsal of the same code without a card

Parts (`--parts`), in this order; none is begun after `--seconds`:

    env       card and versions
    launches  kernels a step, counted: those that the engine waits for, and those beside it (needs no card)
    kernels   bytes a second that the kernel of gradient and Adam reaches, beside product and torch's fused Adam
    decode    a stand-in for a model of each size (random weights, a CUDA graph), with attention over `--context`
              tokens, head, and sampling; plain, and with ESamp around it as in vLLM: predict and train are graphs,
              training on a stream of its own, the host one step ahead. Arms take turns within a round. A line is the
              median of the rounds' milliseconds, of their ratios to plain, the ratio's 95 % interval by order
              statistics, and the prediction of `esamp_cost.py` (nothing hidden to all hidden that can be)
    profile   the kernels that took longest in 20 steps of the largest size

The stand-in has none of vLLM's host work but a pause (`--host-ms`), so ratios of small models are lower bounds.
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from statistics import median

import torch
import torch.nn.functional as F  # noqa: N812  # its usual name
from esamp_cost import CARDS, MODELS, WIDTH, Model, predicted
from launches import Launches

from tts.plugins.esamp.device_core import DeviceCore, DeviceRows
from tts.plugins.esamp.fused import AdamWeights, adam_of, fused_for
from tts.plugins.esamp.settings import ESampSettings

TOY = Model(64, 2, 4, 2, 16, 128, 512, 0.1e6)
PARTS = ("env", "launches", "kernels", "decode", "profile")
PROMPT = 4
ARMS = {"plain": None, "every step": 1, "every 4th": 4}

Step = Callable[[], torch.Tensor]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="toy sizes")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--models", nargs="+", choices=[*MODELS], default=["0.5B", "1.5B", "7B"])
    parser.add_argument("--shapes", nargs="+", default=["1x16", "8x16", "64x16"], help="problems x candidates")
    parser.add_argument("--context", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=16, help="steps of an arm in a round")
    parser.add_argument("--host-ms", type=float, default=0.5, help="what the host does a step")
    parser.add_argument("--seconds", type=float, default=480)
    parser.add_argument("--vllm", metavar="MODEL", help="then run esamp_overhead.py with this model")
    arguments = parser.parse_args()
    if arguments.small:
        arguments.models, arguments.shapes, arguments.context = ["toy"], ["1x4", "2x3"], 16
        arguments.rounds, arguments.steps = min(3, arguments.rounds), 4
    return arguments


# --- a model, and ESamp around it


class StandIn:
    """A decoding step of a model with random weights: hidden states after first and last layer, then a token."""

    def __init__(self, model: Model, rows: int, context: int, device: torch.device) -> None:
        self.model, self.rows, self.device = model, rows, device
        kind = {"dtype": torch.bfloat16, "device": device}
        d, attention, kv = model.d, model.heads * model.head_size, model.kv_heads * model.head_size

        def weight(*shape: int) -> torch.Tensor:
            return torch.randn(*shape, **kind) * shape[-1] ** -0.5

        self._layers = [
            (weight(attention + 2 * kv, d), weight(d, attention), weight(2 * model.mlp, d), weight(d, model.mlp))
            for _ in range(model.layers)
        ]
        self._cache = [
            [torch.randn(rows, model.kv_heads, context, model.head_size, **kind) for _ in range(2)]
            for _ in range(model.layers)
        ]
        self._head, self._table = weight(model.vocabulary, d), weight(model.vocabulary, d)
        self.tokens = torch.zeros(rows, dtype=torch.long, device=device)
        self.forward = graphed(self._forward, device)

    def _forward(self) -> tuple[torch.Tensor, torch.Tensor]:
        model, x, first = self.model, self._table.index_select(0, self.tokens), None
        kv = model.kv_heads * model.head_size
        for (qkv, out, gate_up, down), (keys, values) in zip(self._layers, self._cache, strict=True):
            q, k, v = F.linear(rms(x), qkv).split([model.heads * model.head_size, kv, kv], dim=-1)
            keys[:, :, 0], values[:, :, 0] = k.view(-1, *keys.shape[1::2]), v.view(-1, *keys.shape[1::2])
            q = q.view(self.rows, model.heads, 1, model.head_size)
            attended = F.scaled_dot_product_attention(q, keys, values, enable_gqa=True)
            x = x + F.linear(attended.flatten(1), out)
            gate, up = F.linear(rms(x), gate_up).chunk(2, dim=-1)
            x = x + F.linear(F.silu(gate) * up, down)
            first = x if first is None else first
        assert first is not None
        return first, rms(x)

    def draw(self, hidden: torch.Tensor) -> torch.Tensor:
        """Project, and draw by the Gumbel trick."""
        logits = F.linear(hidden, self._head).float()
        self.tokens.copy_((logits - torch.empty_like(logits).exponential_().log()).argmax(-1))
        return self.tokens


class Guided:
    """ESamp around a stand-in, its two kinds of work as graphs and training on a stream of its own."""

    def __init__(
        self, stand_in: StandIn, groups: int, candidates: int, train_every: int, *, half: bool | None = None
    ) -> None:
        rows, device, cuda = stand_in.rows, stand_in.device, stand_in.device.type == "cuda"
        settings = ESampSettings(
            num_slots=groups, train_every=train_every, width=WIDTH if stand_in.model != TOY else 16
        )
        self.core = DeviceCore(
            settings, stand_in.model.d, num_members=rows, max_rows=candidates, device=device, half=half
        )
        seats = [self.core.join(str(row), row, str(row // candidates), candidates) for row in range(rows)]
        self.rows = DeviceRows(
            member=torch.arange(rows, device=device),
            position=torch.full((rows,), PROMPT + 1, device=device),
            live=torch.ones(rows, dtype=torch.bool, device=device),
            new=torch.ones(rows, dtype=torch.bool, device=device),
            slot=torch.tensor([seat.slot for seat in seats], device=device),
            cell=torch.tensor([seat.cell for seat in seats], device=device),
            beta=torch.full((rows,), 0.25, device=device),
            first=torch.full((rows,), PROMPT, device=device),
            seed=torch.zeros(rows, dtype=torch.long, device=device),
        )
        self._stand_in, self._cuda = stand_in, cuda
        self._inputs = [torch.zeros(rows, stand_in.model.d, dtype=torch.bfloat16, device=device) for _ in range(2)]
        size = self.core.size
        self.predict = graphed(lambda: self.core.predict(size, self.rows, *self._inputs), device)
        _, self.lesson = self.predict()
        self.train = graphed(lambda: self.core.train(self.lesson), device)
        if cuda:
            self._side, self._trained = torch.cuda.Stream(device, priority=0), torch.cuda.Event()

    def step(self) -> torch.Tensor:
        for given, state in zip(self._inputs, self._stand_in.forward(), strict=True):
            given.copy_(state)
        if self._cuda:
            torch.cuda.current_stream().wait_event(self._trained)
        mixed, self.lesson = self.predict()  # a graph's are the same tensors each time
        if self._cuda:
            self._side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._side):
                self.train()
                self._trained.record()
        else:
            self.train()
        return self._stand_in.draw(mixed)


def rms(x: torch.Tensor) -> torch.Tensor:
    return F.rms_norm(x, (x.shape[-1],))


def graphed(work: Callable, device: torch.device) -> Callable:
    """Return the work as a CUDA graph, whose results are always in the same place; on a CPU the work itself."""
    if device.type != "cuda":
        return work
    side = torch.cuda.Stream(device)
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = work()

    def replay():
        graph.replay()
        return results

    return replay


def timed(step: Step, num_steps: int, host_ms: float, device: torch.device) -> float:
    """Return the mean milliseconds of a step, the host one step ahead of the card."""
    cuda, last = device.type == "cuda", None
    step()
    if cuda:
        torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(num_steps):
        started = time.perf_counter()
        step()
        if cuda:
            event = torch.cuda.Event()
            event.record()
            if last is not None:
                last.synchronize()
            last = event
        while time.perf_counter() < started + host_ms / 1e3:
            pass
    if cuda:
        torch.cuda.synchronize()
    return (time.perf_counter() - began) / num_steps * 1e3


# --- parts


def part_env(arguments: argparse.Namespace) -> None:
    kernels = fused_for(device_of(arguments)).__name__
    print(f"python {sys.version.split()[0]}, torch {torch.__version__}, kernels: {kernels}")
    if arguments.device.startswith("cuda"):
        card = torch.cuda.get_device_properties(0)
        print(f"{card.name}, {card.total_memory / 2**30:.0f} GiB, {card.multi_processor_count} SMs")


def part_launches(_: argparse.Namespace) -> None:
    guided = Guided(StandIn(TOY, 8, 4, torch.device("cpu")), 2, 4, 4, half=True)
    grid, counts = guided.core.grid, {}
    times = grid._times
    for as_kernels in (True, False):
        for half, work in enumerate((guided.predict, guided.train)):
            with Launches(as_kernels=as_kernels) as launches:
                one = launches.counted_as(1, times)  # a CPU's bfloat16 products need conversions that a card's do not
                grid._times = lambda x, matrix: one(grid._operand(x), matrix)  # noqa: B023  # called in this turn
                work()
            counts[as_kernels, half] = launches.number
    grid._times = times
    print("| launches a step | the engine waits for (predict, mix) | beside it (train) |\n|---|---|---|")
    for name, as_kernels in (("one kernel each (Triton)", True), ("plain torch", False)):
        print(f"| {name} | {counts[as_kernels, 0]} | {counts[as_kernels, 1]} |")


def part_kernels(arguments: argparse.Namespace) -> None:
    device = device_of(arguments)
    ours, sizes = fused_for(device), [64] if arguments.small else [MODELS[name].d for name in arguments.models]
    print(
        "| d | slots × rows | gradient and Adam ms | TB/s | product and torch's fused Adam ms |\n|---|---|---|---|---|"
    )
    for d in sizes:
        slots, rows, shape = 8, 64, (8, 2 * (16 if arguments.small else WIDTH), d)
        kept, numbers = {"dtype": torch.bfloat16, "device": device}, {"device": device}
        value = torch.randn(shape, **numbers)
        weights = AdamWeights(value, torch.zeros(shape, **kept), torch.zeros(shape, **kept), value.bfloat16())
        deltas, inputs = torch.randn(slots, rows, shape[1], **kept), torch.randn(slots, rows, d, **kept)
        ones = torch.ones(slots, **numbers)
        adam = adam_of(ones > 0, ones, ones, rate=4e-4, betas=(0.9, 0.999))
        theirs = [torch.zeros(shape, **numbers) for _ in range(3)]

        def one_kernel() -> torch.Tensor:
            ours.adam_step(weights, deltas, inputs, adam, betas=(0.9, 0.999), epsilon=1e-4)  # noqa: B023  # used here
            return ones  # noqa: B023  # as above

        def two_steps() -> torch.Tensor:
            gradient = torch.bmm(deltas.mT, inputs).float()  # noqa: B023  # as above
            torch._fused_adam_(
                [theirs[0]], [gradient], [theirs[1]], [theirs[2]], [], [ones[0]], lr=4e-4, beta1=0.9, beta2=0.999,  # noqa: B023  # as above
                weight_decay=0.0, eps=1e-4, amsgrad=False, maximize=False,
            )  # fmt: skip
            return ones  # noqa: B023  # as above

        steps = 4 if arguments.small else 100
        mine, other = (timed(step, steps, 0.0, device) for step in (one_kernel, two_steps))
        rate = value.numel() * 18 / (mine / 1e3) / 1e12
        print(f"| {d} | {slots} × {rows} | {mine:.3f} | {rate:.2f} | {other:.3f} |")


def part_decode(arguments: argparse.Namespace) -> None:
    device = device_of(arguments)
    name = torch.cuda.get_device_name() if device.type == "cuda" else ""
    card = next((known for known in CARDS if known in name), "H200")
    print(f"predictions for the {card}" + ("" if card in name else ", which this is not"))
    print(
        "| model | shape | arm | ms a step | against plain | 95 % interval | predicted | MiB |\n|---" + "|---" * 7 + "|"
    )
    for model_name in arguments.models:
        model = MODELS.get(model_name, TOY)
        for shape in arguments.shapes:
            groups, candidates = map(int, shape.split("x"))
            try:
                stand_in = StandIn(model, groups * candidates, arguments.context, device)
                steps: dict[str, Step] = {}
                memory = dict.fromkeys(ARMS, 0)
                for arm, train_every in ARMS.items():
                    if train_every is None:
                        steps[arm] = lambda: stand_in.draw(stand_in.forward()[1])  # noqa: B023  # called in this turn
                    else:
                        guided = Guided(stand_in, groups, candidates, train_every)
                        steps[arm], memory[arm] = guided.step, guided.core.grid.memory_bytes >> 20
                rounds = [
                    {arm: timed(step, arguments.steps, arguments.host_ms, device) for arm, step in steps.items()}
                    for _ in range(arguments.rounds)
                ]
            except torch.OutOfMemoryError as error:
                print(f"| {model_name} | {shape} | out of memory: {str(error)[:60]} | | | | | |")
                continue
            finally:
                stand_in = steps = guided = None
                gc.collect()
            for arm, train_every in ARMS.items():
                ratios = sorted(one["plain"] / one[arm] for one in rounds)
                low = max(0, int((len(ratios) - 1.96 * len(ratios) ** 0.5) / 2))
                said = "–"
                if train_every is not None and model is not TOY:
                    cost = predicted(CARDS[card], model, (groups, candidates), train_every, arguments.context)
                    said = f"{cost.after:.3f}–{cost.beside:.3f}"
                ms = median(one[arm] for one in rounds)
                interval = f"{ratios[low]:.3f}–{ratios[-1 - low]:.3f}"
                cells = (model_name, shape, arm, f"{ms:.2f}", f"{median(ratios):.3f}", interval, said, str(memory[arm]))
                print(f"| {' | '.join(cells)} |", flush=True)


def part_profile(arguments: argparse.Namespace) -> None:
    device, cuda = device_of(arguments), arguments.device.startswith("cuda")
    groups, candidates = map(int, arguments.shapes[min(1, len(arguments.shapes) - 1)].split("x"))
    model = MODELS.get(arguments.models[-1], TOY)
    guided = Guided(StandIn(model, groups * candidates, arguments.context, device), groups, candidates, 1)
    kinds = [torch.profiler.ProfilerActivity.CPU, *([torch.profiler.ProfilerActivity.CUDA] if cuda else [])]
    guided.step()
    with torch.profiler.profile(activities=kinds) as profile:
        for _ in range(20):
            guided.step()
        if cuda:
            torch.cuda.synchronize()
    key = "self_device_time_total" if cuda else "self_cpu_time_total"
    spent: Counter[str] = Counter()
    for event in profile.key_averages():
        spent[event.key] += getattr(event, key)
    print(f"{arguments.models[-1]}, {groups} × {candidates}, 20 steps\n\n| kernel | µs a step |\n|---|---|")
    for name, microseconds in spent.most_common(20):
        print(f"| {name[:90]} | {microseconds / 20:.1f} |")


def device_of(arguments: argparse.Namespace) -> torch.device:
    return torch.device(arguments.device)


def main() -> None:
    arguments, began = parse(), time.monotonic()
    with torch.inference_mode():
        for part in PARTS:
            if part not in arguments.parts:
                continue
            if time.monotonic() - began > arguments.seconds:
                print(f"\n## {part}: no time left (`--seconds`)")
                continue
            print(f"\n## {part} ({time.monotonic() - began:.0f} s)\n")
            globals()[f"part_{part}"](arguments)
    if arguments.vllm:
        print("\n## vLLM itself\n", flush=True)
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "esamp_overhead.py")
        shapes = [word for shape in arguments.shapes[:2] for word in ("--shape", shape)]
        subprocess.run(
            [sys.executable, script, "--model", arguments.vllm, *shapes, "--rounds", "9", "--compile"], check=True
        )


if __name__ == "__main__":
    main()
