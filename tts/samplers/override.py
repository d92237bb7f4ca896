"""OverRIDE: «Diverse Text Decoding via Iterative Reweighting», ICLR 2026."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from pydantic import Field

from tts.plugins.override.settings import OverrideSettings
from tts.samplers.temperature import Temperature
from tts.types import Guidance, Order, Plugin, Request


class Override(OverrideSettings, Temperature):
    """Each candidate of a problem is held off what the one before it writes, which a small head learns meanwhile.

    The first candidate is plain; so is every one behind the `num_heads` + 1 first. Filters and the temperature act on
    the lowered logits.
    """

    label: ClassVar[str] = "override"
    interacting: ClassVar[bool] = True

    temperature: float = Field(default=1.0, ge=0)
    """Divides the lowered logits."""

    @property
    def requires(self) -> frozenset[str]:
        """The plugin, and what the filters require."""
        return super().requires | {self.label}

    @property
    def plugin(self) -> Plugin:
        """The settings of the heads, for the engine."""
        return Plugin(self.label, {key: getattr(self, key) for key in OverrideSettings.model_fields})

    def requests(self, order: Order) -> Iterator[Request]:
        """Yield one request per index in `order.indices`, in that order; they are numbered as they come."""
        guidance = Guidance(order.problem.id, len(order.indices), self.beta)
        return (replace(request, guidance=guidance) for request in super().requests(order))
