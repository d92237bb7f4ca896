"""A sampler from outside: candidates are drawn cold and hot in turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from tts import Component, Decoding, Order, Request


class Alternating(Component):
    """Draws even candidates at the temperature `cold`, odd ones at `hot`."""

    requires: ClassVar[frozenset[str]] = frozenset()
    interacting: ClassVar[bool] = False

    num_candidates: int = Field(default=8, ge=1)
    """How many candidates to draw for each problem."""

    max_tokens: int = Field(default=256, ge=1)
    """The most tokens a candidate may have."""

    cold: float = Field(default=0.3, ge=0)
    """The temperature of candidates 0, 2, …"""

    hot: float = Field(default=1.2, ge=0)
    """The temperature of candidates 1, 3, …"""

    def requests(self, order: Order) -> Iterator[Request]:
        """Yield one request per index in `order.indices`, in that order."""
        for index, seed in zip(order.indices, order.seeds, strict=True):
            decoding = Decoding(max_tokens=self.max_tokens, temperature=self.hot if index % 2 else self.cold)
            yield Request(order.problem.id, str(index), order.messages, decoding, seed, "alternating")
