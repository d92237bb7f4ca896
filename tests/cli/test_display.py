"""What the live display says of searches that are open."""

from __future__ import annotations

from pathlib import Path

from search_parts import SHORT, ShuffledEngine, Table

from tts.cli.display import MOST_SEARCHES, by_number, searches
from tts.pipeline.calls import SearchCalls
from tts.pipeline.drawing import Progress


def test_names_with_numbers_are_in_the_order_of_the_numbers() -> None:
    names = ["budget_sweep/4096", "temperature", "budget_sweep/5", "budget_sweep/512", "min_p"]
    told = [name for name, _ in sorted(((name, None) for name in names), key=by_number)]
    assert told == ["budget_sweep/5", "budget_sweep/512", "budget_sweep/4096", "min_p", "temperature"]


async def two_steps(calls: SearchCalls) -> None:
    first = await calls.generate(SHORT)
    second = await calls.generate(SHORT, (first.piece,))
    calls.emit(0, (first.piece, second.piece), "stop")
    await calls.generate(SHORT, (first.piece, second.piece))


def test_an_open_search_has_a_line_that_says_how_far_it_is(tmp_path: Path) -> None:
    for name in ("begun", "further"):
        (tmp_path / name).mkdir()
    begun = Table(tmp_path / "begun").run(two_steps, ShuffledEngine(), most_rounds=0)
    further = Table(tmp_path / "further").run(two_steps, ShuffledEngine(), most_rounds=2)
    progress = Progress(searches=(begun, further), tokens={"engine": [20, 30], "sampler.reward": [0, 7]})
    assert [" ".join(line.plain.split()) for line in searches(progress)] == [
        "engine 20 tokens written, 30 read · sampler.reward 0 tokens written, 7 read",
        "p 0 drawn · 1 on their way",
        "p 2 drawn · 2 deep · 1 on their way · 1 handed in",
    ]
    assert list(searches(Progress())) == []


def test_only_a_few_have_one(tmp_path: Path) -> None:
    begun = Table(tmp_path).run(two_steps, ShuffledEngine(), most_rounds=0)
    assert len(list(searches(Progress(searches=(begun,) * 20)))) == MOST_SEARCHES
