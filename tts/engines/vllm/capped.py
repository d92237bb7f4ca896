"""ESamp where the model caps its logits: mixing hidden states is not mixing logits, so both are projected."""

from __future__ import annotations

import torch

from tts.engines.vllm.worker_plugin import Step, WorkerPlugin
from tts.plugins.esamp.fusion import fuse, q_of


class CappedWorkerPlugin(WorkerPlugin):
    """Leaves the hidden states as they are, projects q beside them, and mixes the logits before anybody sees them."""

    _q_logits: torch.Tensor | None = None
    _betas: torch.Tensor | None = None

    def begin(self, step: Step) -> None:
        """Take the rows of a step."""
        super().begin(step)
        self._q_logits = None

    def mix(self, h_first: torch.Tensor, h_last: torch.Tensor) -> torch.Tensor:
        """Return `h_last` itself, and keep what `measure` mixes."""
        assert self._core is not None
        mixed = super().mix(h_first, h_last)
        betas = self._core.betas(len(h_last))
        if bool(betas.any()):
            self._betas = betas.to(h_last.device)
            self._q_logits = self._project(q_of(h_last, mixed, self._betas).to(h_last.dtype))
        return h_last

    def measure(self, logits: torch.Tensor) -> None:
        """Mix the rows that are guided, in place, and look at the logits then."""
        if self._q_logits is not None and self._betas is not None:
            places = self._places(logits.device)
            own = logits[places]
            logits[places] = fuse(own, self._q_logits.to(own.dtype), self._betas.to(own.dtype))
        super().measure(logits)
