"""Candidates drawn one by one, each unaware of the others: the keys and the requests that all such samplers share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from tts.component import Component
from tts.types import Decoding, Order, Request

StopStrings = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False)]
"""A list of non-empty strings in YAML, a tuple in Python."""


class IndependentSampler(Component, ABC):
    """A sampler whose candidates differ in nothing but their seeds.

    A subclass sets `label` and says at which temperature it decodes. The filters compose: each works on what the ones
    before it kept, in the order `min_p`, `top_k`, `top_p`, all of them after the temperature.
    """

    label: ClassVar[str]
    interacting: ClassVar[bool] = False

    num_candidates: int = Field(default=8, ge=1)
    """How many candidates to draw for each problem."""

    max_tokens: int = Field(default=1024, ge=1)
    """The most tokens a candidate may have, thinking included; one that is cut there counts as truncated."""

    stop: StopStrings = ()
    """Strings that end a candidate as soon as it contains one of them."""

    top_p: float = Field(default=1.0, gt=0, le=1)
    """Keep the fewest most likely tokens whose probabilities reach this sum (nucleus sampling); 1 keeps all."""

    top_k: int = Field(default=0, ge=0)
    """Keep only this many most likely tokens; 0 keeps all."""

    min_p: float = Field(default=0.0, ge=0, lt=1)
    """Keep only tokens at least this times as likely as the most likely one; 0 keeps all."""

    @abstractmethod
    def sampling_temperature(self) -> float:
        """Return the temperature to decode at; 0 is greedy."""

    @property
    def requires(self) -> frozenset[str]:
        """`filters` where any filter is on; otherwise nothing."""
        filtered = self.top_p < 1 or self.top_k > 0 or self.min_p > 0
        return frozenset({"filters"}) if filtered else frozenset()

    def decoding(self) -> Decoding:
        """Return how each candidate is decoded."""
        return Decoding(
            max_tokens=self.max_tokens,
            temperature=self.sampling_temperature(),
            top_p=self.top_p,
            top_k=self.top_k,
            min_p=self.min_p,
            stop=self.stop,
        )

    def requests(self, order: Order) -> Iterator[Request]:
        """Yield one request per index in `order.indices`, in that order."""
        decoding = self.decoding()
        for index, seed in zip(order.indices, order.seeds, strict=True):
            yield Request(order.problem.id, index, order.messages, decoding, seed, self.label)
