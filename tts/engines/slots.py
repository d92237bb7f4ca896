"""Which guided requests may run, where a plugin has room for so many problems at once."""

from __future__ import annotations

import math

from tts.plugins.esamp.settings import ESampSettings
from tts.types import Request


class SlotQueue:
    """Lets no more problems in than there are distillers, so that no candidate of theirs goes unguided."""

    def __init__(self, esamp: ESampSettings | None) -> None:
        self._num_slots = math.inf if esamp is None or esamp.scope == "shared" else esamp.num_slots
        self._expected: dict[str, int] = {}

    def lets_in(self, request: Request) -> bool:
        """Tell whether the request's group has a distiller, or there is one left for it."""
        guidance = request.guidance
        return guidance is None or guidance.group in self._expected or len(self._expected) < self._num_slots

    def enter(self, request: Request) -> None:
        """Note a request that goes in."""
        if request.guidance is not None:
            self._expected.setdefault(request.guidance.group, request.guidance.group_size)

    def leave(self, request: Request) -> None:
        """Note a request that ended; the last one of its group gives the distiller back."""
        if request.guidance is None:
            return
        self._expected[request.guidance.group] -= 1
        if not self._expected[request.guidance.group]:
            del self._expected[request.guidance.group]
