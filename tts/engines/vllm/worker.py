"""The worker class that vLLM is told to use (`worker_cls`): vLLM's own for the platform, our plugin in its runner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vllm.platforms import current_platform
from vllm.utils.import_utils import resolve_obj_by_qualname

from tts.engines.vllm.mixin import put_in_front
from tts.engines.vllm.options import KEY, WorkerOptions
from tts.engines.vllm.runner_v1 import CPUSeedsMixin, RunnerV1Mixin
from tts.engines.vllm.runner_v2 import RunnerV2Mixin
from tts.engines.vllm.support import has_auxiliary_states, refuse_unsupported
from tts.engines.vllm.tap import Tap
from tts.errors import EngineError

WORKERS = {
    "cpu": "vllm.v1.worker.cpu_worker.CPUWorker",
    "cuda": "vllm.v1.worker.gpu_worker.Worker",
    "xpu": "vllm.v1.worker.xpu_worker.XPUWorker",
}
"""vLLM's workers by the platform's `device_type`; AMD's GPUs call themselves cuda, too."""

OwnWorker: Any = resolve_obj_by_qualname(WORKERS[current_platform.device_type])


class Worker(OwnWorker):  # type: ignore[misc]  # which class it is depends on the platform
    """vLLM's worker. The methods that begin with `tts_` can be called by `collective_rpc`."""

    def init_device(self) -> None:
        """Make the runner, and let the plugin in before it loads the model."""
        super().init_device()
        given = self.vllm_config.additional_config
        options = WorkerOptions.from_config(given)
        refuse_unsupported(self.vllm_config, options)
        # vLLM keeps what it compiled under a hash of all this, and would compile anew for another `beta`.
        others = {key: value for key, value in given.items() if key != KEY}
        self.vllm_config.additional_config = others | options.hashed_config()
        tap = Tap(options, is_output=has_auxiliary_states(self.vllm_config.model_config))
        mixins: tuple[type, ...] = (RunnerV2Mixin,)
        if hasattr(self.model_runner, "_model_forward"):
            has_plugin = options.esamp is not None or options.override is not None
            if has_plugin and self.vllm_config.scheduler_config.async_scheduling:
                raise EngineError(
                    "a plugin cannot be scheduled ahead in vLLM's first model runner. Add `--no-async-scheduling`, or "
                    "leave VLLM_USE_V2_MODEL_RUNNER=0 out"
                )
            on_cpu = self.model_runner.device.type == "cpu"
            mixins = (RunnerV1Mixin, CPUSeedsMixin) if on_cpu else (RunnerV1Mixin,)
        elif options.override is not None:
            raise EngineError(
                "override runs in vLLM's first model runner alone. Set VLLM_USE_V2_MODEL_RUNNER=0 in the environment"
            )
        put_in_front(self.model_runner, *mixins, tap=tap)

    def compile_or_warm_up_model(self) -> Any:
        """Warm up, which with the second runner serves requests, and forget these."""
        result = super().compile_or_warm_up_model()
        self.model_runner.worker_plugin.forget()
        if isinstance(self.model_runner, RunnerV2Mixin):
            self.model_runner.worker_plugin.capture()
        return result

    def tts_request_figures(self, num_tokens: Mapping[str, int]) -> dict[str, dict[str, float]]:
        """Return `WorkerPlugin.request_figures`."""
        figures: dict[str, dict[str, float]] = self.model_runner.worker_plugin.request_figures(num_tokens)
        return figures

    def tts_report(self) -> dict[str, Any] | None:
        """Return `WorkerPlugin.report`, and which of vLLM's runners it is in."""
        report: dict[str, Any] | None = self.model_runner.worker_plugin.report()
        if report is not None:
            report["figures"]["vllm_runner"] = 1 if hasattr(self.model_runner, "_model_forward") else 2
        return report
