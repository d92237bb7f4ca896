"""What a run did, in numbers: pure Python, no device is asked anything here."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

WINDOW = 8
"""The first and the last loss of a group are means over this many training steps (fewer where it had fewer)."""

LONG_RUN = 64
"""Groups that trained for at least this many steps must have learnt something, on average."""


@dataclass(slots=True)
class Mean:
    """A running mean; `value` is None before the first number."""

    total: float = 0.0
    count: int = 0

    def add(self, number: float) -> None:
        """Count `number` in; one that is not finite is left out, since no JSON could hold the mean then."""
        if math.isfinite(number):
            self.total += number
            self.count += 1

    @property
    def value(self) -> float | None:
        """The mean so far."""
        return self.total / self.count if self.count else None


@dataclass(slots=True)
class LossTrace:
    """The losses of one group: the first few and the last few. Those that are not finite are only counted."""

    first: list[float] = field(default_factory=list)
    last: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    num_steps: int = 0
    num_not_finite: int = 0

    def add(self, loss: float) -> None:
        """Take the loss of one training step."""
        if not math.isfinite(loss):
            self.num_not_finite += 1
            return
        if len(self.first) < WINDOW:
            self.first.append(loss)
        self.last.append(loss)
        self.num_steps += 1


@dataclass(slots=True)
class RequestTrace:
    """What one request's rows gave: ‖h^L − ĥ‖ / ‖h^L‖, and KL(new ‖ reference) where the host measured it."""

    novelty: Mean = field(default_factory=Mean)
    kl: Mean = field(default_factory=Mean)
    num_guided: int = 0

    def summary(self) -> dict[str, float]:
        """Return the means under the names that a candidate's `engine_stats` has; what was never measured is absent."""
        named = {"esamp_novelty": self.novelty.value, "esamp_kl": self.kl.value}
        return {name: value for name, value in named.items() if value is not None} | {
            "esamp_guided_tokens": self.num_guided
        }


@dataclass(slots=True)
class Milliseconds:
    """Time spent predicting and mixing, training, and waiting for the previous step's training."""

    predict: float = 0.0
    train: float = 0.0
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class Statistics:
    """A run's totals. A loss is the mean over the groups, None where nothing was trained; KL is in nats.

    `rows_guided` moved at β > 0; `rows_without_slot` should have been guided, but there was no distiller for them.
    `loss_fell`: whether the groups that trained for at least `LONG_RUN` steps ended with a lower mean loss than they
    began with; None where there are none.
    """

    steps: int
    rows_guided: int
    rows_trained: int
    rows_without_slot: int
    groups: int
    loss_fell: bool | None
    steps_not_finite: int
    first_loss: float | None
    last_loss: float | None
    mean_kl: float | None
    mean_novelty: float | None
    predict_ms: float
    train_ms: float
    wait_ms: float
    memory_bytes: int

    def to_dict(self) -> Mapping[str, float | None]:
        """Return plain numbers, which travel between processes."""
        return asdict(self)

    def warnings(self, beta: float) -> list[str]:
        """Return what is wrong with a run whose `beta` was this, one sentence each; empty where nothing is."""
        found = []
        if beta > 0 and self.rows_guided == 0:
            found.append(
                f"ESamp guided no token although `beta` is {beta}: this run equals plain sampling. Either every "
                "completion had one token, or the engine did not hand its rows over"
            )
        if self.rows_without_slot:
            found.append(
                f"ESamp left {self.rows_without_slot} rows unguided because every distiller was taken. Raise "
                "`num_slots`, or keep fewer problems in flight"
            )
        if self.loss_fell is False:
            found.append(
                f"ESamp's loss did not fall within groups of at least {LONG_RUN} training steps: its distillers learn "
                "nothing, so its guidance means nothing. Check `layer` and `learning_rate`"
            )
        if self.steps_not_finite:
            found.append(
                f"ESamp skipped {self.steps_not_finite} training steps whose loss was not a finite number; the "
                "model's hidden states overflowed. Try `dtype: bfloat16` or `float32`"
            )
        return found


@dataclass(slots=True)
class LossTotals:
    """The losses of all groups so far, and of those that trained for long."""

    first: Mean = field(default_factory=Mean)
    last: Mean = field(default_factory=Mean)
    fall_of_long: Mean = field(default_factory=Mean)
    steps_not_finite: int = 0

    def add(self, trace: LossTrace) -> None:
        """Count one group in."""
        self.steps_not_finite += trace.num_not_finite
        if not trace.num_steps:
            return
        first, last = sum(trace.first) / len(trace.first), sum(trace.last) / len(trace.last)
        self.first.add(first)
        self.last.add(last)
        if trace.num_steps >= LONG_RUN:
            self.fall_of_long.add(first - last)

    @property
    def fell(self) -> bool | None:
        """Whether the loss fell in the groups that trained for long, on average; None where there are none."""
        fall = self.fall_of_long.value
        return None if fall is None else fall > 0
