"""Whether ESamp steers in an engine here, how strongly, and at what speed: the minute that `tts doctor` takes.

How it works. Three arms draw the same candidates (16, or `batch_size`) with the same seeds: plain, β = 0 (the
distillers predict and learn, and no token may change) and the sampler's default β. Plain has an engine of its own,
without ESamp, in a process of its own, so that its memory is free again; the other two share one. In each arm 64 tokens
of each candidate come first, whose texts are compared; then the steps in which all candidates decode are timed. The
arms follow each other, so other work on the machine is in the ratios; `benchmarks/esamp_overhead.py` interleaves.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

from tts.plugins.esamp.settings import ESampSettings
from tts.protocols import Engine
from tts.types import Decoding, Guidance, Message, Plugin, PluginReport, Request

MOST_CANDIDATES, NUM_TOKENS = 16, 64
SECONDS = 6.0
"""How long an arm is timed."""

TURN = 4
"""Steps between two looks at the clock; a training is among them."""

MOST_UNREST = 1.5
"""Above, something else was at work: measuring the KL makes one turn in four slower, by much less."""

MOST_LOADS = 20
"""After so many sets of candidates that ended at once there is no speed to tell."""

STORY = "Tell me a story about the sea."
NUMBERS = "Write all whole numbers from 1 to 900 in words, one on each line. Leave none out."  # few end early

OpenEngine = Any
"""An open engine, of whatever kind: this asks it what any engine can do."""


@dataclass(frozen=True, slots=True)
class Arm:
    """What one arm wrote, by candidate, and the seconds of its turns of TURN steps; none if all loads ended early."""

    texts: Mapping[str, str]
    turns: Sequence[float]

    @property
    def speed(self) -> float | None:
        """Tokens a second of all candidates together."""
        return len(self.texts) * TURN * len(self.turns) / sum(self.turns) if self.turns else None

    @property
    def unrest(self) -> float:
        """How many times as long a slow turn took as a fast one: the ninth of ten against the second."""
        ordered = sorted(self.turns) or [1.0]
        return ordered[len(ordered) * 9 // 10] / ordered[len(ordered) // 10]


@dataclass(frozen=True, slots=True)
class Checked:
    """What one engine did in its process: how it was opened, its arms by β (None: plain), what the plugin reports."""

    opened: str
    arms: Mapping[float | None, Arm]
    report: PluginReport | None


def checkup(section: Mapping[str, Any], overrides: Sequence[str]) -> Iterator[str]:
    """Yield what is found, for people, of the engine that a recipe would make of its section and overrides."""
    engine_of(section, overrides).check()  # what is not installed is told before anything starts
    beta = ESampSettings().beta
    plain = apart(section, overrides, [None])
    yield plain.opened
    esamp = apart(section, overrides, [0.0, beta])
    report = esamp.report
    assert report is not None
    figures, arms = report.figures, {**plain.arms, **esamp.arms}
    reference = arms[None]
    count = len(reference.texts)
    runner = figures.get("vllm_runner")
    told = f", vLLM's runner V{runner:.0f}" if runner else ""
    yield f"{count} candidates of one problem{told}; one arm after the other, so other work on the machine shows"
    equal = {}
    for of, arm in arms.items():
        equal[of] = sum(arm.texts[key] == text for key, text in reference.texts.items())
        speed = "every candidate ended at once" if arm.speed is None else f"{arm.speed:.0f} tokens/s"
        if of is not None and arm.speed is not None and reference.speed is not None:
            speed += f", {100 * arm.speed / reference.speed:.0f} % of plain"
        same = "" if of is None else f"; {equal[of]} of {count} texts equal plain's"
        yield f"{'plain' if of is None else f'β = {of:g}'}: {speed}{same}"
    kl, guided = figures.get("mean_kl") or 0.0, figures.get("rows_guided") or 0.0
    yield f"KL(guided ‖ plain) {kl:.4f} nats a token, over {guided:.0f} guided tokens"
    if equal[0.0] < count:
        yield (
            f"β = 0 is not plain here: {count - equal[0.0]} texts differ, by other rounding or a fault. "
            "See whether plain repeats itself"
        )
    steers = guided > 0 and kl > 0 and equal[beta] < count
    yield "ESamp steers here" if steers else "ESamp does not steer here: what it guides is drawn as by plain sampling"
    yield from (f"warning: {one}" for one in report.warnings)
    unrest = max(arm.unrest for arm in arms.values())
    if unrest > MOST_UNREST:
        yield f"warning: in an arm some steps took {unrest:.1f} times as long as others: shares of plain mean nothing"


def apart(section: Mapping[str, Any], overrides: Sequence[str], betas: Sequence[float | None]) -> Checked:
    """Return `measured` of a process that ends with it: what an engine leaves in memory goes, too."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(measured, section, overrides, betas).result()


def measured(section: Mapping[str, Any], overrides: Sequence[str], betas: Sequence[float | None]) -> Checked:
    """Open the engine, with ESamp unless plain is asked for, and return what its arms did."""
    engine: OpenEngine = engine_of(section, overrides)
    if betas != [None]:
        engine.host(Plugin("esamp", ESampSettings().model_dump()))
    began = time.monotonic()
    engine.open()
    opened = f"{section['name']} with {engine.model}, opened in {time.monotonic() - began:.1f} s: "
    opened += ", ".join(sorted(engine.capabilities()))
    try:
        count = min(MOST_CANDIDATES, engine.batch_size)
        arms = {beta: Arm(texts(engine, beta, count), turns(engine, beta, count)) for beta in betas}
        return Checked(opened, arms, engine.plugin_report())
    finally:
        engine.close()


def engine_of(section: Mapping[str, Any], overrides: Sequence[str]) -> Engine:
    """Return the engine that a recipe with this section and these overrides would have."""
    from tts.recipe import load_recipe
    from tts.runs.job import DEFAULT_RECIPE

    return load_recipe(DEFAULT_RECIPE, [f"engine={json.dumps(section)}", *overrides]).engine


def add(engine: OpenEngine, beta: float | None, count: int, text: str, number: int) -> str:
    """Add one set of candidates; return the name of its problem and group. Number 0 is short, others go on."""
    name, decoding = f"{beta} {number}", Decoding(max_tokens=4096 if number else NUM_TOKENS)
    for index in range(count):
        guidance = None if beta is None else Guidance(name, count, beta)
        message, seed = Message("user", text), 100 * number + index
        engine.add(Request(name, str(index), (message,), decoding, seed, "doctor", guidance))
    return name


def texts(engine: OpenEngine, beta: float | None, count: int) -> dict[str, str]:
    """Return the same candidates' texts."""
    add(engine, beta, count, STORY, 0)
    found: dict[str, str] = {}
    while len(found) < count:
        found |= {one.key: one.error or one.text for one in engine.step()}
    return found


def turns(engine: OpenEngine, beta: float | None, count: int) -> list[float]:
    """Return the seconds of turns in which no candidate had ended, SECONDS in all."""
    found: list[float] = []
    for number in range(1, MOST_LOADS + 1):
        name = add(engine, beta, count, NUMBERS, number)
        num_ended = sum(len(engine.step()) for _ in range(TURN))  # the prompts, and the first step that is guided
        while not num_ended and sum(found) < SECONDS:
            began = time.perf_counter()
            num_ended = sum(len(engine.step()) for _ in range(TURN))
            if not num_ended:
                found.append(time.perf_counter() - began)
        for index in range(count):
            engine.cancel(name, str(index))
        while num_ended < count:
            num_ended += len(engine.step())
        if sum(found) >= SECONDS:
            break
    return found
