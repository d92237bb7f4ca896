"""How sure the model is, measured inside vLLM: each request's self-certainty and confidence, and whether it fell below
its floor, without waiting for the device."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import torch

from tts.engines.confidence import ROUNDING, confidence_figures, confidences_for
from tts.types import ConfidenceFloor

MAX_UNREAD = 64
"""How many steps may wait until the host reads them."""
MOST_RELEASED = 4096
"""Of how many requests that ended the figures are kept; those of cancelled ones, for instance, nobody asks for."""


class Certainties:
    """Keeps what is measured of each request's tokens.

    Kang et al. 2025, «Scalable Best-of-N Selection via Self-Certainty»; for confidence see `tts.engines.confidence`.
    """

    def __init__(self, *, self_certainty: bool = True) -> None:
        self._self_certainty = self_certainty
        self._floors = Floors()
        self._unread: list[tuple[Sequence[str], Sequence[ConfidenceFloor | None], Sequence[int], torch.Tensor]] = []
        self._sums: dict[str, tuple[float, int]] = {}
        self._confidences: dict[str, tuple[ConfidenceFloor, list[float]]] = {}
        self._fell_at: dict[str, int] = {}  # the number of the token that gave way to an end token
        self._released: deque[str] = deque()

    def add(
        self,
        names: Sequence[str],
        logits: torch.Tensor,
        floors: Sequence[ConfidenceFloor | None] = (),
        numbers: Sequence[int] = (),
    ) -> torch.Tensor | None:
        """Take the raw logits of one token each `[num_names, vocabulary]`, float32.

        `floors` say how their confidence is measured (none: it is not), and `numbers` how many tokens each request had
        before. Return which of them fell below their floor, `[num_names]`, on the device; None where nobody can.
        """
        measured = []
        if self._self_certainty:
            measured.append(logits.logsumexp(-1) - logits.mean(-1) - math.log(logits.shape[-1]))
        confidences = confidences_for(logits, floors)
        fallen = None if confidences is None else self._floors.fallen(names, floors, numbers, confidences)
        if confidences is not None:
            measured += [confidences, torch.zeros_like(confidences) if fallen is None else fallen.float()]
        if measured:
            self._unread.append((names, floors, numbers, torch.stack(measured)))
        if len(self._unread) >= MAX_UNREAD:
            self._read()
        return fallen

    def release(self, name: str) -> None:
        """Let go of a request that ended; its figures can still be taken for a while."""
        self._floors.release(name)
        self._released.append(name)
        if len(self._released) > MOST_RELEASED:
            self._forget(self._released.popleft())

    def take(self, name: str, num_tokens: int) -> dict[str, float]:
        """Return a request's `self_certainty` (the mean, in nats) and confidences, as far as measured; forget it.

        `abandoned` is 1 where the last of its tokens gave way to an end token. Of what was drawn behind these, before
        vLLM knew that the request had ended, there is no confidence.
        """
        self._read()
        total, count = self._sums.get(name, (0.0, 0))
        found = {"self_certainty": total / count} if count else {}
        if name in self._confidences:
            floor, confidences = self._confidences[name]
            found |= confidence_figures(confidences[:num_tokens], floor.window)
        if self._fell_at.get(name, num_tokens) < num_tokens:
            found["abandoned"] = 1.0
        self._forget(name)
        return found

    def _forget(self, name: str) -> None:
        self._sums.pop(name, None)
        self._confidences.pop(name, None)
        self._fell_at.pop(name, None)

    def _read(self) -> None:
        for names, floors, numbers, measured in self._unread:
            columns = measured.tolist()
            if self._self_certainty:
                for name, value in zip(names, columns[0], strict=True):
                    total, count = self._sums.get(name, (0.0, 0))
                    self._sums[name] = (total + value, count + 1)
            if len(columns) < 2:
                continue
            for name, floor, value in zip(names, floors, columns[-2], strict=True):
                if floor is not None:
                    known = self._confidences.get(name)
                    if known is None:
                        known = self._confidences[name] = (floor, [])
                    known[1].append(value)
            if any(columns[-1]):
                for name, number, fell in zip(names, numbers, columns[-1], strict=True):
                    if fell:
                        self._fell_at.setdefault(name, number)
        self._unread.clear()


class Floors:
    """Finds out which requests fall below their floor, on the device: the last confidences of each, in a ring.

    A request keeps its slot until it is released, also while vLLM has preempted it. Slots are not cleared: a window is
    looked at only once its own request has filled it.
    """

    def __init__(self) -> None:
        self._rings: dict[int, torch.Tensor] = {}  # by the window, [num_slots, window]
        self._free: dict[int, list[int]] = {}
        self._slots: dict[str, tuple[int, int]] = {}  # window and slot

    def fallen(
        self,
        names: Sequence[str],
        floors: Sequence[ConfidenceFloor | None],
        numbers: Sequence[int],
        confidences: torch.Tensor,
    ) -> torch.Tensor | None:
        """Take one confidence each, `[num_names]`; return which of them fell, None where nobody can.

        `numbers` says how many each request had before.
        """
        held: dict[int, list[tuple[int, ConfidenceFloor]]] = {}  # by the window
        for place, floor in enumerate(floors):
            if floor is not None and floor.threshold > 0:
                held.setdefault(floor.window, []).append((place, floor))
        if not held:
            return None
        fallen, device = torch.zeros_like(confidences, dtype=torch.bool), confidences.device
        for window, here in held.items():
            slots = [self._slot(names[place], window, device) for place, _ in here]
            columns = [numbers[place] % window for place, _ in here]
            least = [floor.threshold if numbers[place] + 1 >= window else 0.0 for place, floor in here]
            at, slot, column = torch.tensor([[place for place, _ in here], slots, columns], device=device)
            ring = self._rings[window]
            ring[slot, column] = confidences[at]
            fallen[at] = ring[slot].mean(-1) < torch.tensor(least, device=device) * (1 - ROUNDING)
        return fallen

    def release(self, name: str) -> None:
        """Free a request's slot, if it has one."""
        window, slot = self._slots.pop(name, (0, 0))
        if window:
            self._free[window].append(slot)

    def _slot(self, name: str, window: int, device: torch.device) -> int:
        if name not in self._slots:
            free = self._free.setdefault(window, [])
            if not free:
                ring = self._rings.get(window, torch.zeros(0, window, device=device))
                size = max(8, 2 * len(ring))
                self._rings[window] = torch.cat([ring, torch.zeros(size - len(ring), window, device=device)])
                free.extend(range(len(ring), size))
            self._slots[name] = (window, free.pop())
        return self._slots[name][1]
