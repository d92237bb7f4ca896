"""What tests of searches share: engines whose replies depend on what they are asked alone, and come in any order."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from tts.pipeline.calls import Search, SearchCalls, begin
from tts.pipeline.driver import Driver
from tts.pipeline.reading import Reads
from tts.runs.call_log import CallLog
from tts.runs.files import AppendFile
from tts.types import Candidate, Completion, Decoding, Grouping, Message, Problem, RewardRequest, Rewards

WORDS = ("so", "then", "we", "add", "three", "and", "seven", "which", "gives", "ten", "but", "wait", "maybe", "eleven")
SHORT = Decoding(50)
MESSAGES = (Message("user", "What is 3 + 7?"),)


class ShuffledEngine:
    """Writes words that are a function of the request. `order` decides when a reply comes, and nothing else."""

    def __init__(self, batch_size: int = 8, order: int = 0) -> None:
        self.batch_size, self.asked = batch_size, list[tuple[str, str]]()
        self._chance = random.Random(order)
        self._now, self._running = 0.0, list[tuple[float, int, Any, Any]]()

    def capabilities(self) -> frozenset[str]:
        return frozenset({"prefix", "rewards"})

    @property
    def num_free(self) -> int:
        return self.batch_size - len(self._running)

    def add(self, call: Any) -> None:
        self.asked.append((call.problem_id, call.key))
        due = self._now + self._chance.expovariate(1.0)
        heapq.heappush(self._running, (due, len(self.asked), call, self.reply(call)))

    def step(self, patience_seconds: float = 0.1) -> list[Any]:
        del patience_seconds
        if not self._running:
            return []
        self._now, _, _, reply = heapq.heappop(self._running)
        return [reply]

    def cancel(self, problem_id: str, key: str) -> None:
        for place, (_, number, call, _) in enumerate(self._running):
            if (call.problem_id, call.key) == (problem_id, key):
                self._running[place] = (self._now, number, call, Completion(problem_id, key, "", "cancelled", 1, 3))
                heapq.heapify(self._running)
                return

    def reply(self, call: Any) -> Any:
        written = "".join(piece.text for piece in call.prefix)
        chance = random.Random(f"{call.messages}|{written}|{call.seed}")
        words = [chance.choice(WORDS) for _ in range(chance.randint(3, 12))]
        text, stop = " ".join(words), None
        if call.decoding.stop and chance.random() < 0.7:
            stop = call.decoding.stop[0]
            text += stop
        else:
            text += f" \\boxed{{{chance.choice([7, 7, 8, 9])}}}"
        return Completion(call.problem_id, call.key, text, "stop", len(written.split()), len(words), stop=stop)


class ShuffledRewards(ShuffledEngine):
    """Rewards each step by a number that is a function of the steps up to it."""

    def reply(self, call: RewardRequest) -> Rewards:
        values = [random.Random("|".join(call.steps[: end + 1])).random() for end in range(len(call.steps))]
        return Rewards(call.problem_id, call.key, tuple(values), sum(len(step.split()) for step in call.steps))


class Table:
    """A folder in which searches are run, once or again."""

    def __init__(self, folder: Path, reads: Reads | None = None, **limits: float) -> None:
        self.folder = folder
        self.told = list[str]()
        self._reads = reads or (lambda _, answers: Grouping(tuple(None if one is None else 0 for one in answers)))
        self._limits = limits

    def run(
        self,
        search: Callable[[SearchCalls], Coroutine[Any, Any, Any]],
        engines: Mapping[str, Any] | Any | None = None,
        *,
        most_calls: int = 10_000,
        num_candidates: int = 100,
        most_rounds: int = 100_000,
        may_differ: bool = False,
    ) -> Search:
        """Run one search of problem `p` until nothing is on its way; return it."""
        if not isinstance(engines, Mapping):
            engines = {"engine": engines or ShuffledEngine()}
        file, kept = AppendFile(self.folder / "calls.jsonl"), AppendFile(self.folder / "candidates.jsonl")
        log = CallLog(file)
        driver = Driver(engines, kept.append, self._reads, self.told.append, **self._limits)
        one = Search(
            host=driver,
            problem=Problem("p", "What is 3 + 7?", "math"),
            messages=MESSAGES,
            label="test",
            thinking_tags=("<think>", "</think>"),
            run_seed=0,
            num_candidates=num_candidates,
            most_calls=most_calls,
            candidates={one.index: one for _, one in kept.records(Candidate)},
            log=log,
            recorded=log.take("p"),
            may_differ=may_differ,
        )
        try:
            begin(one, lambda _, calls: search(calls))
            driver.run_ready()
            for _ in range(most_rounds):
                if not driver.busy:
                    break
                driver.step()
        finally:
            driver.close()
            file.close()
            kept.close()
        return one

    def result(self, search: Callable[[SearchCalls], Coroutine[Any, Any, Any]], *args: Any, **keys: Any) -> Any:
        """Return what the search returns, or the error that it raised."""
        found = []

        async def kept(calls: SearchCalls) -> None:
            found.append(await search(calls))

        one = self.run(kept, *args, **keys)
        return found[0] if found else one.error

    @property
    def lines(self) -> list[bytes]:
        """The lines of calls.jsonl."""
        path = self.folder / "calls.jsonl"
        return path.read_bytes().splitlines(keepends=True) if path.exists() else []
