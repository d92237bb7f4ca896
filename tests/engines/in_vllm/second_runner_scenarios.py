"""Plays scenarios on one of vLLM's model runners, in a process of its own.

    python second_runner_scenarios.py first|second MODEL FILE NAME …

writes what each gave to FILE (JSON): what was written, the plugin's figures, how often a request was preempted.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if __name__ == "__main__" and sys.argv[1] == "second":
    import second_runner_shim  # before vllm, torch and triton

sys.path.append(str(Path(__file__).parents[1]))

import torch
from no_host_waits import NoHostWaits, pinned
from vllm_parts import guided, opened, requests, run, written

from tts.types import FirstToken

SETTINGS = {"beta": 0.25, "num_slots": 4, "kl_every": 4, "train_every": 1}
KEYS = {"dtype": "float32", "batch_size": 6, "max_model_len": 512, "kv_cache_mb": 64}
PROMPTS = ("Tell me about the sea.", "How many days has a year?")
LONG = {"max_tokens": 260, "temperature": 0.0}
NARROW = {"kv_cache_mb": 2}
HOT = {"max_tokens": 120, "temperature": 6.0}


@dataclass(frozen=True)
class Scenario:
    """Two problems of three requests each. `esamp` are changes to SETTINGS, None: plain vLLM. `values` are what the
    decoding has, `blind` switches off what makes scheduling ahead right: it must then be wrong."""

    esamp: dict[str, Any] | None = field(default_factory=dict)
    keys: dict[str, Any] = field(default_factory=dict)
    decoding: dict[str, Any] = field(default_factory=dict)
    beta: float = 0.25
    ahead: bool = False
    warmed_up: bool = False
    blind: bool = False


SCENARIOS = {
    "plain": Scenario(None),
    "guided": Scenario(),
    "beta 0": Scenario(beta=0.0),
    "shared": Scenario({"scope": "shared"}),
    "noise": Scenario({"control": "noise"}),
    "in parts": Scenario(keys={"engine_args": {"max_num_batched_tokens": 64}}),
    "no prefix cache": Scenario(keys={"prefix_caching": False}),
    "first token": Scenario(decoding={"first_token": FirstToken(3.0, 1)}),
    "every fourth": Scenario({"train_every": 4}),
    "preempted": Scenario(keys=NARROW, decoding=LONG),
    "preempted, plain": Scenario(None, keys=NARROW, decoding=LONG),
    "warmed up": Scenario(warmed_up=True),
    "warmed up, shared": Scenario({"scope": "shared"}, warmed_up=True),
    "another layer": Scenario({"layer": 2}),
    "another beta": Scenario({"beta": 0.5, "learning_rate": 1e-3, "kl_every": 2}),
    "hot": Scenario(decoding=HOT),
    "reference": Scenario({"filter": "reference"}, decoding={"temperature": 1.0, "min_p": 0.1}),
    "sigma": Scenario(decoding={"temperature": 1.0, "top_n_sigma": 1.0}),
    "ahead": Scenario(ahead=True),
    "plain, ahead": Scenario(None, ahead=True, decoding={"temperature": 1.0}),
    "beta 0, ahead": Scenario(ahead=True, beta=0.0, decoding={"temperature": 1.0}),
    "hot, ahead": Scenario(ahead=True, decoding=HOT),
    "preempted, ahead": Scenario(ahead=True, keys=NARROW, decoding=LONG),
    "reference, ahead": Scenario({"filter": "reference"}, ahead=True, decoding={"temperature": 1.0, "min_p": 0.1}),
    "sigma, ahead": Scenario(ahead=True, decoding={"temperature": 1.0, "top_n_sigma": 1.0}),
    "hot, ahead, ghosts": Scenario(ahead=True, decoding=HOT, blind=True),
}


def play(scenario: Scenario, model: str, *, never_waits: bool) -> dict[str, Any]:
    """Serve the scenario's requests by a new engine."""
    esamp = None if scenario.esamp is None else SETTINGS | scenario.esamp
    asked = requests(PROMPTS, num=3, **{"temperature": 0.0, "max_tokens": 40} | scenario.decoding)
    if esamp is not None:
        asked = guided(asked, scenario.beta)
    with opened(esamp, model=model, **KEYS | scenario.keys) as engine:
        core = engine._running._vllm.engine_core.engine_core
        runner = core.model_executor.driver_worker.worker.model_runner
        preempt, preempted = core.scheduler._preempt_request, []

        def counting(request: Any, *args: Any, **kwargs: Any) -> Any:
            preempted.append(request.request_id)
            return preempt(request, *args, **kwargs)

        core.scheduler._preempt_request = counting
        if never_waits:
            watch(runner.worker_plugin)
        if scenario.blind:
            make_blind(runner.worker_plugin)
        found = run(engine, asked)
        report = engine.plugin_report()
        return {
            "written": {f"{problem} {index}": one for (problem, index), one in written(found).items()},
            "finish_reasons": [one.finish_reason for one in found.values()],
            "rows": sum(one.num_tokens - 1 for one in found.values()),
            "stats": {f"{problem} {index}": one.engine_stats for (problem, index), one in found.items()},
            "self_certainty": [one.self_certainty for one in found.values()],
            "figures": None if report is None else report.figures,
            "warnings": [] if report is None else report.warnings,
            "preemptions": len(preempted),
            "ahead": core.vllm_config.scheduler_config.async_scheduling,
            "runner": "v1" if hasattr(runner, "_model_forward") else "v2",
            "hash": core.vllm_config.compute_hash(),
        }


def watch(plugin: Any) -> None:
    """Let every part of a step raise where the host would wait for the device."""

    def watched(part: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            with pinned(), NoHostWaits():
                return part(*args, **kwargs)

        return call

    for name in ("begin", "mix", "measure", "shape"):
        setattr(plugin, name, watched(getattr(plugin, name)))


def make_blind(plugin: Any) -> None:
    """Let the device take ghosts for rows: it sees no end token."""
    rows = plugin._members.rows

    def blind(index: Any, position: Any, token: Any, draws: Any) -> Any:
        return rows(index, position, torch.full_like(token, -2), draws)

    plugin._members.rows = blind


def main() -> None:
    """Play what the command line names, one after the other."""
    which, model, file, *names = sys.argv[1:]
    torch.set_num_threads(1)
    results = {}
    for name in names:
        scenario = SCENARIOS[name]
        if which == "second":
            second_runner_shim.ahead = scenario.ahead
            second_runner_shim.warms_up = scenario.warmed_up
        results[name] = play(scenario, model, never_waits=which == "second")
        Path(file).write_text(json.dumps(results))
    os._exit(0)  # vLLM's threads would keep the process for a while


if __name__ == "__main__":
    main()
