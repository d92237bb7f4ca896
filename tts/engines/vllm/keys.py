"""The recipe keys of the vLLM engine, for the engine and for what it starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from tts.components.component import Component
from tts.engines.local_model import LocalModel, Tag
from tts.engines.vllm.options import WorkerOptions
from tts.plugins.override.settings import OverrideSettings
from tts.plugins.settings import PluginSettings

EngineArgument = str | int | float | bool | dict[str, Any] | list[Any] | None


class StartKeys(Component):
    """Says where and how vLLM runs a model, whatever that is for."""

    circumstances: ClassVar[frozenset[str]] = frozenset(
        {
            "batch_size",
            "enforce_eager",
            "gpu_memory_utilization",
            "kv_cache_mb",
            "prefix_caching",
            "tensor_parallel_size",
        }
    )

    kv_cache_mb: int | None = Field(default=None, ge=1)
    """Memory (MiB) of attention keys and values. null: on a GPU what `gpu_memory_utilization` leaves, on a CPU 2048."""

    gpu_memory_utilization: float = Field(default=0.9, gt=0, le=1)
    """The share of a GPU's memory that vLLM may take."""

    tensor_parallel_size: int = Field(default=1, ge=1)
    """Over how many GPUs each layer is split."""

    enforce_eager: bool | None = None
    """Whether to run the model as it is instead of compiling it first. null: on CPUs, where compiling takes minutes."""

    prefix_caching: bool = True
    """Whether requests that begin alike share the work on their beginning."""

    engine_args: dict[str, EngineArgument] = Field(default_factory=dict)
    """Further arguments of vLLM's `EngineArgs`, as they are, such as `max_num_batched_tokens: 2048`."""


class VLLMKeys(LocalModel, StartKeys):
    """Says how vLLM is to be started for a model that writes."""

    hosts: ClassVar[Mapping[str, type[PluginSettings]]] = {**LocalModel.hosts, "override": OverrideSettings}

    batch_size: int = Field(default=64, ge=1)
    """The most candidates decoded together (vLLM's `max_num_seqs`)."""

    max_model_len: int | None = Field(default=None, ge=2)
    """The most tokens of prompt and completion together. null: what the model allows."""

    thinking_tags: Annotated[tuple[Tag, Tag], Field(strict=False)] = ("<think>", "</think>")
    """What opens and closes the model's thinking section."""

    chat_template_kwargs: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """Arguments for the model's chat template, such as `enable_thinking: false`."""

    seeded: bool = True
    """Whether each candidate is drawn with its own seed, so that a run repeats. false: vLLM may draw with its fastest
    sampler, which takes no seeds; the candidates' seeds on record then say nothing of what was drawn."""

    record_token_logprobs: bool = False
    """Whether candidates list the log-probability of every token."""

    record_self_certainty: bool = True
    """Whether to measure self-certainty, which reads all logits once more. Where tokens are drafted it is not."""

    def worker_options(self) -> WorkerOptions:
        """Return what the workers are told."""
        override = self._plugin if isinstance(self._plugin, OverrideSettings) else None
        return WorkerOptions(self._esamp, self.measures_self_certainty, self.measured_window, override)

    @property
    def measures_self_certainty(self) -> bool:
        """Whether self-certainty is measured: logits of drafted tokens cannot be told from others."""
        return self.record_self_certainty and not self.engine_args.get("speculative_config")
