"""ESamp as a recipe's sampler: the settings, the common keys, and the requests that tell an engine whom to guide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import ClassVar

from pydantic import Field

from tts.plugins.esamp.settings import ESampSettings
from tts.samplers.temperature import Temperature
from tts.types import Guidance, Order, Plugin, Request

PLUGIN = "esamp"
"""The plugin's name, and the capability of the engines that host it."""


class ESamp(ESampSettings, Temperature):
    """Exploratory Sampling (arXiv 2604.24927): the candidates of a problem steer away from what they have in common.

    A small distiller learns while the model decodes to predict the last hidden state from the first layer's; decoding
    moves away from that prediction. The candidates of one problem share a distiller, so an unfinished problem is drawn
    anew, whole. Filters, temperature and the first token's keys compose with it.
    """

    label: ClassVar[str] = "esamp"
    interacting: ClassVar[bool] = True
    once: ClassVar[Mapping[str, str]] = {"start": "paper"}

    temperature: float = Field(default=1.0, ge=0)
    """Divides the mixed logits, so the model and the distiller are taken at the same temperature."""

    @property
    def requires(self) -> frozenset[str]:
        """`esamp`, and what the filters require."""
        return super().requires | {PLUGIN}

    @property
    def plugin(self) -> Plugin:
        """The settings of the distillers, for the engine."""
        return Plugin(PLUGIN, {key: getattr(self, key) for key in ESampSettings.model_fields})

    def requests(self, order: Order) -> Iterator[Request]:
        """Yield one request per index in `order.indices`, in that order; together they are one group."""
        guidance = Guidance(order.problem.id, len(order.indices), self.beta)
        return (replace(request, guidance=guidance) for request in super().requests(order))
