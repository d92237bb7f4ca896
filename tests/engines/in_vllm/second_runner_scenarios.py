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

import torch
from vllm_parts import guided, opened, requests, run, written

sys.path.append(str(Path(__file__).parents[1]))

SETTINGS = {"beta": 0.25, "num_slots": 4, "kl_every": 4, "train_every": 1}
KEYS = {"dtype": "float32", "batch_size": 6, "max_model_len": 512, "kv_cache_mb": 64}
PROMPTS = ("Tell me about the sea.", "How many days has a year?")


@dataclass(frozen=True)
class Scenario:
    """Two problems of three requests each. `esamp` are changes to SETTINGS, None: plain vLLM."""

    esamp: dict[str, Any] | None = field(default_factory=dict)
    keys: dict[str, Any] = field(default_factory=dict)
    decoding: dict[str, Any] = field(default_factory=dict)
    beta: float = 0.25
    ahead: bool = False
    warmed_up: bool = False


SCENARIOS = {
    "plain": Scenario(None),
    "guided": Scenario(),
    "guided again": Scenario(),
    "another layer": Scenario({"layer": 2}),
    "another beta": Scenario({"beta": 0.5, "learning_rate": 1e-3, "kl_every": 2}),
    "warmed up": Scenario(warmed_up=True),
    "warmed up, shared": Scenario({"scope": "shared"}, warmed_up=True),
    "shared": Scenario({"scope": "shared"}),
}


def play(scenario: Scenario, model: str) -> dict[str, Any]:
    """Serve the scenario's requests by a new engine."""
    esamp = None if scenario.esamp is None else SETTINGS | scenario.esamp
    asked = requests(PROMPTS, num=3, **{"temperature": 0.0, "max_tokens": 40} | scenario.decoding)
    if esamp is not None:
        asked = guided(asked, scenario.beta)
    with opened(esamp, model=model, **KEYS | scenario.keys) as engine:
        vllm = engine._running._vllm
        core = vllm.engine_core.engine_core
        preempt, preempted = core.scheduler._preempt_request, []

        def counting(request: Any, *args: Any, **kwargs: Any) -> Any:
            preempted.append(request.request_id)
            return preempt(request, *args, **kwargs)

        core.scheduler._preempt_request = counting
        found = run(engine, asked)
        report = engine.plugin_report()
        return {
            "written": {f"{problem} {index}": one for (problem, index), one in written(found).items()},
            "finish_reasons": [one.finish_reason for one in found.values()],
            "rows": sum(one.num_tokens - 1 for one in found.values()),
            "figures": None if report is None else report.figures,
            "warnings": [] if report is None else report.warnings,
            "preemptions": len(preempted),
            "ahead": core.vllm_config.scheduler_config.async_scheduling,
            "runner": "v1"
            if hasattr(core.model_executor.driver_worker.worker.model_runner, "_model_forward")
            else "v2",
            "hash": core.vllm_config.compute_hash(),
        }


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
        results[name] = play(scenario, model)
    Path(file).write_text(json.dumps(results))
    os._exit(0)  # vLLM's threads would keep the process for a while


if __name__ == "__main__":
    main()
