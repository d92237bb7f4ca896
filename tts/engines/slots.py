"""Which guided requests may run, where a plugin has room for so many problems at once."""

from __future__ import annotations

import math

from tts.plugins.settings import PluginSettings
from tts.types import Request


class SlotQueue:
    """Lets no more problems in than the plugin has room for, so that no candidate of theirs goes unguided."""

    def __init__(self, plugin: PluginSettings | None) -> None:
        most = None if plugin is None else plugin.most_groups
        self._num_slots = math.inf if most is None else most
        self._expected: dict[str, int] = {}

    def lets_in(self, request: Request) -> bool:
        """Tell whether the request's group has room already, or there is some left for it."""
        guidance = request.guidance
        return guidance is None or guidance.group in self._expected or len(self._expected) < self._num_slots

    def enter(self, request: Request) -> None:
        """Note a request that goes in."""
        if request.guidance is not None:
            self._expected.setdefault(request.guidance.group, request.guidance.group_size)

    def leave(self, request: Request) -> None:
        """Note a request that ended; the last one of its group gives its room back."""
        if request.guidance is None:
            return
        self._expected[request.guidance.group] -= 1
        if not self._expected[request.guidance.group]:
            del self._expected[request.guidance.group]
