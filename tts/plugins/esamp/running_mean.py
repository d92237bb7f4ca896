"""The mean of the h^L that a group has had so far: where its distiller starts from, and what it must do better than."""

from __future__ import annotations

from collections.abc import Sequence

import torch


class RunningMeans:
    """One mean per slot, float32, 0 before the first row. Nothing here reads from the device.

    `batched` means work on all slots at once; others on one after the other, so that none depends on its neighbours.
    """

    def __init__(
        self, num_slots: int, hidden_size: int, *, batched: bool = False, device: torch.device | str = "cpu"
    ) -> None:
        self._batched = batched
        with torch.inference_mode(False):  # so that they can move in that mode and out of it
            self._means = torch.zeros(num_slots, 1, hidden_size, device=device)
            self._counts = torch.zeros(num_slots, 1, 1, device=device)

    @property
    def memory_bytes(self) -> int:
        """Memory of the means and their counts."""
        return sum(one.numel() * one.element_size() for one in (self._means, self._counts))

    def of(self, slots: Sequence[int]) -> torch.Tensor:
        """Return a copy of the slots' means `[S, 1, d]`."""
        return self._means.clone() if self._batched else torch.stack([self._means[slot] for slot in slots])

    def add(self, slots: Sequence[int], h_last: torch.Tensor, mask: torch.Tensor) -> None:
        """Count in the rows of h^L `[S, K, d]` whose mask `[S, K, 1]` is 1; those of no finite length are left out."""
        mask = mask * h_last.square().sum(-1, keepdim=True).isfinite()
        rows = torch.where(mask > 0, h_last, 0.0)
        if self._batched:
            follow(self._means, self._counts, rows, mask)
            return
        for slot, of_slot, present in zip(slots, rows, mask, strict=True):
            follow(self._means[slot], self._counts[slot], of_slot, present)

    def reset(self, slot: int) -> None:
        """Forget the slot's rows."""
        self._means[slot].zero_()
        self._counts[slot].zero_()


def follow(mean: torch.Tensor, count: torch.Tensor, rows: torch.Tensor, mask: torch.Tensor) -> None:
    """Move `mean` `[…, 1, d]` of `count` `[…, 1, 1]` rows to that with `rows` `[…, K, d]`, 0 where the mask is."""
    num_new = mask.sum(-2, keepdim=True)
    count += num_new
    mean += (rows.sum(-2, keepdim=True) - num_new * mean) / count.clamp(min=1)
