"""How the work of a step is laid out on a device; here exactly the rows there are.

How it works. A schedule gets a plan (one `SlotRows` for each group in the step: its slot, its rows' places, their β)
and owes for it: the mixed rows, the figures, and trained distillers before the next prediction. The layouts differ in
what a matrix product is made of. The rows of one slot form `[K, d]` with that slot's weights; the question is what to
do with S slots that have different K.

`ExactRows` puts slots with equally many rows into one `[S, K, d]`, and does one product for each slot within it (a bank
that is not `batched`). No cell is empty, so no work is wasted, and no sum runs over more than one group: a group's
result is the same to the last bit whoever else is in the step. Shapes change from step to step, which CPUs do not mind.

Training reuses the prediction of the same rows: its activations are what the backward pass needs, and the weights have
not changed since. With `train_every` m the predictions of m steps wait (`_waiting`), still valid because the distiller
is not trained in between, and are joined along K into one batch. They are the only state beside the bank; `reset` drops
a slot's.

`all_slots` is the other answer, for devices that want the same shapes in every step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch

from tts.plugins.esamp.controls import Control, gaussian
from tts.plugins.esamp.distiller import DistillerBank, Prediction, joined
from tts.plugins.esamp.running_mean import RunningMeans
from tts.plugins.esamp.stats import Milliseconds
from tts.plugins.esamp.step import Cells, SlotRows, predict
from tts.plugins.esamp.strength import Strengths


@dataclass(frozen=True, slots=True)
class StepResult:
    """What came of a step; the numbers for statistics may still be computed when it is returned.

    `h` is h^L `[num_rows, d]` with the planned rows mixed; `beta` and `novelty` are `[num_rows]`, 0 for other rows;
    `losses` is `[num_slots, 2]`: of the slots that had rows, the means over these of ‖h^L − ĥ‖² and of ‖h^L − μ‖².
    """

    h: torch.Tensor
    beta: torch.Tensor
    novelty: torch.Tensor
    losses: torch.Tensor


class Schedule(Protocol):
    """Carries out one step after the other; training of one always ends before the next one predicts."""

    milliseconds: Milliseconds

    @property
    def memory_bytes(self) -> int:
        """Memory of distillers, means, and rows that wait at most; not of what a step needs for itself."""

    def run(self, plan: Sequence[SlotRows], h_first: torch.Tensor, h_last: torch.Tensor) -> StepResult:
        """Predict, mix, and start training on the planned rows of h¹ and h^L `[num_rows, d]`."""

    def reset(self, slot: int) -> None:
        """Make the slot's distiller new, after the training started so far."""

    def synchronize(self) -> None:
        """Wait on the host until all that was started is done."""


