"""Which requests belong together, and which of them may start where a plugin has room for so many groups at once."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

from tts.engines.transformers.row import Row
from tts.types import Request


@dataclass(eq=False, slots=True)
class Party:
    """One group's requests. `key` is the plugin's name of it, never used twice; `num_here` wait or are decoded."""

    key: str
    num_awaited: int
    num_here: int = 0
    has_begun: bool = False


class Parties:
    """Follows the rows whose requests bring `guidance`; at most `num_slots` of their groups are decoded at once.

    Requests of groups that have begun, and unguided ones, may pass those that wait. None: there is room for all.
    """

    def __init__(self, num_slots: int | None) -> None:
        self._num_slots = num_slots
        self._by_group: dict[str, Party] = {}
        self._of: dict[str, Party] = {}
        self._numbers = count()

    def add(self, row: Row) -> None:
        """Let a guided request belong to the party of its group; the first one founds it."""
        guidance = row.request.guidance
        if guidance is None:
            return
        party = self._by_group.get(guidance.group)
        if party is None:
            party = Party(f"{next(self._numbers)} {guidance.group}", guidance.group_size)
            self._by_group[guidance.group] = party
        party.num_here += 1
        self._of[name_of(row.request)] = party

    def of(self, row: Row) -> Party | None:
        """Return the row's party; None where it is not guided."""
        return self._of.get(name_of(row.request))

    def may_begin(self, party: Party) -> bool:
        """Tell whether a party has begun, or is one that may."""
        if party.has_begun or self._num_slots is None:
            return True
        return sum(other.has_begun and other.num_here > 0 for other in self._by_group.values()) < self._num_slots

    def end(self, row: Row) -> Party | None:
        """Let a row leave its party; return that."""
        party, guidance = self._of.pop(name_of(row.request), None), row.request.guidance
        if party is None or guidance is None:
            return None
        party.num_here -= 1
        party.num_awaited -= 1
        if party.num_awaited == 0:
            self._by_group.pop(guidance.group, None)
        return party


def name_of(request: Request) -> str:
    """Return a plugin's name for a request; no two in flight share it."""
    return f"{request.key} {request.problem_id}"
