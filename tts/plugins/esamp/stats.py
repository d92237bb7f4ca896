"""What a run did, in numbers: pure Python, no device is asked anything here."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from tts.plugins.esamp.settings import ESampSettings

WINDOW = 16
"""The first and the last loss of a group are means over this many decoding steps (fewer where it had fewer)."""

LONG_RUN = 64
"""After this many decoding steps a group's distiller must do better than the mean of what it has seen, on average."""


SAFE_RATE = 8e-4
"""At a `learning_rate` of twice as much the loss jumped above the running mean's on hidden states of Qwen2.5."""


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
    """The losses of one group: the first few, the last few, and the sum of those after LONG_RUN steps.

    A loss is the mean over the rows of a decoding step of ‖h^L − ĥ‖², before anything is learnt from them; beside it is
    that of μ, the mean of the group's earlier h^L. Those that are not finite are only counted.
    """

    first: list[float] = field(default_factory=list)
    last: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    late: float = 0.0
    late_of_mean: float = 0.0
    num_steps: int = 0
    num_not_finite: int = 0

    def add(self, losses: Sequence[float]) -> None:
        """Take the two losses of one decoding step: the distiller's, and that of μ."""
        loss, of_mean = losses
        if not math.isfinite(loss):
            self.num_not_finite += 1
            return
        if len(self.first) < WINDOW:
            self.first.append(loss)
        self.last.append(loss)
        if self.num_steps >= LONG_RUN:
            self.late += loss
            self.late_of_mean += of_mean
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
    """A run's totals. A loss is the mean over the groups (see `LossTrace`), None where there were none; KL is in nats.

    `rows_guided` moved at β > 0; `rows_without_slot` should have been guided, but there was no distiller for them.
    `loss_over_mean`: the loss after a group's first `LONG_RUN` decoding steps, divided by that of the running mean of
    h^L, all groups together; below 1 the distiller knows more than the mean. None where no group got so far.
    `mean_entropy`: of what guided tokens were drawn from, at their temperature and before filters, where KL is
    measured; below `mean_reference_entropy`, the model's own, guidance makes it colder. Milliseconds are None where the
    host does not wait for the device.
    """

    steps: int
    rows_guided: int
    rows_trained: int
    rows_without_slot: int
    groups: int
    steps_not_finite: int
    first_loss: float | None
    last_loss: float | None
    loss_over_mean: float | None
    mean_kl: float | None
    mean_novelty: float | None
    predict_ms: float | None
    train_ms: float | None
    wait_ms: float | None
    memory_bytes: int
    train_every: int | None = None
    mean_beta: float | None = None
    mean_entropy: float | None = None
    mean_reference_entropy: float | None = None

    def to_dict(self) -> Mapping[str, float | None]:
        """Return plain numbers, which travel between processes."""
        return asdict(self)

    def warnings(self, settings: ESampSettings) -> list[str]:
        """Return what is wrong with a run that had these settings, one sentence each; empty where nothing is."""
        found = []
        if settings.beta > 0 and self.rows_guided == 0:
            found.append(
                f"ESamp guided no token although `beta` is {settings.beta}: this run equals plain sampling. Either "
                "every completion had one token, or the engine did not hand its rows over"
            )
        if self.rows_without_slot:
            found.append(
                f"ESamp left {self.rows_without_slot} rows unguided because every distiller was taken. Raise "
                "`num_slots`, or keep fewer problems in flight"
            )
        learns_states = settings.control not in ("untrained", "vocabulary", "mean")
        if learns_states and self.loss_over_mean is not None and self.loss_over_mean > 1:
            found.append(
                f"ESamp's loss was {self.loss_over_mean:.2f} times that of the mean of earlier hidden states, after "
                f"{LONG_RUN} tokens: its distillers know less than that mean, so guidance away from them means little. "
                "Try `start: mean`, another `learning_rate`, or `train_every: 1`"
            )
        if settings.learning_rate > SAFE_RATE and settings.control not in ("untrained", "mean"):
            found.append(
                f"ESamp's `learning_rate` is {settings.learning_rate}; above {SAFE_RATE} the loss was seen to jump, "
                "which `loss_over_mean` may not show"
            )
        if self.steps_not_finite:
            found.append(
                f"ESamp met {self.steps_not_finite} steps whose loss was not a finite number, and learnt nothing from "
                "them; the model's hidden states overflowed. Try `dtype: bfloat16` or `float32`"
            )
        return found


@dataclass(slots=True)
class LossTotals:
    """The losses of all groups so far."""

    first: Mean = field(default_factory=Mean)
    last: Mean = field(default_factory=Mean)
    late: float = 0.0
    late_of_mean: float = 0.0
    steps_not_finite: int = 0

    def add(self, trace: LossTrace) -> None:
        """Count one group in."""
        self.steps_not_finite += trace.num_not_finite
        if not trace.num_steps:
            return
        self.first.add(sum(trace.first) / len(trace.first))
        self.last.add(sum(trace.last) / len(trace.last))
        self.late += trace.late
        self.late_of_mean += trace.late_of_mean

    @property
    def over_mean(self) -> float | None:
        """The loss after LONG_RUN steps over that of the running mean; None where no group got so far."""
        return self.late / self.late_of_mean if self.late_of_mean > 0 and math.isfinite(self.late_of_mean) else None
