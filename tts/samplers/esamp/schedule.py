"""How the work of a step is laid out on a device; here slot by slot, in `all_slots` all slots at once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch

from tts.samplers.esamp.controls import Control, gaussian
from tts.samplers.esamp.distiller import DistillerBank
from tts.samplers.esamp.stats import Milliseconds
from tts.samplers.esamp.step import Cells, SlotRows, predict, train


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a step; `novelty` and `losses` may still be computed when it is returned.

    `h` is h^L `[num_rows, d]` with the planned rows mixed; `novelty` has one entry per planned row in the plan's order;
    `losses` one per slot that trained, in the plan's order.
    """

    h: torch.Tensor
    novelty: torch.Tensor
    losses: torch.Tensor


class Schedule(Protocol):
    """Carries out one step after the other; training of one always ends before the next one predicts."""

    milliseconds: Milliseconds

    def run(self, plan: Sequence[SlotRows], h_first: torch.Tensor, h_last: torch.Tensor) -> Outcome:
        """Predict, mix, and start training on the planned rows of h¹ and h^L `[num_rows, d]`."""

    def wait(self) -> None:
        """Let everything that the device is told from now on come after the training started so far."""

    def synchronize(self) -> None:
        """Wait on the host until all that was started is done."""


@dataclass(slots=True)
class SlotBySlot:
    """Each slot by itself, with exactly the rows it has: least work, and a group's result depends on the group alone.

    A slot is trained right after its prediction, while its weights are in the cache. Right for CPUs, where training
    beside the engine would only take cores away from it; correct on every device.
    """

    bank: DistillerBank
    control: Control
    milliseconds: Milliseconds = field(default_factory=Milliseconds)

    def run(self, plan: Sequence[SlotRows], h_first: torch.Tensor, h_last: torch.Tensor) -> Outcome:
        """Do all of it now."""
        h, novelty, losses = h_last.clone(), [], [h_last.new_empty(0, dtype=torch.float32)]
        for part in plan:
            started = time.perf_counter()
            rows = torch.tensor(part.rows, device=h_last.device)
            cells = self._cells(part, h_first[rows], h_last[rows])
            mixed = predict(self.bank, self.control, cells)
            h[rows] = torch.where(cells.beta[0] != 0, mixed.h[0].to(h.dtype), h_last[rows])
            novelty.append(mixed.novelty[0])
            predicted = time.perf_counter()
            if part.trains:
                losses.append(train(self.bank, self.control, cells, mixed.prediction))
            self.milliseconds.predict += (predicted - started) * 1e3
            self.milliseconds.train += (time.perf_counter() - predicted) * 1e3
        return Outcome(h, torch.cat(novelty), torch.cat(losses))

    def wait(self) -> None:
        """Nothing is left to wait for."""

    def synchronize(self) -> None:
        """Nothing is left to wait for."""

    def _cells(self, part: SlotRows, h_first: torch.Tensor, h_last: torch.Tensor) -> Cells:
        device = h_last.device
        noise = gaussian(part.draws, h_last.shape[-1]).to(device)[None] if self.control.uses_noise else None
        return Cells(
            slots=slice(part.slot, part.slot + 1),
            h_first=h_first.float()[None],
            h_last=h_last.float()[None],
            beta=torch.tensor(part.betas, device=device).view(1, -1, 1),
            noise=noise,
            mask=torch.ones(1, len(part.rows), device=device),
        )
