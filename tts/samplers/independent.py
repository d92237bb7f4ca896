"""Candidates drawn one by one, each unaware of the others: the keys and the requests that all such samplers share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from tts.components.component import Component
from tts.types import Decoding, FirstToken, Order, Request

StopStrings = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False)]
"""A list of non-empty strings in YAML, a tuple in Python."""

MOST_CANDIDATES = 100_000
"""Of a problem, whose requests are held in memory together."""


class IndependentSampler(Component, ABC):
    """A sampler whose candidates differ in nothing but their seeds.

    A subclass sets `label` and says at which temperature it decodes. The filters compose: each works on what the ones
    before it kept, in the order `top_n_sigma`, and after the temperature `min_p`, `top_k`, `top_p`.
    """

    label: ClassVar[str]
    interacting: ClassVar[bool] = False

    num_candidates: int = Field(default=8, ge=1, le=MOST_CANDIDATES)
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

    top_n_sigma: float = Field(default=0.0, ge=0)
    """Keep only tokens whose logit is within this many standard deviations (of all logits) of the largest; 0 keeps
    all. It comes before the temperature, which does not change what it keeps."""

    first_token_temperature: float | None = Field(default=None, gt=0)
    """The temperature of the first token alone; null: the same as the others'."""

    first_token_top_k: int = Field(default=16, ge=1)
    """With `first_token_temperature`: draw the first token among this many most likely ones."""

    @abstractmethod
    def sampling_temperature(self) -> float:
        """Return the temperature to decode at; 0 is greedy."""

    @property
    def repeats(self) -> bool:
        """Whether every candidate would be the same text."""
        return self.sampling_temperature() == 0 and self.first_token_temperature is None

    @property
    def requires(self) -> frozenset[str]:
        """The filters that are asked for, and `first_token` where that is another."""
        wanted = {
            "top_p": self.top_p < 1,
            "top_k": self.top_k > 0,
            "min_p": self.min_p > 0,
            "top_n_sigma": self.top_n_sigma > 0,
            "first_token": self.first_token_temperature is not None,
        }
        return frozenset(name for name, is_wanted in wanted.items() if is_wanted)

    def decoding(self) -> Decoding:
        """Return how each candidate is decoded."""
        return Decoding(
            max_tokens=self.max_tokens,
            temperature=self.sampling_temperature(),
            top_p=self.top_p,
            top_k=self.top_k,
            min_p=self.min_p,
            top_n_sigma=self.top_n_sigma,
            first_token=self._first_token(),
            stop=self.stop,
        )

    def _first_token(self) -> FirstToken | None:
        if self.first_token_temperature is None:
            return None
        return FirstToken(self.first_token_temperature, self.first_token_top_k)

    def requests(self, order: Order) -> Iterator[Request]:
        """Yield one request per index in `order.indices`, in that order."""
        decoding = self.decoding()
        for index, seed in zip(order.indices, order.seeds, strict=True):
            yield Request(order.problem.id, str(index), order.messages, decoding, seed, self.label)
