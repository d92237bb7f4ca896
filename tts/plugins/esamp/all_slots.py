"""All slots at once, at fixed addresses and shapes: the layout for devices that run ahead of the host.

How it works. There is one grid of cells `[num_slots, max_rows, d]` for predicting and one `[num_slots, max_waiting, d]`
for training, both allocated once. A step

1. scatters its rows into the first grid (`place` = slot · max_rows + k), all other cells being zeroed;
2. predicts and mixes all cells, and gathers the mixed rows from their places;
3. puts copies of the rows behind those that already wait in the second grid, and, where a slot's turn has come, sets
   the mask of its waiting rows and trains all slots: those without a masked row keep their weights (`active`).

A cell without a row is all zeros with mask 0: it costs arithmetic, which such a device has to spare, and changes
nothing. So in every step the same kernels run on the same addresses, whatever came and went, which is what a CUDA graph
can replay (`side_stream`). The numbers that do change (places, β, masks) are sent from pinned memory without waiting;
nothing is read back.

Unlike in `schedule`, rows that wait are kept as h¹, h^L and μ, not as activations: these would live in the memory of
the graph, which the next prediction overwrites. They are predicted once more when they are trained on, by weights that
have not changed since, so that the result is the same. `_num_waiting`, on the host, says where a slot's next row goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import torch

from tts.plugins.esamp.controls import Control, gaussian
from tts.plugins.esamp.distiller import DistillerBank
from tts.plugins.esamp.running_mean import RunningMeans
from tts.plugins.esamp.schedule import StepResult
from tts.plugins.esamp.stats import Milliseconds
from tts.plugins.esamp.step import Cells, Mixed, SlotRows, predict
from tts.plugins.esamp.strength import Strengths


class TrainingBuffer(NamedTuple):
    """Rows that wait until their slot is trained on them, in the order in which they came; then zeros."""

    h_first: torch.Tensor  # [S, K, d]
    h_last: torch.Tensor  # [S, K, d]
    mean: torch.Tensor  # [S, K, d], μ when the row was predicted
    mask: torch.Tensor  # [S, K, 1], 1 where a row of a slot that is trained now is


class AllSlots:
    """All slots and all their cells in every step, with or without a row, at fixed addresses and shapes.

    The host asks the device nothing and sends its numbers through pinned memory, so it never waits. Predicting and
    training do the same work in the same places in every step, as a CUDA graph must (see `side_stream`). Rows that
    wait for their training are kept, and predicted once more then.
    """

    def __init__(
        self,
        bank: DistillerBank,
        means: RunningMeans,
        control: Control,
        max_rows: int,
        max_waiting: int,
        *,
        strengths: Strengths | None = None,
    ) -> None:
        """`max_rows` is how many cells a slot has, `max_waiting` how many of its rows may wait to be trained on."""
        self.milliseconds = Milliseconds()
        self._bank, self._means, self._control, self._strengths = bank, means, control, strengths
        self._max_rows, self._max_waiting = max_rows, max_waiting
        self._num_waiting = [0] * bank.num_slots

        def zeros(*shape: int) -> torch.Tensor:
            return torch.zeros(bank.num_slots, *shape, device=bank.device)

        with torch.inference_mode(False):  # so that the cells can be filled in that mode and out of it
            d, slots = bank.hidden_size, range(bank.num_slots)
            noise = zeros(max_rows, d) if control.uses_noise else None
            numbers = zeros(max_rows, 1), zeros(max_rows, 1)
            self._cells = Cells(slots, zeros(max_rows, d), zeros(max_rows, d), *numbers, noise)
            self._waiting = TrainingBuffer(*(zeros(max_waiting, size) for size in (d, d, d, 1)))

    @property
    def memory_bytes(self) -> int:
        """Memory of distillers, means and cells."""
        tensors = [one for one in (*self._cells, *self._waiting) if isinstance(one, torch.Tensor)]
        cells: int = sum(one.numel() * one.element_size() for one in tensors)
        return self._bank.memory_bytes + self._means.memory_bytes + cells

    def run(self, plan: Sequence[SlotRows], h_first: torch.Tensor, h_last: torch.Tensor) -> StepResult:
        """Tell the device to do all of it."""
        self.wait()
        rows = self._sent([row for part in plan for row in part.rows])
        places = self._sent([part.slot * self._max_rows + k for part in plan for k in range(len(part.rows))])
        unmixed = h_last[rows]
        firsts, lasts = h_first[rows].float(), unmixed.float()
        betas = list(chain.from_iterable(part.betas for part in plan))
        fill(self._cells.h_first, places, firsts)
        fill(self._cells.h_last, places, lasts)
        fill(self._cells.beta, places, self._sent(betas)[:, None])
        fill(self._cells.mask, places, lasts.new_ones(len(betas), 1))
        if self._cells.noise is not None:
            noise_keys = list(chain.from_iterable(part.noise_keys for part in plan))
            fill(self._cells.noise, places, self._to_device(gaussian(noise_keys, lasts.shape[-1])))
        mixed = self._predict()
        steered = self._cells.beta.flatten(0, 1)[places] != 0
        mixed_rows = mixed.h.flatten(0, 1)[places].to(h_last.dtype)
        beta = mixed.beta.flatten()[places]
        novelty, losses = mixed.novelty.flatten()[places], mixed.losses.clone()
        means = mixed.mean.expand(-1, self._max_rows, -1).flatten(0, 1)[places]
        self._learn(plan, firsts, lasts, means)
        return StepResult(
            h=h_last.index_copy(0, rows, torch.where(steered, mixed_rows, unmixed)),
            beta=beta.new_zeros(len(h_last)).index_copy(0, rows, beta),
            novelty=novelty.new_zeros(len(h_last)).index_copy(0, rows, novelty),
            losses=losses,
        )

    def reset(self, slot: int) -> None:
        """Make the slot's distiller new, after the training started so far; rows that wait are dropped."""
        self.wait()
        self._num_waiting[slot] = 0
        self._bank.reset(slot)
        self._means.reset(slot)
        if self._strengths is not None:
            self._strengths.reset(slot)

    def wait(self) -> None:
        """Let everything that the device is told from now on come after the training started so far."""

    def synchronize(self) -> None:
        """Nothing runs beside."""

    def _learn(
        self, plan: Sequence[SlotRows], h_first: torch.Tensor, h_last: torch.Tensor, means: torch.Tensor
    ) -> None:
        """Let the rows wait, and train the slots whose turn it is."""
        due = [part.slot for part in plan if part.trains]
        if self._control.objective is not None:
            # Put the rows behind those that wait; a slot where none did is emptied first.
            empty = [part.slot for part in plan if not self._num_waiting[part.slot]]
            places: list[int] = []
            for part in plan:
                first = part.slot * self._max_waiting + self._num_waiting[part.slot]
                places += range(first, first + len(part.rows))
                self._num_waiting[part.slot] += len(part.rows)
            for kept, rows in zip(self._waiting[:3], (h_first, h_last, means), strict=True):
                if empty:
                    kept.index_fill_(0, self._sent(empty), 0)
                kept.flatten(0, 1).index_copy_(0, self._sent(places), rows)
        if not due:
            return
        places = [slot * self._max_waiting + k for slot in due for k in range(self._num_waiting[slot])]
        fill(self._waiting.mask, self._sent(places), h_last.new_ones(len(places), 1))
        for slot in due:
            self._num_waiting[slot] = 0
        self._train()

    def _sent(self, numbers: Sequence[object]) -> torch.Tensor:
        return self._to_device(torch.tensor(numbers))

    def _to_device(self, tensor: torch.Tensor) -> torch.Tensor:
        if self._bank.device.type != "cuda":
            return tensor.to(self._bank.device)
        return tensor.pin_memory().to(self._bank.device, non_blocking=True)

    def _predict(self) -> Mixed:
        """Predict and mix all cells."""
        return predict(self._bank, self._means, self._control, self._strengths, self._cells)

    def _train(self) -> None:
        """Train the slots that have rows whose mask is 1."""
        assert self._control.objective is not None
        slots, mask = range(self._bank.num_slots), self._waiting.mask.squeeze(-1)
        prediction = self._bank.predict(slots, self._waiting.h_first, self._waiting.mean)
        _, d_prediction = self._control.objective(prediction.h, self._waiting.h_last, mask)
        self._bank.train(slots, prediction, d_prediction, mask.sum(1) > 0)


def fill(cells: torch.Tensor, places: torch.Tensor, rows: torch.Tensor) -> None:
    """Put `rows` into `places` of `cells` `[S, K, …]`, counted through all slots, and zeros into all others."""
    cells.zero_().flatten(0, 1).index_copy_(0, places, rows)
