"""How sure the model is, measured inside vLLM: each request's self-certainty and confidence, and whether it fell below
its floor, without waiting for the device."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from tts.engines.confidence import ROUNDING, confidence_figures, confidences_for
from tts.types import ConfidenceFloor

MAX_UNREAD = 64
"""How many steps may wait until the host reads them."""
MOST_RELEASED = 4096
"""Of how many requests that ended the figures are kept; those of cancelled ones, for instance, nobody asks for."""


class Token(NamedTuple):
    """A token that is drawn in a step: whose it is, how many that one has before it, and how confidence is measured."""

    name: str
    number: int
    floor: ConfidenceFloor | None = None


@dataclass(slots=True)
class Measured:
    """What is known of one request, on the host. `fell_at` is the number of the token that gave way to an end token."""

    total: float = 0.0
    count: int = 0
    floor: ConfidenceFloor | None = None
    confidences: list[float] = field(default_factory=list)
    fell_at: int | None = None


class Certainties:
    """Keeps what is measured of each request's tokens.

    Kang et al. 2025, «Scalable Best-of-N Selection via Self-Certainty»; for confidence see `tts.engines.confidence`.
    """

    def __init__(self, *, self_certainty: bool = True) -> None:
        self._self_certainty = self_certainty
        self._floors = Floors()
        self._unread: list[tuple[Sequence[Token], torch.Tensor]] = []
        self._known: dict[str, Measured] = {}
        self._released: deque[str] = deque()

    def measures(self, tokens: Sequence[Token]) -> bool:
        """Tell whether these tokens' logits are to be looked at."""
        return self._self_certainty or any(token.floor is not None for token in tokens)

    def add(self, tokens: Sequence[Token], logits: torch.Tensor) -> torch.Tensor | None:
        """Take the raw logits of these tokens `[num_tokens, vocabulary]`, float32.

        Return which of them fell below their floor, `[num_tokens]`, on the device; None where nobody can.
        """
        nothing = torch.zeros(len(tokens), device=logits.device)
        certainties = nothing
        if self._self_certainty:
            certainties = logits.logsumexp(-1) - logits.mean(-1) - math.log(logits.shape[-1])
        confidences = confidences_for(logits, [token.floor for token in tokens])
        fallen = None if confidences is None else self._floors.fallen(tokens, confidences)
        columns = [certainties, nothing if confidences is None else confidences, nothing if fallen is None else fallen]
        self._unread.append((tokens, torch.stack([column.float() for column in columns])))
        if len(self._unread) >= MAX_UNREAD:
            self._read()
        return fallen

    def release(self, name: str) -> None:
        """Let go of a request that ended; its figures can still be taken for a while."""
        self._floors.release(name)
        self._released.append(name)
        if len(self._released) > MOST_RELEASED:
            self._known.pop(self._released.popleft(), None)

    def take(self, name: str, num_tokens: int) -> dict[str, float]:
        """Return a request's `self_certainty` (the mean, in nats) and confidences, as far as measured; forget it.

        `abandoned` is 1 where the last of its tokens gave way to an end token. Of what was drawn behind these, before
        vLLM knew that the request had ended, there is no confidence.
        """
        self._read()
        known = self._known.pop(name, Measured())
        found = {"self_certainty": known.total / known.count} if self._self_certainty and known.count else {}
        if known.floor is not None:
            found |= confidence_figures(known.confidences[:num_tokens], known.floor.window)
        if known.fell_at is not None and known.fell_at < num_tokens:
            found["abandoned"] = 1.0
        return found

    def _read(self) -> None:
        for tokens, measured in self._unread:
            for token, certainty, confidence, fell in zip(tokens, *measured.tolist(), strict=True):
                known = self._known.setdefault(token.name, Measured(floor=token.floor))
                known.total, known.count = known.total + certainty, known.count + 1
                if token.floor is not None:
                    known.confidences.append(confidence)
                if fell and known.fell_at is None:
                    known.fell_at = token.number
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

    def fallen(self, tokens: Sequence[Token], confidences: torch.Tensor) -> torch.Tensor | None:
        """Take one confidence a token, `[num_tokens]`; return which of them fell, None where nobody can."""
        held = [
            (place, token, token.floor)
            for place, token in enumerate(tokens)
            if token.floor is not None and token.floor.threshold > 0
        ]
        if not held:
            return None
        fallen = torch.zeros_like(confidences, dtype=torch.bool)
        for window in {floor.window for _, _, floor in held}:
            here = [(place, token, floor) for place, token, floor in held if floor.window == window]
            slots = [self._slot(token.name, window, confidences.device) for _, token, _ in here]
            index = [[place for place, _, _ in here], slots, [token.number % window for _, token, _ in here]]
            places, rows, columns = torch.tensor(index, device=confidences.device)
            least = [
                floor.threshold * (1 - ROUNDING) if token.number + 1 >= window else -math.inf
                for _, token, floor in here
            ]
            ring = self._rings[window]
            ring[rows, columns] = confidences[places]
            fallen[places] = ring[rows].mean(-1) < torch.tensor(least, device=confidences.device)
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
