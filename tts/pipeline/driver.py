"""Drives searches: hands their calls to engines, writes what comes, tells it, and runs the branches that can go on.

How it works. `step` is one round: each engine that has work gets the calls that wait for it and goes on for a moment;
what it returns is appended to calls.jsonl before anybody is told; then all branches that are ready run, one after the
other, until none is. A search that waits while nothing of it is on its way can never go on and is ended.

Resuming is running the search again from its start. A call that is on record under the same key must be the same call
(its digest says so); then it is told at once, or never where it had been given up. What is asked for beyond the record
goes to the engines. So nothing of a search's state is stored, and nothing on record is asked again.

A reward engine that asks (`AskingRewardEngine`) is not stepped: its questions wait in the queue of the engine that it
asks, beside that one's other calls, and what goes on record is the rewards that they come to, at its own place.

Waiting. While anything comes, engines are asked without patience; when a whole round brought nothing, each waits a
little longer than before (1, 2, 4 … 20 ms), so that several that compute elsewhere cost no processor. One that computes
here ignores its patience.

The verifier that `classes` asks works on threads (`reading.py`), each with a deadline, and what it says is recorded
like any reply, since a time limit is no function.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from tts.errors import CallError, EngineError, MisuseError, OtherSearchError
from tts.pipeline.asking import Asked, Name
from tts.pipeline.calls import Branch, Promise, Search, numbers
from tts.pipeline.cap import Cap
from tts.pipeline.reading import SECONDS, Reading, Readings, Reads
from tts.pipeline.watch import Watch
from tts.protocols import AskingRewardEngine, Engine, Forgets, RewardEngine
from tts.runs.call_log import Call, digest, digest_of
from tts.runs.ledger import POLICY
from tts.types import Candidate, Completion, Grouping, Request, RewardRequest, Rewards, Written

TURN_SECONDS = 60.0
"""How long a search may compute without awaiting anything."""
LONGEST_PATIENCE_SECONDS = 0.02
HURRY_SECONDS = 0.1


@dataclass(slots=True)
class _InFlight:
    """A call on its way. `told` False: it was given up; `asked`: it is put to another engine in questions.

    `place` is the engine's, `charged` the one that pays. When it is `due`, the engine has had long enough.
    """

    place: str
    charged: str
    call: Request | RewardRequest
    digest: str
    search: Search
    promise: Promise[Any]
    about: Written
    told: bool = True
    asked: Asked | None = None
    due: float = math.inf


class Driver:
    """Several searches over several engines, in one thread. `engines` are named by their place in the recipe.

    The first is what draws candidates. `slots` are what stands at these places in the recipe, where others do the work.
    `record` writes a candidate, `reads` is the verifier's part, `told` says what the user should know, and `cap` holds
    what may be spent. With `opens`, an engine is opened by it when it first has something to do; else all are open.
    """

    def __init__(
        self,
        engines: Mapping[str, Engine | RewardEngine | AskingRewardEngine],
        record: Callable[[Candidate], None],
        reads: Reads,
        told: Callable[[str], None] = lambda _: None,
        *,
        slots: Mapping[str, object] | None = None,
        cap: Cap | None = None,
        opens: Callable[[str], None] | None = None,
        turn_seconds: float = TURN_SECONDS,
        classes_seconds: float = SECONDS,
    ) -> None:
        self._askers = {place: one for place, one in engines.items() if isinstance(one, AskingRewardEngine)}
        self.engines = {place: one for place, one in engines.items() if not isinstance(one, AskingRewardEngine)}
        self.record, self._opens = record, opens
        self.opened = set() if opens else set(self.engines)
        self.cap = cap or Cap()
        self._slots = {**engines, **(slots or {})}
        self.ready: deque[Branch] = deque()
        self.running: Branch | None = None
        self._rewards: dict[str, bool] = {}  # whether an engine gives them, and whether it writes: by place
        self._writes: dict[str, bool] = {}
        self.num_replies = 0
        self.tokens: dict[str, list[int]] = {}
        """Written and read, by what they are charged to; see `count`."""
        self._refusal: OtherSearchError | None = None
        self._touched: list[Search] = []  # something ran or came for them: do they still wait for anything?
        self._queues: dict[str, dict[Name, Request | RewardRequest]] = {place: {} for place in engines}
        self._in_flight: dict[Name, _InFlight] = {}
        self._questions: dict[Name, Asked] = {}
        self._num_working = dict.fromkeys(engines, 0)
        self._readings = Readings(reads, classes_seconds)
        self._watch = Watch(turn_seconds, told)
        self._patience = self._hurried = 0.0

    @property
    def busy(self) -> bool:
        """Whether anything is on its way."""
        return bool(self._in_flight or self._readings)

    @property
    def is_asking(self) -> bool:
        """Whether an engine works on anything, be it given up."""
        return any(self._num_working.values())

    def num_queued(self, place: str) -> int:
        """Return how many calls wait for an engine that is full."""
        return len(self._queues[place])

    def num_working(self, place: str) -> int:
        """Return how many calls an engine works on, or has waiting."""
        return self._num_working[place] + len(self._queues[place])

    def count(self, charged: str, written: int, read: int) -> None:
        """Add to what is told of the tokens, such as what an earlier session took."""
        so_far = self.tokens.setdefault(charged, [0, 0])
        so_far[0] += written
        so_far[1] += read

    def forget(self, problem_id: str) -> None:
        """Tell the engines that no call of this problem will come any more."""
        for place, engine in self.engines.items():
            if place in self.opened and isinstance(engine, Forgets):
                engine.forget(problem_id)

    def close(self) -> None:
        """Let go. What is on its way is not recorded: it will be asked again."""
        self._watch.close()

    # --- what branches ask for

    def _place(self, engine: object) -> str:
        """Return the place of an engine in the recipe; None is what draws candidates."""
        for place, one in self._slots.items():
            if engine is None or one is engine:
                return place
        raise MisuseError('a search may ask the engines of its own recipe, in a component\'s `Slot("engines")`')

    def capabilities(self, engine: Engine | None) -> frozenset[str]:
        """Return what an engine of the recipe can do."""
        place = self._place(engine)
        return (self._askers.get(place) or self.engines[place]).capabilities()

    def ask(
        self,
        branch: Branch,
        engine: Engine | RewardEngine | AskingRewardEngine | None,
        call: Request | RewardRequest,
        about: Written = (),
    ) -> Promise[Any]:
        """Ask an engine. What an earlier session has on record is told at once."""
        search, name, place = branch.search, (call.problem_id, call.key), self._place(engine)
        self._require_able(place, call)
        charged = place if search.own == POLICY or place.startswith(search.own) else search.own
        mark = _marked(search, place, digest(charged, call))
        promise: Promise[Any] = Promise(branch, lambda: self._give_up(name))
        branch.asked.append(promise)
        recorded = self._recorded(search, call.key, mark)
        if recorded is not None:
            if recorded.told:
                self._tell(search, promise, recorded.reply)
            return promise
        if name in self._in_flight:
            raise MisuseError(f"call {call.key} was asked twice")
        search.in_flight += 1
        flight = self._in_flight[name] = _InFlight(place, charged, call, mark, search, promise, about)
        if place in self._askers:
            self._put(name, flight, self._askers[place])
        else:
            self._queues[place][name] = call
        return promise

    def _require_able(self, place: str, call: Request | RewardRequest) -> None:
        """Raise MisuseError where an engine is asked for what it is not made for."""
        if place not in self._rewards:
            capabilities = (self._askers.get(place) or self.engines[place]).capabilities()
            writes = "rewards" not in capabilities or not capabilities <= {"rewards", "raw_rewards"}
            self._rewards[place], self._writes[place] = "rewards" in capabilities, writes
        if isinstance(call, RewardRequest) and not self._rewards[place]:
            raise MisuseError(f"`{place}` must be a reward engine to be asked for rewards")
        if isinstance(call, Request) and not self._writes[place]:
            raise MisuseError(f"`{place}` must be an engine that writes to be asked for text: it gives rewards alone")

    def _put(self, name: Name, flight: _InFlight, asker: AskingRewardEngine) -> None:
        """Put a reward call to the engine that is asked; without questions it is told at once."""
        assert isinstance(flight.call, RewardRequest)
        asked = flight.asked = Asked(asker, flight.call, self._place(asker.engine))
        flight.due = time.monotonic() + flight.search.call_seconds
        self._questions.update(dict.fromkeys(asked.awaited, asked))
        self._queues[asked.place].update(asked.awaited)
        if not asked.awaited:
            self._replied(name, asked.rewards)

    def ask_classes(
        self, branch: Branch, key: str, answers: tuple[str | None, ...], about: Written
    ) -> Promise[Grouping]:
        """Ask the verifier."""
        search = branch.search
        mark = digest_of("classes", *("" if one is None else f"={one}" for one in answers))
        mark = _marked(search, "classes", mark)
        promise: Promise[Grouping] = Promise(branch, lambda: None)
        branch.asked.append(promise)
        recorded = self._recorded(search, key, mark)
        if recorded is not None:
            self._tell(search, promise, recorded.reply)
            return promise
        search.in_flight += 1
        self._readings.add(Reading(search, key, mark, answers, about, promise))
        return promise

    def _recorded(self, search: Search, key: str, mark: str) -> Call | None:
        recorded = search.recorded.pop(key, ())
        fits = next((one for one in recorded if one.digest == mark), None)
        if recorded and fits is None and not search.may_differ:
            self.refuse(search, f"call {key}")
        return fits

    def refuse(self, search: Search, what: str) -> NoReturn:
        """End the run, whatever the search makes of the error."""
        self._refusal = OtherSearchError(
            f"{what} of problem {search.problem.id!r} is not the one on record: this sampler, or its version, asks "
            "another thing. Draw into another folder with --run DIR"
        )
        raise self._refusal

    def _give_up(self, name: Name) -> None:
        flight = self._in_flight.get(name)
        if flight is None or not flight.told:
            return
        flight.told = False
        flight.search.in_flight -= 1
        flight.search.num_untold += 1
        self._stop(name, flight)

    def _stop(self, name: Name, flight: _InFlight) -> None:
        """Take a call out of its queue, or have its engine cancel it."""
        asked = flight.asked
        place, parts = (flight.place, [name]) if asked is None else (asked.place, list(asked.awaited))
        for part in parts:
            if self._queues[place].pop(part, None) is None:
                self.engines[place].cancel(*part)
                continue
            if asked is not None:
                del asked.awaited[part], self._questions[part]
            else:
                self._in_flight.pop(name).search.num_untold -= 1
        if asked is not None and not asked.awaited:  # what came already was paid for
            if asked.has_replies or flight.told:
                self._replied(name, asked.rewards)
            else:
                self._in_flight.pop(name).search.num_untold -= 1

    # --- a round

    def step(self) -> None:
        """Let every engine that has work go on for a moment, then the branches that were told something.

        Raises CapReachedError where the cap allows none of the calls that wait, and nothing is on its way.
        """
        progress = False
        for place, engine in self.engines.items():
            waiting = self._queues[place]
            if waiting and place not in self.opened and self._opens is not None:
                self._opens(place)
                self.opened.add(place)
            while waiting and engine.num_free > 0:
                name = next(iter(waiting))
                if not self.cap.reserve(place, waiting[name]):
                    break
                self._num_working[place] += 1
                if name in self._in_flight:
                    flight = self._in_flight[name]
                    flight.due = time.monotonic() + flight.search.call_seconds
                engine.add(waiting.pop(name))  # type: ignore[arg-type]  # a place is asked for one kind alone
            if self._num_working[place]:
                for reply in engine.step(self._patience):
                    progress = True
                    self._take(place, reply)
        progress |= self._take_readings()
        if not progress and not self.is_asking and not self._readings and any(self._queues.values()):
            raise self.cap.reached()
        self._hurry()
        self.run_ready()
        self._patience = 0.0 if progress else min(LONGEST_PATIENCE_SECONDS, 2 * self._patience or 0.001)
        if not progress and not any(self._num_working.values()):
            self._readings.wait(self._patience)

    def run_ready(self) -> None:
        """Run all branches that can go on; end searches that wait for nothing."""
        while self.ready or self._touched:
            while self.ready:
                branch = self.ready.popleft()
                branch.run()
                self._touched.append(branch.search)
            touched, self._touched = self._touched, []
            for search in touched:
                if not search.over and search.in_flight == 0 and not self.ready and search.root is not None:
                    search.root.end(error=MisuseError("the search waits, and nothing that it asked for will come"))

    def send(self, branch: Branch) -> Any:
        """Let one branch run, watched. A record that does not fit ends the run, whatever the search makes of it."""
        if branch.coroutine is None:
            raise MisuseError("there is nothing to run")
        self.running = branch
        self._watch.enter(f"the search of problem {branch.search.problem.id!r}")
        try:
            return branch.coroutine.send(None)
        finally:
            self._watch.leave()
            self.running = None
            if self._refusal is not None:
                raise self._refusal

    def shut(self, branch: Branch) -> None:
        """Close a branch's coroutine, watched, too: it may have a `finally`."""
        assert branch.coroutine is not None
        if self.running is not None:  # it is given up in another one's turn, which is watched
            return branch.coroutine.close()
        self._watch.enter(f"the search of problem {branch.search.problem.id!r}")
        try:
            return branch.coroutine.close()
        finally:
            self._watch.leave()

    def _take(self, place: str, reply: Completion | Rewards) -> None:
        """Record a reply, then tell it. That to a question is kept until all have come."""
        name = (reply.problem_id, reply.key)
        flight, asked = self._in_flight.get(name), self._questions.pop(name, None)
        known = asked.place if asked is not None else flight.place if flight is not None else None
        if known != place:
            raise EngineError(f"the engine `{place}` returned {reply.key} of problem {reply.problem_id!r} unasked")
        self._num_working[place] -= 1
        self.cap.settle(place, reply)
        if asked is None:
            return self._replied(name, reply)
        assert isinstance(reply, Completion)
        asked.hear(name, reply)
        if not asked.awaited:
            self._replied((asked.call.problem_id, asked.call.key), asked.rewards)
        return None

    def _replied(self, name: Name, reply: Completion | Rewards) -> None:
        flight = self._in_flight.pop(name)
        self.num_replies += 1
        flight.search.num_untold -= not flight.told
        self.count(flight.charged, reply.num_tokens or 0, reply.num_prompt_tokens)
        if flight.search.keep is not None:
            assert isinstance(reply, Completion)
            flight.search.keep(reply)
            if flight.told:
                flight.search.in_flight -= 1
                self._touched.append(flight.search)
                flight.promise.tell(reply)
            return
        if flight.due == -math.inf:
            reply = _late(reply, flight.search.call_seconds)
        if isinstance(reply, Rewards):
            reply = _numbers(reply, flight)
        flight.search.log.reply(flight.charged, flight.digest, reply, flight.about, told=flight.told)
        if flight.told:
            flight.search.in_flight -= 1
            self._tell(flight.search, flight.promise, reply)

    def _hurry(self) -> None:
        """Stop the calls that an engine has had for too long; what it then returns is an error."""
        now = time.monotonic()
        if now < self._hurried + HURRY_SECONDS:
            return
        self._hurried = now
        for name, flight in list(self._in_flight.items()):
            if flight.due > now or flight.due == -math.inf:
                continue
            flight.due = -math.inf
            self._stop(name, flight)

    def _tell(self, search: Search, promise: Promise[Any], reply: Completion | Rewards | Grouping | CallError) -> None:
        """Tell a reply; an error raises where it is awaited."""
        self._touched.append(search)
        if isinstance(reply, CallError):
            return promise.tell(error=reply)
        if not isinstance(reply, Grouping) and reply.error is not None:
            return promise.tell(error=CallError(reply.error))
        if isinstance(reply, Completion):
            search.completions[reply.key] = reply
        return promise.tell(reply)

    def _take_readings(self) -> bool:
        """Record what the verifier said, then tell it. Returns whether anything came."""
        came = False
        for reading, reply in self._readings.take():
            came = True
            search = reading.search
            search.in_flight -= 1
            self._touched.append(search)
            if reply is None:
                continue
            search.log.grouping(search.problem.id, reading.key, reading.digest, reply, reading.about)
            if not reading.promise.cancelled:
                self._tell(search, reading.promise, reply)
        return came


