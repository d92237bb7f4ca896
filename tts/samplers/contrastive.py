"""Contrastive decoding: Li et al. 2022, arXiv 2210.15097; O'Brien & Lewis 2023, arXiv 2309.09117."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from pydantic import Field

from tts.errors import EngineError
from tts.models.locate import locate
from tts.plugins.contrastive.settings import ContrastiveSettings
from tts.samplers.temperature import Temperature
from tts.types import Guidance, Order, Plugin, Request


class Contrastive(ContrastiveSettings, Temperature):
    """Draws from (1 + β)·expert − β·amateur, among the tokens that the expert finds plausible.

    On raw logits, as O'Brien & Lewis have it; drawn at a temperature, where both sources take the likeliest text. It
    costs one more pass of the smaller model a token. A good amateur is a weak one: a tenth of the size or less.
    """

    label: ClassVar[str] = "contrastive"

    temperature: float = Field(default=1.0, ge=0)
    """Divides the fused logits, after the constraint was judged."""

    def check(self) -> None:
        """Raise EngineError where the amateur is plainly not there."""
        try:
            locate(self.amateur)
        except EngineError as error:
            raise EngineError(f"`sampler.amateur`: {error}") from error

    @property
    def requires(self) -> frozenset[str]:
        """The plugin, and what the filters require."""
        return super().requires | {self.label}

    @property
    def plugin(self) -> Plugin:
        """What the engine must know: the amateur, and how it is used."""
        return Plugin(self.label, {key: getattr(self, key) for key in ContrastiveSettings.model_fields})

    def requests(self, order: Order) -> Iterator[Request]:
        """Yield one request per index in `order.indices`, in that order; each is guided for itself."""
        guidance = Guidance(order.problem.id, len(order.indices), self.beta)
        return (replace(request, guidance=guidance) for request in super().requests(order))
