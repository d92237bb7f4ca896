"""A search tried against replies of one's own, in many orders of arrival: does it depend on what came first?"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

from tts.components.component import Section
from tts.components.slot import slots_of
from tts.errors import TTSError
from tts.pipeline.calls import Search, begin
from tts.pipeline.driver import Driver
from tts.pipeline.reading import Reads
from tts.protocols import SearchingSampler
from tts.runs.call_log import FILE, CallLog
from tts.runs.files import AppendFile
from tts.types import Candidate, Completion, Grouping, Message, Problem, Request, RewardRequest, Rewards


class OrderMattersError(TTSError):
    """A search came out otherwise when replies came in another order: it depends on more than what it awaits."""


def chance_rewards(request: RewardRequest) -> Rewards:
    """Reward each step by a number in [0, 1) that is a function of the steps up to it."""
    values = [random.Random("|".join(request.steps[: end + 1])).random() for end in range(len(request.steps))]
    return Rewards(request.problem_id, request.key, tuple(values), sum(len(step.split()) for step in request.steps))


def same_text(_: Problem, answers: Sequence[str | None]) -> Grouping:
    """Hold equal texts for equal answers."""
    first: dict[str, int] = {}
    return Grouping(tuple(None if one is None else first.setdefault(one, len(first)) for one in answers))


def converse(
    sampler: SearchingSampler,
    problem: Problem,
    reply: Callable[[Request], Completion],
    *,
    rewards: Callable[[RewardRequest], Rewards] = chance_rewards,
    reads: Reads = same_text,
    orders: int = 20,
    batch_sizes: Sequence[int] = (1, 2, 5, 16, 64),
) -> tuple[Candidate, ...]:
    """Run the sampler's search on one problem, once in order and `orders` times shuffled; return its candidates.

    `reply` stands for engines that write and `rewards` for those that reward, functions of the call alone; `reads`
    groups the texts of answers.

    Raises:
        OrderMattersError: the candidates differ; says where.
        TTSError: what the search raised.
    """
    seen: tuple[Candidate, ...] | None = None
    for order in range(orders + 1):
        batch_size = batch_sizes[order % len(batch_sizes)]
        with tempfile.TemporaryDirectory() as folder:
            engine = partial(_Scripted, reply, rewards, sampler.requires | {"prefix", "rewards"}, order, batch_size)
            candidates = _run(sampler, problem, engine, reads, Path(folder))
        if seen is None:
            seen = candidates
        elif candidates != seen:
            differ = [one.index for one, other in zip(seen, candidates, strict=False) if one != other]
            where = f"candidate {differ[0]}" if differ else f"{len(seen)} candidates and {len(candidates)}"
            raise OrderMattersError(
                f"the search came out otherwise in arrival order {order} (batch size {batch_size}): {where}. It must "
                "depend on what it awaits alone: no clock, no chance but `calls.rng`, nothing that branches share"
            )
    return seen or ()


class _Scripted:
    """Replies by functions, in an order that a number decides; 0: as they were asked."""

    thinking_tags = ("<think>", "</think>")

    def __init__(
        self,
        reply: Callable[[Request], Completion],
        rewards: Callable[[RewardRequest], Rewards],
        capabilities: frozenset[str],
        order: int,
        batch_size: int,
    ) -> None:
        self._capabilities = capabilities
        self._reply, self._rewards, self._batch_size = reply, rewards, batch_size
        self._chance = random.Random(order) if order else None
        self._running: list[Request | RewardRequest] = []
        self._cancelled: list[Completion | Rewards] = []

    def capabilities(self) -> frozenset[str]:
        return self._capabilities

    @property
    def num_free(self) -> int:
        return self._batch_size - len(self._running)

    def add(self, request: Request | RewardRequest) -> None:
        self._running.append(request)

    def step(self, patience_seconds: float = 0.1) -> list[Completion | Rewards]:
        del patience_seconds
        finished, self._cancelled = self._cancelled, []
        if self._running:
            request = self._running.pop(self._chance.randrange(len(self._running)) if self._chance else 0)
            finished.append(self._rewards(request) if isinstance(request, RewardRequest) else self._reply(request))
        return finished

    def cancel(self, problem_id: str, key: str) -> None:
        for request in [one for one in self._running if (one.problem_id, one.key) == (problem_id, key)]:
            self._running.remove(request)
            self._cancelled.append(
                Rewards(problem_id, key, (), 0, error="cancelled")
                if isinstance(request, RewardRequest)
                else Completion(problem_id, key, "", "cancelled", 0, 0)
            )


def _run(sampler: SearchingSampler, problem: Problem, engine: Any, reads: Reads, folder: Path) -> tuple[Candidate, ...]:
    file = AppendFile(folder / FILE)
    slots = {
        place: component
        for place, slot, component in slots_of("sampler", cast("Section", sampler))
        if slot.kind == "engines"
    }
    engines = {place: engine() for place in ("engine", *slots)}
    driver = Driver(engines, lambda _: None, reads, slots=slots)
    search = Search(
        host=driver,
        problem=problem,
        messages=(Message("user", problem.prompt),),
        label=sampler.label,
        thinking_tags=_Scripted.thinking_tags,
        run_seed=0,
        num_candidates=sampler.num_candidates,
        most_calls=sampler.most_calls,
        candidates={},
        log=CallLog(file),
        recorded={},
    )
    try:
        begin(search, sampler.search)
        driver.run_ready()
        while driver.busy:
            driver.step()
    finally:
        driver.close()
        file.close()
    if search.error is not None:
        raise search.error
    return tuple(search.candidates[index] for index in sorted(search.candidates))