def _marked(search: Search, place: str, mark: str) -> str:
    """Return the digest of a call to a place, in which stands what else tells it apart."""
    return digest_of(search.marks[place], mark) if place in search.marks else mark


def _numbers(reply: Rewards, flight: _InFlight) -> Rewards:
    """Return rewards that are a finite number for each step; others are an error, and their cost stays."""
    assert isinstance(flight.call, RewardRequest)
    wanted, got = len(flight.call.steps), len(reply.values)
    if reply.error is not None:
        return replace(reply, values=())
    try:
        values = numbers(reply.values, f"the rewards of `{flight.place}`")
        if got != wanted:
            raise MisuseError(f"the rewards of `{flight.place}` must be one for each of {wanted} steps, got {got}")
    except MisuseError as error:
        return replace(reply, values=(), error=str(error))
    return replace(reply, values=values)


def _late(reply: Completion | Rewards, seconds: float) -> Completion | Rewards:
    """Return the reply to a call that was stopped because it took too long, unless it came whole; its cost stays."""
    error = f"no reply within {seconds:g} s"
    if isinstance(reply, Rewards):
        return reply if reply.error is None else replace(reply, error=error)
    is_whole = reply.finish_reason not in ("cancelled", "error")
    return reply if is_whole else replace(reply, finish_reason="error", error=error)