@dataclass(slots=True)
class ExactRows:
    """Only the slots that have rows, with exactly the rows they have: least work, and a group depends on itself alone.

    Slots with equally many rows are worked on together, but each product and sum is of one slot alone. Right for CPUs,
    where training beside the engine would only take cores away from it; correct on every device.
    """

    bank: DistillerBank
    means: RunningMeans
    control: Control
    strengths: Strengths | None = None
    milliseconds: Milliseconds = field(default_factory=Milliseconds)
    _waiting: dict[int, list[tuple[Prediction, torch.Tensor]]] = field(default_factory=dict)  # with h^L [1, K, d]
    _most_waiting: int = 0

    @property
    def memory_bytes(self) -> int:
        """Memory of distillers, means, and the most rows that waited at once."""
        numbers_a_row = 2 * self.bank.hidden_size + self.bank.activations_a_row
        return self.bank.memory_bytes + self.means.memory_bytes + 4 * numbers_a_row * self._most_waiting

    def run(self, plan: Sequence[SlotRows], h_first: torch.Tensor, h_last: torch.Tensor) -> StepResult:
        """Do all of it now."""
        started = time.perf_counter()
        result = StepResult(
            h=h_last.clone(),
            beta=h_last.new_zeros(len(h_last), dtype=torch.float32),
            novelty=h_last.new_zeros(len(h_last), dtype=torch.float32),
            losses=h_last.new_zeros(self.bank.num_slots, 2, dtype=torch.float32),
        )
        for parts in alike(plan, lambda part: len(part.rows)):
            self._predict(parts, h_first, h_last, result)
        predicted = time.perf_counter()
        num_waiting = {slot: sum(h.shape[1] for _, h in waiting) for slot, waiting in self._waiting.items()}
        self._most_waiting = max(self._most_waiting, sum(num_waiting.values()))
        for parts in alike([part for part in plan if part.trains], lambda part: num_waiting[part.slot]):
            self._train([part.slot for part in parts])
        self.milliseconds.predict += (predicted - started) * 1e3
        self.milliseconds.train += (time.perf_counter() - predicted) * 1e3
        return result

    def reset(self, slot: int) -> None:
        """Make the slot's distiller new; what it was not trained on yet is dropped."""
        self._waiting.pop(slot, None)
        self.bank.reset(slot)
        self.means.reset(slot)
        if self.strengths is not None:
            self.strengths.reset(slot)

    def synchronize(self) -> None:
        """Nothing is left to wait for."""

    def _predict(
        self, parts: Sequence[SlotRows], h_first: torch.Tensor, h_last: torch.Tensor, result: StepResult
    ) -> None:
        """Work on slots with equally many rows and put what comes of it into `result`."""
        rows = torch.tensor([row for part in parts for row in part.rows], device=h_last.device)
        shape = len(parts), len(parts[0].rows), h_last.shape[1]  # [S, K, d]
        unmixed = h_last.index_select(0, rows).view(shape)
        noise_keys = [key for part in parts for key in part.noise_keys]
        uses_noise, device = self.control.uses_noise, h_last.device
        cells = Cells(
            slots=[part.slot for part in parts],
            h_first=h_first.index_select(0, rows).view(shape).float(),
            h_last=unmixed.float(),
            beta=torch.tensor([part.betas for part in parts], device=device).unsqueeze(-1),
            mask=torch.ones(*shape[:2], 1, device=device),
            noise=gaussian(noise_keys, shape[-1]).to(device).view(shape) if uses_noise else None,
        )
        mixed = predict(self.bank, self.means, self.control, self.strengths, cells)
        h = torch.where(cells.beta != 0, mixed.h.to(h_last.dtype), unmixed)
        result.h.index_copy_(0, rows, h.flatten(0, 1))
        result.beta.index_copy_(0, rows, mixed.beta.flatten())
        result.novelty.index_copy_(0, rows, mixed.novelty.flatten())
        result.losses.index_copy_(0, torch.tensor(cells.slots, device=device), mixed.losses)
        if self.control.objective is not None:
            for i, slot in enumerate(cells.slots):
                self._waiting.setdefault(slot, []).append((mixed.prediction.of(i), cells.h_last[i : i + 1]))

    def _train(self, slots: Sequence[int]) -> None:
        """Train slots with equally many rows on all of those."""
        assert self.control.objective is not None
        waiting = [self._waiting.pop(slot) for slot in slots]
        prediction = Prediction.joined([[prediction for prediction, _ in of_slot] for of_slot in waiting])
        h_last = joined([[h_last for _, h_last in of_slot] for of_slot in waiting], 1)
        loss, d_prediction = self.control.objective(prediction.h, h_last, h_last.new_ones(h_last.shape[:2]))
        self.bank.train(slots, prediction, d_prediction, active=torch.ones_like(loss, dtype=torch.bool))


def alike(plan: Sequence[SlotRows], count: Callable[[SlotRows], int]) -> list[list[SlotRows]]:
    """Return the parts of the plan for which `count` is the same together."""
    found: dict[int, list[SlotRows]] = {}
    for part in plan:
        found.setdefault(count(part), []).append(part)
    return list(found.values())
