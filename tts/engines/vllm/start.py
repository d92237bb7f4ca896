"""Starts vLLM's engine with our worker, and stops it."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any, Protocol

from tts.engines.vllm.keys import StartKeys, VLLMKeys
from tts.engines.vllm.support import refuse_unsupported, runs_ahead
from tts.errors import EngineError, TTSError, nearest

WORKER = "tts.engines.vllm.worker.Worker"
CPU_KV_CACHE_MB = 2048
MEGABYTE = 2**20
OPEN: list[Any] = []
"""The engine that is open. vLLM has one set of process groups in a process, and the engine that ends takes it along."""

TOKENS_PER_OUTPUT = 8
"""How many tokens vLLM gathers before it hands a running request's output over; every handing over costs time."""


def start_vllm(keys: VLLMKeys, source: str) -> Any:
    """Return a running `LLMEngine`. Raises EngineError where vLLM refuses the configuration or cannot load, and where
    another one is open.
    """
    options = keys.worker_options()

    def further(config: Any) -> dict[str, Any]:
        refuse_unsupported(config, options)
        # The first runner would let a plugin learn from a row of a request that ended; the second one knows.
        return {"async_scheduling": False} if keys.plugin is not None and not runs_ahead(config) else {}

    return launch(engine_arguments(keys, source), source, further)


def launch(arguments: dict[str, Any], source: str, further: Callable[[Any], dict[str, Any]] = lambda _: {}) -> Any:
    """Return a running `LLMEngine` with these arguments, and what `further` makes of the configuration that they give.

    Raises as `start_vllm`, and what `further` raises.
    """
    if OPEN:
        raise EngineError(
            "only one vllm engine can be open in a process: close the other one first. Where a recipe has two, give "
            "the second `separate_process: true`"
        )
    from vllm.engine.arg_utils import EngineArgs
    from vllm.v1.engine.llm_engine import LLMEngine

    try:
        found = further(EngineArgs(**arguments).create_engine_config())
        vllm = LLMEngine.from_engine_args(EngineArgs(**arguments | found))
    except TTSError:
        raise
    except Exception as error:  # configuration, download, memory, compilation: each raises its own
        reason = " ".join(str(error).split())
        raise EngineError(f"vLLM cannot start with {source!r}: {reason}") from error
    OPEN.append(vllm)
    return vllm


def engine_arguments(keys: VLLMKeys, source: str) -> dict[str, Any]:
    """Return the arguments of `EngineArgs` for the recipe's keys."""
    ours = {
        **shared_arguments(keys, keys, source),
        "stream_interval": TOKENS_PER_OUTPUT,
        "worker_cls": WORKER,
        "additional_config": keys.worker_options().to_config(),
    }
    return with_further(keys.engine_args, ours)


class ModelKeys(Protocol):
    """What any model that runs in vLLM says of itself, by its recipe keys."""

    @property
    def dtype(self) -> str:
        """Its number format."""

    @property
    def batch_size(self) -> int:
        """How many requests run together."""

    @property
    def max_model_len(self) -> int | None:
        """The most tokens of one."""


def shared_arguments(model: ModelKeys, keys: StartKeys, source: str) -> dict[str, Any]:
    """Return the arguments that do not depend on what the model is for."""
    from vllm.platforms import current_platform

    on_cpu = current_platform.is_cpu()
    kv_cache_mb = keys.kv_cache_mb or (CPU_KV_CACHE_MB if on_cpu else None)
    return {
        "model": source,
        "dtype": pick_dtype(model.dtype, on_cpu=on_cpu),
        "max_num_seqs": model.batch_size,
        "max_model_len": model.max_model_len,
        "kv_cache_memory_bytes": None if kv_cache_mb is None else kv_cache_mb * MEGABYTE,
        "gpu_memory_utilization": keys.gpu_memory_utilization,
        "tensor_parallel_size": keys.tensor_parallel_size,
        "enforce_eager": on_cpu if keys.enforce_eager is None else keys.enforce_eager,
        "enable_prefix_caching": keys.prefix_caching,
        "disable_log_stats": True,
    }


def pick_dtype(dtype: str, *, on_cpu: bool) -> str:
    """Return the number format; `auto` is float32 on a CPU without bfloat16 instructions, which emulates it slowly."""
    from tts.models.pretrained import cpu_multiplies_bfloat16

    return "float32" if dtype == "auto" and on_cpu and not cpu_multiplies_bfloat16() else dtype


def with_further(further: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """Return our arguments and the recipe's further ones. Raises EngineError where one of these is none, or ours."""
    from dataclasses import fields

    from vllm.engine.arg_utils import EngineArgs

    valid = [field.name for field in fields(EngineArgs)]
    for name in further:
        if name in ours:
            raise EngineError(f"`engine_args` must not hold `{name}`, which the engine's own keys decide")
        if name not in valid:
            raise EngineError(f"`engine_args.{name}` is no argument of this vLLM.{nearest(name, valid)}")
    return {**ours, **further}


def stop_vllm(vllm: Any) -> None:
    """Stop the engine and free its memory."""
    from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

    OPEN.clear()
    vllm.engine_core.shutdown()
    del vllm
    gc.collect()
    cleanup_dist_env_and_memory()
