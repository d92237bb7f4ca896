"""Starts vLLM's engine with our worker, and stops it."""

from __future__ import annotations

import gc
from typing import Any

from tts.engines.vllm.keys import VLLMKeys
from tts.engines.vllm.support import refuse_unsupported
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
    if OPEN:
        raise EngineError("only one vllm engine can be open in a process: close the other one first")
    from vllm.engine.arg_utils import EngineArgs
    from vllm.v1.engine.llm_engine import LLMEngine

    arguments = engine_arguments(keys, source)
    try:
        made = EngineArgs(**arguments)
        refuse_unsupported(made.create_engine_config(), keys.worker_options())
        vllm = LLMEngine.from_engine_args(made)
    except TTSError:
        raise
    except Exception as error:  # configuration, download, memory, compilation: each raises its own
        reason = " ".join(str(error).split())
        raise EngineError(f"vLLM cannot start with {source!r}: {reason}") from error
    OPEN.append(vllm)
    return vllm


def engine_arguments(keys: VLLMKeys, source: str) -> dict[str, Any]:
    """Return the arguments of `EngineArgs` for the recipe's keys."""
    from vllm.platforms import current_platform

    on_cpu = current_platform.is_cpu()
    kv_cache_mb = keys.kv_cache_mb or (CPU_KV_CACHE_MB if on_cpu else None)
    esamp = keys.worker_options().esamp
    ours = {
        "model": source,
        "dtype": pick_dtype(keys.dtype, on_cpu=on_cpu),
        "max_num_seqs": keys.batch_size,
        "max_model_len": keys.max_model_len,
        "kv_cache_memory_bytes": None if kv_cache_mb is None else kv_cache_mb * MEGABYTE,
        "gpu_memory_utilization": keys.gpu_memory_utilization,
        "tensor_parallel_size": keys.tensor_parallel_size,
        "enforce_eager": on_cpu if keys.enforce_eager is None else keys.enforce_eager,
        "enable_prefix_caching": keys.prefix_caching,
        "stream_interval": TOKENS_PER_OUTPUT,
        "disable_log_stats": True,
        "worker_cls": WORKER,
        "additional_config": keys.worker_options().to_config(),
        # A request that ended must not be scheduled once more: its distiller would learn from what nobody reads.
        "async_scheduling": None if esamp is None else False,
    }
    _check_further(keys.engine_args, ours)
    return {**ours, **keys.engine_args}


def pick_dtype(dtype: str, *, on_cpu: bool) -> str:
    """Return the number format; `auto` is float32 on a CPU without bfloat16 instructions, which emulates it slowly."""
    from tts.models.pretrained import cpu_multiplies_bfloat16

    return "float32" if dtype == "auto" and on_cpu and not cpu_multiplies_bfloat16() else dtype


def _check_further(further: dict[str, Any], ours: dict[str, Any]) -> None:
    from dataclasses import fields

    from vllm.engine.arg_utils import EngineArgs

    valid = [field.name for field in fields(EngineArgs)]
    for name in further:
        if name in ours:
            raise EngineError(f"`engine_args` must not hold `{name}`, which the engine's own keys decide")
        if name not in valid:
            raise EngineError(f"`engine_args.{name}` is no argument of this vLLM.{nearest(name, valid)}")


def stop_vllm(vllm: Any) -> None:
    """Stop the engine and free its memory."""
    from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

    OPEN.clear()
    vllm.engine_core.shutdown()
    del vllm
    gc.collect()
    cleanup_dist_env_and_memory()
