"""Scores by a scorer that asks models: one coroutine a problem, over the engines of the recipe, many problems at once.

How it works. A scorer's coroutine is a search that hands nothing in: its calls go by the same rules to the same driver,
and what comes of them is on record in scorer_calls.jsonl before it is told, so that nothing is asked twice. What tells
a call there from another is all that is asked and which model was asked, not whose turn it was: a candidate that was
drawn anew is asked about anew, alone, and scorers that take turns in one folder find their own calls again.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn

from tts.components.component import Component
from tts.components.slot import Slot, slots_of
from tts.errors import EngineError, EngineLoadError, TTSError, UsageError, described
from tts.pipeline.calls import Search, begin
from tts.pipeline.cap import Cap
from tts.pipeline.driver import Driver
from tts.pipeline.judge import Scored
from tts.pipeline.reading import Reads
from tts.protocols import AskingScorer, FindsOut, SendsAgain
from tts.recipe import Recipe
from tts.runs.call_log import CallLog, digest_of
from tts.types import Candidate, Message, Problem, ProblemRow, Score, Spent

Asked = tuple[ProblemRow, tuple[Message, ...], Sequence[Candidate]]
"""A problem, what was sent for it, and its candidates."""

MOST_OPEN = 64
"""How many problems are asked about at once while no engine is full."""

PLACE = "selector.scorer"
"""What is charged where the scorer asks the recipe's own engine."""


class Scoring:
    """A recipe's scorer that asks. `scorer` is it; `log` holds what it asked, in earlier sessions too."""

    def __init__(self, recipe: Recipe, scorer: AskingScorer, log: CallLog) -> None:
        self.scorer, self.log, self._recipe = scorer, log, recipe
        parts = {place: (slot, component) for place, slot, component in slots_of("", recipe)}
        marks = {place: _mark(*part) for place, part in parts.items() if part[0].kind in ("engines", "tasks")}
        self._marks = {**marks, "classes": marks["task"]}

    def begin(
        self, driver: Driver, row: ProblemRow, messages: tuple[Message, ...], candidates: Sequence[Candidate]
    ) -> Search:
        """Begin to score a problem's candidates; those that did not end by themselves are not asked about."""
        problem = row.problem
        finished = [candidate for candidate in candidates if candidate.finish_reason == "stop"]
        search = Search(
            host=driver,
            problem=problem,
            messages=messages,
            label="scorer",
            thinking_tags=None,
            run_seed=self._recipe.seed,
            num_candidates=0,
            most_calls=self.scorer.most_calls(len(finished)) if finished else 0,
            candidates={},
            log=self.log,
            recorded=self.log.take(problem.id),
            may_differ=True,
            own=PLACE,
            scope="score/",
            marks=self._marks,
            call_seconds=self.scorer.call_seconds,
            seed_name=row.seed_name,
        )

        async def scores(problem: Problem, calls: Any) -> list[Score]:
            return await self.scorer.scores(problem, finished, calls) if finished else []

        begin(search, scores)
        return search

    def scored(self, search: Search, candidates: Sequence[Candidate]) -> Scored:
        """Return what came of it, one score per candidate."""
        error = search.error
        if error is not None:
            return Scored((), str(error) if isinstance(error, TTSError) else described(error))
        finished = [candidate for candidate in candidates if candidate.finish_reason == "stop"]
        found = list(search.result)
        wrong = _wrong(found, len(finished))
        if wrong is not None:
            return Scored((), f"the scorer must give {len(finished)} scores, one per finished candidate, got {wrong}")
        given = iter(found)
        return Scored(
            tuple(
                next(given) if one.finish_reason == "stop" else Score(None, f"not asked about: {one.finish_reason}")
                for one in candidates
            )
        )

    def spent(self, problem_id: str) -> Mapping[str, Spent]:
        """Return what a problem's scores took, by engine, once."""
        return self.log.let_go(problem_id).spent


def _wrong(found: Sequence[Any], number: int) -> str | None:
    """Say what is wrong with scores; None where nothing is."""
    if len(found) != number:
        return f"{len(found)}"
    for score in found:
        if not isinstance(score, Score):
            return f"a {type(score).__name__}"
        if score.value is not None and not math.isfinite(score.value):
            return f"{score.value}"
        odd = [one for one in score.figures.values() if type(one) not in (int, float) or not math.isfinite(one)]
        if odd:
            return f"a figure {odd[0]!r}, which is no number"
    return None


def _mark(slot: Slot, component: Component) -> str:
    """Return what tells an engine or a task from another, but for where and how fast it works, and what is in it."""
    section = slot.dump(component)
    for place, _, part in [("", slot, component), *slots_of("", component)]:
        inner: Any = section
        for key in filter(None, place.split(".")):
            inner = inner[int(key) if isinstance(inner, list) else key]
        for key in part.circumstances:
            inner.pop(key, None)
    return digest_of(json.dumps(section, sort_keys=True))


def score_stored(
    scoring: Scoring,
    recipe: Recipe,
    problems: Iterable[Asked],
    reads: Reads,
    stop: threading.Event,
    *,
    cap: Cap,
) -> Iterator[tuple[str, Scored]]:
    """Yield what the scorer tells of each problem, as it is told; many are asked about at once, until `stop` is set.

    Only the engines that are asked anything not on record are opened, and closed at the end. Raises UsageError where
    one cannot do what the scorer needs, CapReachedError where `cap` leaves nothing, EngineError where it cannot go on.
    """
    _check(recipe, scoring.scorer)
    engines = recipe.engines()

    def open_engine(place: str) -> None:
        engine = engines[place]
        if isinstance(engine, SendsAgain):
            engine.ask_before_sending_again(partial(cap.again, place))
        if isinstance(engine, FindsOut):
            cap.open(place, engine.opening)
            cap.check()
        try:
            engine.open()
        except EngineError as error:
            raise EngineLoadError(str(error)) from error
        if isinstance(engine, FindsOut):
            cap.open(place, engine.opening)
            _check(recipe, scoring.scorer)

    def has_room() -> bool:
        room = min((engines[place].num_free for place in driver.opened), default=MOST_OPEN)
        return len(running) < MOST_OPEN and room > 0 and not any(map(driver.num_queued, engines))

    driver = Driver(engines, _hands_nothing_in, reads, opens=open_engine, cap=cap)
    running: dict[str, tuple[Search, Sequence[Candidate]]] = {}
    coming = iter(problems)
    exhausted = False
    try:
        while not stop.is_set() and not (exhausted and not running):
            while not exhausted and has_room():
                asked = next(coming, None)
                if asked is None:
                    exhausted = True
                    break
                row, messages, candidates = asked
                running[row.problem.id] = (scoring.begin(driver, row, messages, candidates), candidates)
                driver.run_ready()
            driver.step()
            for problem_id in [one for one, (search, _) in running.items() if search.done]:
                driver.forget(problem_id)
                yield problem_id, scoring.scored(*running.pop(problem_id))
    finally:
        driver.close()
        for engine in engines.values():
            engine.close()


def _check(recipe: Recipe, scorer: AskingScorer) -> None:
    """Refuse a scorer whose engines cannot do what it needs."""
    needed = [(place, needs, engine) for place, needs, engine in recipe.needed_of_engines() if place.startswith(PLACE)]
    needed += [("engine", needs, recipe.engine) for needs in scorer.requires]
    for place, needs, engine in needed:
        if needs not in engine.capabilities():
            raise UsageError(f"the scorer needs the capability `{needs}` of `{place}`, which that engine lacks")


def _hands_nothing_in(_: Candidate) -> NoReturn:
    raise AssertionError("a scorer hands no candidate in")
