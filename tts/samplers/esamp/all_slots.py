"""All slots at once, at fixed addresses and shapes: the layout for devices that run ahead of the host."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import torch

from tts.samplers.esamp.controls import Control, gaussian
from tts.samplers.esamp.distiller import DistillerBank
from tts.samplers.esamp.schedule import Outcome
from tts.samplers.esamp.stats import Milliseconds
from tts.samplers.esamp.step import Cells, Mixed, SlotRows, predict, train


class AllSlots:
    """All slots and all their cells in every step, with or without a row, at fixed addresses and shapes.

    The host asks the device nothing and sends its numbers through pinned memory, so it never waits. Predicting and
    training do the same work in the same places in every step, as a CUDA graph must (see `side_stream`).
    """

    def __init__(self, bank: DistillerBank, control: Control, max_rows: int) -> None:
        """`max_rows` is how many cells a slot has."""
        self.milliseconds = Milliseconds()
        self._bank, self._control, self._max_rows = bank, control, max_rows

        def zeros(*shape: int) -> torch.Tensor:
            return torch.zeros(bank.num_slots, max_rows, *shape, device=bank.device)

        with torch.inference_mode(False):  # so that the cells can be filled in that mode and out of it
            d = bank.hidden_size
            noise = zeros(d) if control.uses_noise else None
            self._cells = Cells(range(bank.num_slots), zeros(d), zeros(d), zeros(1), noise, zeros())

    def run(self, plan: Sequence[SlotRows], h_first: torch.Tensor, h_last: torch.Tensor) -> Outcome:
        """Tell the device to do all of it."""
        self.wait()
        rows = self._sent([row for part in plan for row in part.rows])
        places = self._sent([part.slot * self._max_rows + k for part in plan for k in range(len(part.rows))])
        self._load(plan, places, h_first[rows], h_last[rows])
        mixed = self._predict()
        steered = self._cells.beta.flatten(0, 1)[places] != 0
        mixed_rows = mixed.h.flatten(0, 1)[places].to(h_last.dtype)
        novelty = mixed.novelty.flatten()[places]
        return Outcome(
            h=h_last.index_copy(0, rows, torch.where(steered, mixed_rows, h_last[rows])),
            novelty=novelty.new_zeros(len(h_last)).index_copy(0, rows, novelty),
            losses=self._train() if any(part.trains for part in plan) else novelty.new_zeros(self._bank.num_slots),
        )

    def wait(self) -> None:
        """Nothing runs beside."""

    def synchronize(self) -> None:
        """Nothing runs beside."""

    def _load(
        self, plan: Sequence[SlotRows], places: torch.Tensor, h_first: torch.Tensor, h_last: torch.Tensor
    ) -> None:
        betas = list(chain.from_iterable(part.betas for part in plan))
        mask = [float(part.trains) for part in plan for _ in part.rows]
        self._fill(self._cells.h_first, places, h_first.float())
        self._fill(self._cells.h_last, places, h_last.float())
        self._fill(self._cells.beta, places, self._sent(betas)[:, None])
        self._fill(self._cells.mask[..., None], places, self._sent(mask)[:, None])
        if self._cells.noise is not None:
            draws = list(chain.from_iterable(part.draws for part in plan))
            self._fill(self._cells.noise, places, self._to_device(gaussian(draws, h_last.shape[-1])))

    @staticmethod
    def _fill(cells: torch.Tensor, places: torch.Tensor, rows: torch.Tensor) -> None:
        cells.zero_().flatten(0, 1).index_copy_(0, places, rows)

    def _sent(self, numbers: Sequence[float]) -> torch.Tensor:
        return self._to_device(torch.tensor(numbers))

    def _to_device(self, tensor: torch.Tensor) -> torch.Tensor:
        if self._bank.device.type != "cuda":
            return tensor.to(self._bank.device)
        return tensor.pin_memory().to(self._bank.device, non_blocking=True)

    def _predict(self) -> Mixed:
        self._mixed = predict(self._bank, self._control, self._cells)
        return self._mixed

    def _train(self) -> torch.Tensor:
        """Train on the cells whose mask is 1; return the losses of all slots."""
        return train(self._bank, self._control, self._cells, self._mixed.prediction)
