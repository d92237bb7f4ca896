"""Collects a run's statistics. What the device computes is read seldom, so that the host doesn't wait for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from tts.plugins.esamp.stats import LossTotals, LossTrace, Mean, Milliseconds, Statistics


class Reading(NamedTuple):
    """Numbers that the device may still be computing, whom some belong to, by their places, and who gets all those.

    An owner None is nobody of whom anything is kept but the total.
    """

    numbers: torch.Tensor
    owners: Mapping[int, Mean | LossTrace | None]
    total: Mean | None


@dataclass(slots=True)
class Telemetry:
    """The run's totals so far, and the numbers that were not read yet."""

    steps: int = 0
    rows_guided: int = 0
    rows_trained: int = 0
    rows_without_slot: int = 0
    groups: int = 0
    novelty: Mean = field(default_factory=Mean)
    beta: Mean = field(default_factory=Mean)
    kl: Mean = field(default_factory=Mean)
    entropy: Mean = field(default_factory=Mean)
    reference_entropy: Mean = field(default_factory=Mean)
    losses: LossTotals = field(default_factory=LossTotals)
    _readings: list[Reading] = field(default_factory=list)
    _ended: list[LossTrace] = field(default_factory=list)

    @property
    def num_unread(self) -> int:
        """How many tensors wait to be read."""
        return len(self._readings)

    def expect(
        self, numbers: torch.Tensor, owners: Mapping[int, Mean | LossTrace | None], total: Mean | None = None
    ) -> None:
        """Note a vector to be read later, the owners of some of its numbers, and who gets all that are owned."""
        self._readings.append(Reading(numbers, owners, total))

    def end(self, trace: LossTrace) -> None:
        """Note that a group is over; some of its losses may not have been read yet."""
        self._ended.append(trace)

    def read(self) -> None:
        """Read all numbers. Whatever computes them must have been waited for."""
        for reading in self._readings:
            numbers = reading.numbers.tolist()
            for place, owner in reading.owners.items():
                if owner is not None:
                    owner.add(numbers[place])
                if reading.total is not None:
                    reading.total.add(numbers[place])
        for trace in self._ended:
            self.losses.add(trace)
        self._readings.clear()
        self._ended.clear()

    def statistics(
        self, live: Iterable[LossTrace], spent: Milliseconds, memory_bytes: int, train_every: int
    ) -> Statistics:
        """Return the totals; `live` are the losses of the groups that go on. Call `read` first."""
        losses = deepcopy(self.losses)
        for trace in live:
            losses.add(trace)
        return Statistics(
            steps=self.steps,
            rows_guided=self.rows_guided,
            rows_trained=self.rows_trained,
            rows_without_slot=self.rows_without_slot,
            groups=self.groups,
            steps_not_finite=losses.steps_not_finite,
            first_loss=losses.first.value,
            last_loss=losses.last.value,
            loss_over_mean=losses.over_mean,
            mean_kl=self.kl.value,
            mean_novelty=self.novelty.value,
            predict_ms=spent.predict,
            train_ms=spent.train,
            wait_ms=spent.wait,
            memory_bytes=memory_bytes,
            train_every=train_every,
            mean_beta=self.beta.value,
            mean_entropy=self.entropy.value,
            mean_reference_entropy=self.reference_entropy.value,
        )
