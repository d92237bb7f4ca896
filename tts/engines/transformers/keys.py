"""The recipe keys of the embedded engine, for the engine and for its session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from tts.engines.local_model import LocalModel, Tag
from tts.plugins.beam.settings import BeamSettings, DiverseBeamSettings
from tts.plugins.contrastive.settings import ContrastiveSettings
from tts.plugins.override.settings import OverrideSettings
from tts.plugins.settings import PluginSettings


class TransformersKeys(LocalModel):
    """Says where and how the model runs."""

    circumstances: ClassVar[frozenset[str]] = frozenset({"batch_size", "device", "kv_cache_mb", "num_threads"})
    hosts: ClassVar[Mapping[str, type[PluginSettings]]] = {
        **LocalModel.hosts,
        "beam": BeamSettings,
        "diverse_beam": DiverseBeamSettings,
        "contrastive": ContrastiveSettings,
        "override": OverrideSettings,
    }

    device: str = Field(default="auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
    """auto (a GPU if there is one), cpu, mps, cuda or cuda:N."""

    batch_size: int = Field(default=32, ge=1)
    """The most candidates decoded together."""

    kv_cache_mb: int = Field(default=2048, ge=1)
    """Bound on the memory (MiB) of attention keys and values. Requests so long that `batch_size` of them exceed it are
    decoded in batches of a half, a quarter, … of that size."""

    max_model_len: int | None = Field(default=None, ge=2)
    """The most tokens of prompt and completion together. null: what the model allows and the memory bound holds."""

    thinking_tags: Annotated[tuple[Tag, Tag], Field(strict=False)] = ("<think>", "</think>")
    """What opens and closes the model's thinking section."""

    chat_template_kwargs: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """Arguments for the model's chat template, such as `enable_thinking: false`."""

    record_token_logprobs: bool = False
    """Whether candidates list the log-probability of every token."""

    num_threads: int | None = Field(default=None, ge=1)
    """CPU threads for this process; null leaves torch's choice. The last digits of the results may depend on it."""
