"""Lets vLLM's second (GPU) model runner run on a CPU: Triton's kernels are interpreted, its driver is a stand-in.

To be imported before vllm, torch and triton, in a process of its own. It cannot run: vLLM's Triton kernels for top-k
and top-p and for grammars (the interpreter fails there), CUDA graphs, and streams (vLLM's placeholders do nothing).
"""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any

os.environ.update(
    TRITON_INTERPRET="1", VLLM_USE_V2_MODEL_RUNNER="1", VLLM_ENABLE_V1_MULTIPROCESSING="0", HF_HUB_OFFLINE="1"
)

import triton  # after the environment, which it reads
import triton.backends


class StandInDriver:
    """What vLLM and the interpreter ask of a Triton driver."""

    @staticmethod
    def is_active() -> bool:
        return True

    def get_benchmarker(self) -> Any:
        return lambda *_, **__: 0.0

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, *_: Any) -> int:
        return 0

    def get_current_target(self) -> Any:
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cpu", 0, 1)

    def get_active_torch_device(self) -> Any:
        import torch

        return torch.device("cpu")

    def get_device_interface(self) -> ModuleType:
        import torch

        return torch.cpu

    def map_python_to_cpp_type(self, kind: str) -> str:
        return kind


compiler = triton.backends.backends["nvidia"].compiler
triton.backends.backends["cpu"] = triton.backends.Backend(compiler=compiler, driver=StandInDriver)
triton.runtime.driver.set_active(StandInDriver())


from vllm.platforms.cpu import CpuPlatform  # noqa: E402  # Triton has its driver now
from vllm.v1.worker.cpu_worker import CPUWorker  # noqa: E402  # the same

ahead = False
"""Whether the next engine schedules ahead, as on a GPU; vLLM forbids that on CPUs."""
warms_up = False
"""Whether the next engine serves vLLM's own requests when it starts, as on a GPU."""

check_config = CpuPlatform.check_and_update_config.__func__
compile_or_warm_up = CPUWorker.compile_or_warm_up_model


def check_and_update_config(cls: type, vllm_config: Any) -> None:
    """Do as vLLM does, but leave scheduling ahead as it was asked for."""
    asked = vllm_config.scheduler_config.async_scheduling
    check_config(cls, vllm_config)
    vllm_config.scheduler_config.async_scheduling = ahead and asked is not False


def compile_or_warm_up_model(worker: Any) -> Any:
    """Do as vLLM does on a GPU: serve requests, with all parameters that the interpreter can run."""
    import torch
    from vllm import SamplingParams
    from vllm.v1.worker.gpu import warmup

    result = compile_or_warm_up(worker)
    if warms_up:
        SamplingParams.for_sampler_warmup = staticmethod(lambda: SamplingParams(temperature=0.9, min_p=0.1, logprobs=5))
        runner = worker.model_runner
        if runner.structured_outputs_worker is not None:
            runner.structured_outputs_worker.apply_grammar_bitmask = lambda *_, **__: None
        with torch.inference_mode():
            warmup.warmup_kernels(runner, worker.execute_model, worker.sample_tokens)
    return result


CpuPlatform.check_and_update_config = classmethod(check_and_update_config)
CPUWorker.compile_or_warm_up_model = compile_or_warm_up_model
