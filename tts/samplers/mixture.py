"""A mixture of samplers: each arm draws its share of the candidates and keeps the credit for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, ValidationInfo, field_serializer, field_validator, model_validator

from tts.components.component import Component
from tts.components.slot import Slot
from tts.protocols import GuidingSampler
from tts.samplers.independent import MOST_CANDIDATES, IndependentSampler
from tts.types import Order, Request

ARMS_SLOT = Slot("samplers")


class Mixture(Component):
    """Divides the candidates among several samplers, in fixed shares.

    Which arm draws candidate i depends on i and the shares alone, so that resuming changes nothing; the arms take
    turns, so that the first n candidates hold each arm in its share, for every n. A candidate's `sampler` is
    `mixture/` and the name of its arm, `mixture/temperature` for instance, or `mixture/temperature.1` and
    `mixture/temperature.2` by place where several arms have that name.
    """

    interacting: ClassVar[bool] = False

    num_candidates: int = Field(default=8, ge=1, le=MOST_CANDIDATES)
    """How many candidates to draw for each problem, all arms together."""

    max_tokens: int = Field(default=1024, ge=1)
    """The most tokens a candidate may have, thinking included; an arm may set fewer for its own."""

    arms: Annotated[
        tuple[Annotated[IndependentSampler, ARMS_SLOT], ...],
        Field(strict=False, min_length=1),
    ]
    """The samplers to mix, each with its own keys but `num_candidates`: its share decides that."""

    shares: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(strict=False)] = ()
    """One number per arm, in the arms' order. Only their ratios count: [3, 1] gives the first arm three quarters.
    Left out: equal shares."""

    @field_validator("arms")
    @classmethod
    def _fit_arms(cls, arms: tuple[Component, ...], info: ValidationInfo) -> tuple[IndependentSampler, ...]:
        return tuple(_fitted(place, arm, info.data.get("max_tokens")) for place, arm in enumerate(arms))

    @model_validator(mode="after")
    def _check_shares(self) -> Self:
        if self.shares and len(self.shares) != len(self.arms):
            raise ValueError(f"`shares` must be {len(self.arms)} numbers, one per arm, got {len(self.shares)}")
        drawn = Counter(self._arm_of_index)
        for place, (arm, label) in enumerate(zip(self.arms, self.labels, strict=True)):
            if drawn[place] == 0:
                raise ValueError(
                    f"`num_candidates` must be large enough for every arm, got {self.num_candidates}, of which arm "
                    f"{place} ({label}) draws none. Raise it, or that arm's share"
                )
            if arm.repeats and drawn[place] > 1:
                raise ValueError(
                    f"`shares` must give a greedy arm one candidate, got {drawn[place]} of {self.num_candidates} for "
                    f"arm {place} ({label}), which writes the same text every time. Lower its share"
                )
        return self

    @field_serializer("arms")
    def _dump_arms(self, arms: tuple[IndependentSampler, ...]) -> list[dict[str, Any]]:
        return [{key: value for key, value in ARMS_SLOT.dump(arm).items() if key != "num_candidates"} for arm in arms]

    @property
    def labels(self) -> tuple[str, ...]:
        """The names under which the arms get their credit, one per arm."""
        names = [arm.label for arm in self.arms]
        numbers = [f".{names[: i + 1].count(name)}" if names.count(name) > 1 else "" for i, name in enumerate(names)]
        return tuple(f"mixture/{name}{number}" for name, number in zip(names, numbers, strict=True))

    @property
    def requires(self) -> frozenset[str]:
        """All that any arm requires."""
        return frozenset[str]().union(*(arm.requires for arm in self.arms))

    @property
    def _arm_of_index(self) -> tuple[int, ...]:
        shares = self.shares or (1.0,) * len(self.arms)
        return take_turns(tuple(Fraction(str(share)) for share in shares), self.num_candidates)

    def requests(self, order: Order) -> Iterator[Request]:
        """Yield one request per index in `order.indices`, in that order."""
        arms = [(arm.decoding(), label) for arm, label in zip(self.arms, self.labels, strict=True)]
        turns = self._arm_of_index
        for index, seed in zip(order.indices, order.seeds, strict=True):
            decoding, label = arms[turns[index]]
            yield Request(order.problem.id, str(index), order.messages, decoding, seed, label)


def _fitted(place: int, arm: Component, max_tokens: int | None) -> IndependentSampler:
    """Return the arm with the mixture's `max_tokens` where it sets none; None: that value is wrong itself."""
    if not isinstance(arm, IndependentSampler) or arm.interacting or isinstance(arm, GuidingSampler):
        raise ValueError(
            f"arm {place} must be a sampler that draws each candidate alone (greedy, temperature, min_p, …), "
            f"got {type(arm).__name__}"
        )
    if "num_candidates" in arm.model_fields_set:
        raise ValueError(
            f"arm {place} must not set `num_candidates`, got {arm.num_candidates}: the mixture's `num_candidates` "
            "counts, and `shares` divide it"
        )
    if max_tokens is None:
        return arm
    if "max_tokens" not in arm.model_fields_set:
        return arm.model_copy(update={"max_tokens": max_tokens})
    if arm.max_tokens > max_tokens:
        raise ValueError(
            f"arm {place} must set a `max_tokens` of at most {max_tokens}, the mixture's, got {arm.max_tokens}"
        )
    return arm


@lru_cache(maxsize=64)
def take_turns(shares: Sequence[Fraction], num_turns: int) -> tuple[int, ...]:
    """Return whose turn it is at each of `num_turns` turns, as places in `shares` (positive, in any unit).

    For k > 1 shares and every n, the first n turns hold each share within 1 − 1/(2k − 2) of exactly, which is the best
    that can be promised: Tijdeman 1980, «The chairman assignment problem». Exact where n·share is whole.
    """
    total, num_shares = sum(shares), len(shares)
    fractions = [share / total for share in shares]
    margin = Fraction(1, max(1, 2 * num_shares - 2))
    counts = [0] * num_shares
    turns = []
    for turn in range(1, num_turns + 1):
        waiting = (i for i in range(num_shares) if turn * fractions[i] - counts[i] >= margin)
        chosen = min(waiting, key=lambda i: (counts[i] + 1 - margin) / fractions[i])
        counts[chosen] += 1
        turns.append(chosen)
    return tuple(turns)
