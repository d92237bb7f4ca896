"""Which requests share a distiller, and which slot of the bank it sits in."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tts.plugins.esamp.stats import LossTrace


@dataclass(eq=False, slots=True)
class Group:
    """Requests that share a distiller. `size` is how many are expected in all; None: nobody knows.

    The steps and rows that are counted as untrained are those since the distiller was trained last.
    """

    key: str
    slot: int
    size: int | None
    live: set[str] = field(default_factory=set)
    num_left: int = 0
    num_steps: int = 0
    num_untrained_steps: int = 0
    num_untrained_rows: int = 0
    losses: LossTrace = field(default_factory=LossTrace)


class Groups:
    """Hands out the slots, the lowest free one first, and takes them back when a group is over.

    `started` is told of each group that begins, and `ended` of each that is over. `shared` makes all requests one
    group, which never ends.
    """

    def __init__(
        self,
        num_slots: int,
        max_members: int,
        *,
        started: Callable[[Group], None],
        ended: Callable[[Group], None],
        shared: bool = False,
    ) -> None:
        self._free = list(range(num_slots))
        self._max_members, self._shared = max_members, shared
        self._started, self._ended = started, ended
        self._by_key: dict[str, Group] = {}

    def __iter__(self) -> Iterator[Group]:
        return iter(self._by_key.values())

    def __len__(self) -> int:
        return len(self._by_key)

    def has_room(self, key: str) -> bool:
        """Tell whether one more request of the group `key` would be taken now."""
        group = self._by_key.get(self._name(key))
        if group is not None:
            return len(group.live) < self._max_members
        return bool(self._free) or self._idle() is not None

    def join(self, request_id: str, key: str, size: int | None = None) -> Group | None:
        """Add a request to its group, which begins if need be; None where there is no slot, or the group is full.

        Where no slot is free, the group that has waited longest for members that never came gives up its own.
        """
        if not self.has_room(key):
            return None
        name = self._name(key)
        group = self._by_key.pop(name, None)
        if group is None:
            if not self._free:
                idle = self._idle()
                assert idle is not None
                self._end(idle)
            group = Group(name, heapq.heappop(self._free), size)
            self._started(group)
        self._by_key[name] = group  # the groups joined last come last
        group.live.add(request_id)
        return group

    def leave(self, request_id: str, group: Group) -> None:
        """Take a request out of its group; the last one of all that were expected ends it."""
        group.live.remove(request_id)
        group.num_left += 1
        nobody_expected = group.size is None or group.num_left >= group.size
        if nobody_expected and not group.live and not self._shared:
            self._end(group)

    def end_all(self) -> None:
        """End every group, also the one of all requests."""
        for group in list(self):
            self._end(group)

    def _name(self, key: str) -> str:
        return "" if self._shared else key

    def _idle(self) -> Group | None:
        return next((group for group in self if not group.live), None)

    def _end(self, group: Group) -> None:
        del self._by_key[group.key]
        heapq.heappush(self._free, group.slot)
        self._ended(group)
