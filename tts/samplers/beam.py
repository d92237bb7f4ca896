"""Beam search: the likeliest texts, found by decoding the best few beginnings together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from tts.components.component import Component
from tts.plugins.beam.settings import BeamSettings
from tts.samplers.independent import MOST_CANDIDATES, StopStrings
from tts.types import Decoding, Guidance, Order, Plugin, Request


class Beam(BeamSettings, Component):
    """Beam search: all candidates of a problem are decoded together, and the best beginnings of all go on.

    Candidates come in the order of their scores. Their texts are the likeliest, not draws: they are often copies of
    each other but for a few words, and on a chat model worse than as many samples. A baseline, then. A search ends
    when all beams have a finished text and none of those that go on has a better score as it is.
    """

    label: ClassVar[str] = "beam"
    interacting: ClassVar[bool] = True
    settings: ClassVar[type[BeamSettings]] = BeamSettings

    num_candidates: int = Field(default=8, ge=1, le=MOST_CANDIDATES)
    """How many beams there are, and how many texts are handed in for each problem."""

    max_tokens: int = Field(default=1024, ge=1)
    """The most tokens a candidate may have, thinking included; one that is cut there counts as truncated."""

    stop: StopStrings = ()
    """Strings that end a candidate as soon as it contains one of them."""

    @property
    def requires(self) -> frozenset[str]:
        """The plugin, named as the sampler."""
        return frozenset({self.label})

    @property
    def plugin(self) -> Plugin:
        """What the engine must know of the search."""
        return Plugin(self.label, {key: getattr(self, key) for key in self.settings.model_fields})

    def requests(self, order: Order) -> Iterator[Request]:
        """Yield one request per index in `order.indices`, in that order; together they are one search."""
        decoding = Decoding(max_tokens=self.max_tokens, temperature=0.0, stop=self.stop)
        guidance = Guidance(order.problem.id, len(order.indices), beta=1.0)
        for index, seed in zip(order.indices, order.seeds, strict=True):
            yield Request(order.problem.id, str(index), order.messages, decoding, seed, self.label, guidance)
