"""The driver's side of the replicas: who has which calls, what came back, who died and what is made again.

How it works. A `Place` (see `place`) is where one replica works, and `flying` are the calls that it has. A problem's
calls go to one place, the one with the most room at its first call, because its prefix cache and its distiller are
there. `step` sends what was asked since the last one (one message a place), looks which polls came back, believes of
them what is in `flying`, and puts out the next poll. One poll is out at each place, always.

When a replica dies (its process is gone, its engine raised, or no step ended for `hang_seconds` while it had work) a
new one takes its place and gets all that was flying. `life` numbers the replicas of a place, so that a poll of an old
one is not believed. Whoever asked notices nothing, but for three things: the calls of a problem that kills come back as
errors; five deaths at one place with nothing finished in between end the run; and a replica that is not ready within
`start_seconds` does, too.

Who kills. After a second death with the same calls the next replica is not given all of them again, but a few problems
at a time, and after a third death those that were there then one by one; the rest wait (`waiting`). A problem's calls
that were there at three deaths or more, with no others at the last, are blamed. What led to that counts as one death
towards the five.

Groups. Guided calls (ESamp) influence each other through a distiller that dies with its replica, so a group is drawn
whole or not at all. What finished of a group is held back here until all of it has, and is drawn anew with the rest
where the replica dies. That loses nothing: on disk a part of a group would be drawn anew, too. A group of which
something was cancelled is given up, and no longer held.

Cost. A poll costs the driver 0.5 to 1 ms, a candidate in it 10 to 30 µs. Replicas therefore linger (`replica`), the
longer the more there are, and the driver looks no oftener than 20 times a second once there are a hundred.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Mapping
from math import isqrt
from typing import Any

from tts.engines.ray.place import Cluster, Group, Place
from tts.engines.ray.replica import Call, Hello, Key, Reply, Told, packed, unpacked
from tts.errors import EngineError, EngineLoadError, plural
from tts.types import Completion, Request, RewardRequest, Rewards

FEW_DEATHS, MOST_DEATHS = 2, 3
"""Of replicas under one call, before it is tried with few others, and before it is tried alone or blamed."""
MOST_BARREN = 5
"""Deaths at one place in a row with nothing finished, before the run ends."""
POLL_SECONDS = 1.0
"""How long a poll waits for something to tell; at its end the driver sees whether steps were made."""
POLLS_PER_SECOND = 500
LOOKS_PER_SECOND = 20


def linger_seconds(num_replicas: int) -> float:
    """Return how long a poll waits for more once it has something: all replicas together make 500 polls a second."""
    return num_replicas / POLLS_PER_SECOND


class Places:
    """`num_replicas` replicas, driven from one thread.

    `versions` are those of this process that the replicas' must be. `told` hears what happened to them, in sentences.
    """

    def __init__(
        self,
        cluster: Cluster,
        num_replicas: int,
        *,
        hang_seconds: float,
        start_seconds: float,
        versions: Mapping[str, str] | None = None,
        told: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._cluster, self._hang, self._start_seconds = cluster, hang_seconds, start_seconds
        self._told_user, self._versions = told, versions or {}
        self._places = [Place(number) for number in range(num_replicas)]
        self._polls: dict[Any, tuple[Place, int]] = {}
        self._homes: dict[str, tuple[Place, int]] = {}
        """Problem → where its calls are, and how many."""
        self._groups: dict[str, Group] = {}
        self._grouped: dict[Key, Group] = {}
        self._deaths: dict[Key, int] = {}
        self._ready: list[Reply] = []
        self._lost_tokens = 0
        self._pause = min(1 / LOOKS_PER_SECOND, num_replicas / 2000)
        self._looked = time.monotonic()
        self._by_room: list[tuple[tuple[int, ...], int]] = []
        self._changed: set[int] = set(range(num_replicas))
        """The places whose room changed since one was last chosen by it."""
        self.num_free = 0
        """How many more calls the replicas want."""
        self.num_replaced = 0
        self.hello: Hello | None = None
        """What the first replica that was ready told."""

    def open(self) -> None:
        """Start the replicas and wait until all are ready. Raises EngineLoadError where one cannot be."""
        for place in self._places:
            self._start(place)
        while waiting := [place for place in self._places if place.hello is None]:
            self._listen(0.1)
            for place in waiting:
                self._check_time(place)

    @property
    def num_tokens(self) -> int:
        """Tokens that were generated, those that died with a replica included."""
        return self._lost_tokens + sum(place.num_tokens for place in self._places)

    def add(self, call: Call) -> None:
        """Send a call to its problem's replica."""
        home = self._homes.get(call.problem_id)
        place = self._roomiest() if home is None else home[0]
        self._homes[call.problem_id] = (place, 1 if home is None else home[1] + 1)
        key = (call.problem_id, call.key)
        if isinstance(call, Request) and call.guidance is not None and call.guidance.group_size > 1:
            name = call.guidance.group
            group = self._groups.setdefault(name, Group(name, call.guidance.group_size, place))
            group.calls[key] = call
            self._grouped[key] = group
        if not place.flying:
            place.moved = time.monotonic()
        place.flying[key] = call
        if place.waiting:
            place.waiting.setdefault(call.problem_id, []).append(key)
        else:
            place.calls.append(call)
        self._recount(place)

    def _recount(self, place: Place) -> None:
        self.num_free += place.recount()
        self._changed.add(place.number)

    def _roomiest(self) -> Place:
        """Return the place for a new problem: a free one, of these one that is ready, of these the freest.

        One that is loading has its slots, too: else nothing would be asked while all replicas are being replaced. A
        heap, since there may be a thousand places; what is out of date in it is thrown away when it comes up.
        """
        for number in self._changed:
            place = self._places[number]
            busy = place.hello is None or bool(place.waiting)
            room = (place.num_free == 0, busy, -place.num_free, len(place.flying), number)
            if room != place.room:
                place.room = room
                heapq.heappush(self._by_room, (room, number))
        self._changed.clear()
        while self._by_room[0][0] != self._places[self._by_room[0][1]].room:
            heapq.heappop(self._by_room)
        return self._places[self._by_room[0][1]]

    def cancel(self, key: Key) -> None:
        """Take a call back; what has finished of its group is let go."""
        home = self._homes.get(key[0])
        if home is None:
            return
        place = home[0]
        group = self._grouped.get(key)
        if group is not None:
            group.given_up = True
            self._let_go(group)
        if key in place.flying and key not in place.cancelled:
            place.cancelled.add(key)
            if key not in place.waiting.get(key[0], ()):
                place.cancels.append(key)

    def step(self, patience_seconds: float) -> list[Reply]:
        """Send, look, return what is whole; wait at most so long for the first."""
        for place in self._places:
            if place.waiting:
                self._give(place)
            if place.calls or place.cancels:
                place.actor.submit.remote(packed(place.calls), place.cancels)
                place.calls, place.cancels = [], []
        if self._homes and not self._ready:
            self._listen(patience_seconds)
            for place in self._places:
                self._check_time(place)
        replies, self._ready = self._ready, []
        for reply in replies:
            place, number = self._homes[reply.problem_id]
            if number == 1:
                del self._homes[reply.problem_id]
            else:
                self._homes[reply.problem_id] = (place, number - 1)
        return replies

    # --- what comes back

    def _listen(self, patience_seconds: float) -> None:
        """Take what the polls bring that came back, and put them out again."""
        away = time.monotonic() - self._looked
        if away > 2 * POLL_SECONDS:  # it was the caller who took so long, and no replica
            for place in self._places:
                place.moved += away
        early = self._pause - (time.monotonic() - self._looked)
        if early > 0:
            time.sleep(min(early, patience_seconds))
            if early > patience_seconds:
                return
        polls = self._cluster.ready(list(self._polls), patience_seconds - max(0.0, early))
        self._looked = time.monotonic()
        for poll in polls:
            place, life = self._polls.pop(poll)
            told = self._cluster.result(poll)
            if life != place.life:
                continue
            if isinstance(told, str):
                self._replace(place, told)
            elif told.error is not None and not told.finished[1]:
                self._replace(place, told.error)
            else:
                self._take(place, told)
                self._poll(place)

    def _take(self, place: Place, told: Told) -> None:
        if told.hello is not None and place.hello is None:
            self._welcome(place, told.hello)
        if told.num_steps != place.num_steps or not place.flying:
            place.num_steps, place.moved = told.num_steps, time.monotonic()
        place.told, place.num_tokens = told.number, told.num_tokens
        for reply in unpacked(told.finished):
            key = (reply.problem_id, reply.key)
            if place.flying.pop(key, None) is None:
                raise EngineError(
                    f"replica {place.number} returned {reply.key} of problem {reply.problem_id!r} unasked"
                )
            place.num_barren = place.num_blamed = 0
            place.cancelled.discard(key)
            self._deaths.pop(key, None)
            self._finish(key, reply)
        self._recount(place)

    def _finish(self, key: Key, reply: Reply) -> None:
        """Hand a reply out, with its group where it has one."""
        group = self._grouped.get(key)
        if group is None:
            self._ready.append(reply)
            return
        group.finished[key] = reply
        if group.given_up or len(group.finished) == group.size:
            self._let_go(group)

    def _let_go(self, group: Group) -> None:
        """Hand out what is held back of a group."""
        self._ready += group.finished.values()
        for key in group.finished:
            del group.calls[key], self._grouped[key]
        group.finished.clear()
        if not group.calls:
            del self._groups[group.name]

    def _welcome(self, place: Place, hello: Hello) -> None:
        """Compare a replica that is ready with this process and the first. Raises EngineLoadError where they differ."""
        place.hello, place.num_slots = hello, hello.num_slots
        first = self.hello = self.hello or hello
        for wanted, where in ((self._versions, "here"), (first.versions, f"on {first.host}")):
            names = wanted if where == "here" else {**wanted, **hello.versions}
            told = [
                f"{name} {hello.versions.get(name)} on {hello.host}, {wanted.get(name)} {where}"
                for name in sorted(names)
                if hello.versions.get(name) != wanted.get(name)
            ]
            if told:
                raise EngineLoadError(f"replicas must run the same versions, got {'; '.join(told)}: install the same")

    # --- who died

    def _check_time(self, place: Place) -> None:
        late = time.monotonic() - place.moved
        if place.hello is None:
            if late > self._start_seconds:
                raise (EngineLoadError if self.hello is None else EngineError)(
                    f"replica {place.number} is not ready after {self._start_seconds:g} s (`start_seconds`). It may "
                    "wait for processors or GPUs that others use, or load slowly"
                )
        elif place.flying and late > self._hang:
            self._replace(place, f"no step ended for {self._hang:g} s (`hang_seconds`)")

    def _start(self, place: Place) -> None:
        place.actor = self._cluster.start()
        place.life += 1
        place.hello, place.told, place.num_steps, place.moved = None, -1, -1, time.monotonic()
        place.calls, place.cancels, place.waiting = [], [], {}
        for key in sorted(place.flying, key=lambda key: -self._deaths.get(key, 0)):
            place.waiting.setdefault(key[0], []).append(key)
        self._poll(place)

    def _give(self, place: Place) -> None:
        """Give a replica what waits there: all, or the next few problems once the ones before are done."""
        if len(place.flying) > sum(map(len, place.waiting.values())):
            return
        deaths = [max(self._deaths.get(key, 0) for key in keys) for keys in place.waiting.values()]
        alike = sum(number == deaths[0] for number in deaths)
        most = len(deaths) if deaths[0] < FEW_DEATHS else isqrt(alike) if deaths[0] < MOST_DEATHS else 1
        for problem_id in list(place.waiting)[:most]:
            keys = place.waiting.pop(problem_id)
            place.calls += [place.flying[key] for key in keys]
            place.cancels += [key for key in keys if key in place.cancelled]
        self._changed.add(place.number)

    def _poll(self, place: Place) -> None:
        self._polls[place.actor.collect.remote(place.told, POLL_SECONDS)] = (place, place.life)

    def _replace(self, place: Place, why: str) -> None:
        """Start another replica for what this one was working on."""
        self._cluster.end(place.actor)
        place.num_barren += 1
        if self.hello is None or place.num_barren >= MOST_BARREN:
            raised = EngineLoadError if self.hello is None else EngineError
            often = "" if self.hello is None else f" {place.num_barren} times in a row"
            raise raised(f"replica {place.number} cannot go on{often}: {why}")
        self.num_replaced += 1
        self._lost_tokens += place.num_tokens
        place.num_tokens = 0
        given = [key for key in place.flying if key not in place.waiting.get(key[0], ())]
        for key in given:
            self._deaths[key] = self._deaths.get(key, 0) + 1
        is_alone = len({problem_id for problem_id, _ in given}) == 1
        blamed = [key for key in given if is_alone and self._deaths[key] >= MOST_DEATHS]
        if blamed:
            place.num_blamed += 1
            place.num_barren = place.num_blamed
        for key in blamed:
            place.cancelled.discard(key)
            if key in self._grouped:
                self._grouped[key].blamed.add(key)
            self._finish(key, _blamed(place.flying.pop(key), self._deaths.pop(key), why))
        for group in self._groups.values():
            if group.place is place and not group.given_up:  # its distiller has died, so it is drawn anew, whole
                again = group.calls.keys() - group.blamed
                place.flying |= {key: group.calls[key] for key in group.calls if key in again}
                group.finished = {key: reply for key, reply in group.finished.items() if key not in again}
        self._recount(place)
        self._told_user(
            f"replica {place.number}: {why}; another one takes its place"
            + (f" and its {plural(len(place.flying), 'call')}" if place.flying else "")
        )
        self._start(place)


def _blamed(call: Call, num_deaths: int, why: str) -> Reply:
    """Return the error that a call becomes whose problem was there whenever a replica died."""
    times = plural(num_deaths, "time")
    error = f"a replica died {times} while it worked on this, the last time on this problem alone: {why}"
    if isinstance(call, RewardRequest):
        return Rewards(call.problem_id, call.key, (), 0, error=error)
    return Completion(call.problem_id, call.key, "", "error", 0, 0, error=error)
