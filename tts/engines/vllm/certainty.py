"""Self-certainty inside vLLM: each request's mean KL(uniform ‖ model), without waiting for the device."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

MAX_UNREAD = 64
"""How many steps may wait until the host reads them."""


class Certainties:
    """Sums each request's self-certainty. Kang et al. 2025, «Scalable Best-of-N Selection via Self-Certainty»."""

    def __init__(self) -> None:
        self._unread: list[tuple[Sequence[str], torch.Tensor]] = []
        self._sums: dict[str, tuple[float, int]] = {}

    def add(self, names: Sequence[str], logits: torch.Tensor) -> None:
        """Take the raw logits of one token each `[num_names, vocabulary]`, float32."""
        self._unread.append((names, logits.logsumexp(-1) - logits.mean(-1) - math.log(logits.shape[-1])))
        if len(self._unread) >= MAX_UNREAD:
            self._read()

    def take(self, name: str) -> dict[str, float]:
        """Return a request's mean in nats as `{"self_certainty": …}` and forget it; empty where it is unknown."""
        self._read()
        total, count = self._sums.pop(name, (0.0, 0))
        return {"self_certainty": total / count} if count else {}

    def _read(self) -> None:
        for names, values in self._unread:
            for name, value in zip(names, values.tolist(), strict=True):
                total, count = self._sums.get(name, (0.0, 0))
                self._sums[name] = (total + value, count + 1)
        self._unread.clear()
