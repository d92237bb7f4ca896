"""The loop that feeds an engine: what is asked, in which order it comes out, and what is on disk by then."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tts.engines.replay import ReplayEngine
from tts.errors import EngineError
from tts.pipeline.calls import call_seed
from tts.pipeline.drawing import Drawing
from tts.pipeline.intake import Intake
from tts.pipeline.outcomes import Drawn
from tts.runs.files import AppendFile
from tts.runs.ledger import Superseded
from tts.samplers.temperature import Temperature
from tts.types import Candidate, InputRow, Message, Order, Problem, ProblemRow, Reference, Request, RowError

BAD = RowError(2, None, "not_json", "broken")


def row(name: str) -> ProblemRow:
    return ProblemRow(Problem(name, f"What is {name}?", "math"), Reference("1"), 1)


def draw(folder: Path, rows: Iterable[InputRow], **others: Any) -> Iterator[Drawn]:
    """Draw two candidates of each problem from a scripted engine, unless `others` say otherwise."""
    file = AppendFile(folder / "candidates.jsonl")
    recorded: dict[str, dict[int, int]] = {}
    for offset, candidate in file.records(Candidate):
        recorded.setdefault(candidate.problem_id, {})[candidate.index] = offset
    stop = threading.Event()
    drawing = Drawing(
        **{
            "engine": ReplayEngine(script=["one", "two"], batch_size=3),
            "sampler": Temperature(num_candidates=2),
            "messages": lambda problem: (Message("user", problem.prompt),),
            "run_seed": 7,
            "file": file,
            "recorded": recorded,
            "superseded": {},
            "stop": stop,
            **others,
        }
    )
    intake = Intake(rows, AppendFile(folder / "problems.jsonl"), stop)
    intake.start()
    try:
        yield from drawing.run(intake)
    finally:
        drawing.engine.close()
        intake.close()


def on_disk(folder: Path) -> set[tuple[str, int]]:
    file = AppendFile(folder / "candidates.jsonl")
    return {(candidate.problem_id, candidate.index) for _, candidate in file.records(Candidate)}


def test_every_problem_comes_out_whole_and_is_on_disk_by_then(tmp_path: Path) -> None:
    seen = []
    for drawn in draw(tmp_path, [row("a"), BAD, row("b"), row("c")]):
        seen.append((drawn.number, [candidate.text for candidate in drawn.candidates]))
        assert {(candidate.problem_id, candidate.index) for candidate in drawn.candidates} <= on_disk(tmp_path)
    assert sorted(seen) == [(0, ["one", "two"]), (1, []), (2, ["one", "two"]), (3, ["one", "two"])]


def test_the_seed_depends_on_run_problem_and_index_alone(tmp_path: Path) -> None:
    drawn = [one for one in draw(tmp_path, [row("a"), row("b")]) if one.candidates]
    seeds = {(c.problem_id, c.index): c.seed for one in drawn for c in one.candidates}
    assert seeds == {(name, index): call_seed(7, name, str(index)) for name in "ab" for index in range(2)}
    assert len(set(seeds.values())) == 4


def test_only_what_is_missing_is_drawn(tmp_path: Path) -> None:
    (whole,) = draw(tmp_path, [row("a")])
    path = tmp_path / "candidates.jsonl"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    again = tmp_path / "again"
    again.mkdir()
    path.rename(again / "candidates.jsonl")
    (resumed,) = draw(again, [row("a")])
    assert resumed.candidates == whole.candidates
    assert len(on_disk(again)) == 2


class Unopened(ReplayEngine):
    """Must not be opened."""

    def open(self) -> None:
        raise AssertionError("opened for nothing")


def test_a_run_that_has_everything_opens_no_engine(tmp_path: Path) -> None:
    (whole,) = draw(tmp_path, [row("a")])
    (tmp_path / "problems.jsonl").unlink()
    (again,) = draw(tmp_path, [row("a")], engine=Unopened(script=["x"]))
    assert again.candidates == whole.candidates
    assert again.wall_seconds is None


def test_what_was_drawn_anew_is_paid_for_too(tmp_path: Path) -> None:
    first, second = draw(tmp_path, [row("a"), row("b")], superseded={"a": [Superseded("a", 3, 5)]})
    one, other = first.spent["engine"], second.spent["engine"]
    paid = (one.num_calls, one.prompt_tokens, one.written_tokens)
    assert paid == (other.num_calls + 1, other.prompt_tokens + 3, other.written_tokens + 5)


def test_it_says_when_the_engine_is_open(tmp_path: Path) -> None:
    opened: list[str] = []
    list(draw(tmp_path, [BAD], opened=lambda: opened.append("open")))
    assert opened == []
    list(draw(tmp_path / "..", [row("a"), row("b")], opened=lambda: opened.append("open")))
    assert opened == ["open"]


class Doubling(Temperature):
    """Asks for its first candidate twice."""

    def requests(self, order: Order) -> Iterator[Request]:
        first, *_ = super().requests(order)
        return iter([first, first])


class Sparing(Temperature):
    """Leaves out the last candidate."""

    def requests(self, order: Order) -> Iterator[Request]:
        return iter(list(super().requests(order))[:-1])


def test_a_sampler_must_ask_for_what_was_ordered(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="Doubling asked for other candidates than ordered"):
        list(draw(tmp_path, [row("a")], sampler=Doubling(num_candidates=2)))


def test_a_candidate_that_the_sampler_left_out_is_told(tmp_path: Path) -> None:
    (drawn,) = draw(tmp_path, [row("a")], sampler=Sparing(num_candidates=2))
    assert drawn.error == "1 of 2 candidates were drawn; the sampler did not ask for 1"


class Chatty(ReplayEngine):
    """Hands a completion out twice."""

    def step(self) -> list[Any]:
        return [one for one in super().step() for _ in range(2)]


def test_a_completion_that_nobody_asked_for_ends_the_run_and_is_not_recorded(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="the engine returned 0 of problem 'a' unasked"):
        list(draw(tmp_path, [row("a")], engine=Chatty(script=["x"]), sampler=Temperature(num_candidates=1)))
    assert on_disk(tmp_path) == set()
