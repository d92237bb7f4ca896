"""How sure the model is, measured inside vLLM: each request's self-certainty and confidence, without waiting for the
device."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from tts.engines.confidence import confidence_figures, token_confidences

MAX_UNREAD = 64
"""How many steps may wait until the host reads them."""


class Certainties:
    """Keeps what is measured of each request's tokens, for its self-certainty and, with a `window`, its confidence.

    Kang et al. 2025, «Scalable Best-of-N Selection via Self-Certainty»; for the other see `tts.engines.confidence`.
    """

    def __init__(self, *, self_certainty: bool = True, window: int | None = None) -> None:
        self._self_certainty, self._window = self_certainty, window
        self._unread: list[tuple[Sequence[str], torch.Tensor]] = []
        self._sums: dict[str, tuple[float, int]] = {}
        self._confidences: dict[str, list[float]] = {}

    def add(self, names: Sequence[str], logits: torch.Tensor) -> None:
        """Take the raw logits of one token each `[num_names, vocabulary]`, float32."""
        measured = []
        if self._self_certainty:
            measured.append(logits.logsumexp(-1) - logits.mean(-1) - math.log(logits.shape[-1]))
        if self._window is not None:
            measured.append(token_confidences(logits))
        self._unread.append((names, torch.stack(measured)))
        if len(self._unread) >= MAX_UNREAD:
            self._read()

    def take(self, name: str) -> dict[str, float]:
        """Return a request's `self_certainty` (the mean, in nats) and confidences, as far as measured; forget it."""
        self._read()
        total, count = self._sums.pop(name, (0.0, 0))
        found = {"self_certainty": total / count} if count else {}
        return found | confidence_figures(self._confidences.pop(name, ()), self._window or 1)

    def _read(self) -> None:
        for names, measured in self._unread:
            columns = measured.tolist()
            if self._self_certainty:
                for name, value in zip(names, columns[0], strict=True):
                    total, count = self._sums.get(name, (0.0, 0))
                    self._sums[name] = (total + value, count + 1)
            if self._window is not None:
                for name, value in zip(names, columns[-1], strict=True):
                    self._confidences.setdefault(name, []).append(value)
        self._unread.clear()
