"""What the driver knows of a replica and of a group of calls, and what it asks of the cluster (see `places`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tts.engines.ray.replica import Call, Hello, Key, Reply, Told
from tts.types import Request


class Actor(Protocol):
    """A replica elsewhere: its methods, called `remote`, return what can be waited for."""

    submit: Any
    collect: Any
    plugin_report: Any
    close: Any


class Cluster(Protocol):
    """Where replicas are started, waited for and ended (see `cluster`; tests and benchmarks bring others)."""

    def start(self) -> Actor:
        """Start a replica; return at once."""

    def ready(self, polls: Sequence[Any], seconds: float) -> list[Any]:
        """Return the polls that came back, all of them; wait for the first at most so long."""

    def result(self, poll: Any) -> Told | str:
        """Return what a poll that came back brought, or why there is nothing: its replica is dead."""

    def end(self, actor: Actor) -> None:
        """End a replica at once, whatever it does."""


@dataclass(slots=True)
class Place:
    """One replica as the driver sees it.

    `moved`: when a step was last seen to end, or its work began. `waiting`: problem → those of `flying` that the
    replica has not been given yet.
    """

    number: int
    actor: Any = None
    life: int = 0
    hello: Hello | None = None
    flying: dict[Key, Call] = field(default_factory=dict)
    waiting: dict[str, list[Key]] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    cancels: list[Key] = field(default_factory=list)
    cancelled: set[Key] = field(default_factory=set)
    num_slots: int = 0
    told: int = -1
    num_steps: int = -1
    num_tokens: int = 0
    moved: float = 0.0
    num_barren: int = 0
    num_blamed: int = 0
    num_free: int = 0
    room: tuple[int, ...] = ()

    def recount(self) -> int:
        """Count its free slots anew; return how many there are more."""
        before, self.num_free = self.num_free, max(0, self.num_slots - len(self.flying))
        return self.num_free - before


@dataclass(slots=True)
class Group:
    """Guided calls that are drawn together. `finished` are held back until there are `size`; some may be `blamed`."""

    name: str
    size: int
    place: Place
    calls: dict[Key, Request] = field(default_factory=dict)
    finished: dict[Key, Reply] = field(default_factory=dict)
    blamed: set[Key] = field(default_factory=set)
    given_up: bool = False
