"""The rules of `Calls`, and searches, engines and verifiers that misbehave: each hurts its own problem alone."""

from __future__ import annotations

import asyncio
import json
import math
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_parts import SHORT, ShuffledEngine, ShuffledRewards, Table

from tts.errors import CallError, MisuseError, OtherSearchError
from tts.pipeline.calls import SearchCalls, call_seed
from tts.pipeline.watch import Stuck
from tts.types import Completion, Decoding, Grouping, Piece, RewardRequest, Rewards


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(tmp_path)


def test_two_branches_may_await_one_call(table: Table) -> None:
    async def search(calls: SearchCalls) -> bool:
        one = calls.generate(SHORT)

        async def wait(_: SearchCalls) -> str:
            return (await one).text

        first, second = calls.branch(wait), calls.branch(wait)
        return await first == await second

    assert table.result(search) is True


def test_what_is_cancelled_is_never_told_whatever_came_first(tmp_path: Path) -> None:
    async def search(calls: SearchCalls) -> str:
        first, second = calls.generate(SHORT), calls.generate(SHORT)
        await second
        first.cancel()
        return (await first).text

    seen = set()
    for order in range(20):
        folder = tmp_path / str(order)
        folder.mkdir()
        seen.add(str(Table(folder).result(search, ShuffledEngine(8, order))))
    assert seen == {"it was cancelled"}


async def _fifty(calls: SearchCalls) -> None:
    for _ in range(50):
        await calls.generate(SHORT)


def test_a_cancelled_branch_asks_no_more(table: Table) -> None:
    async def search(calls: SearchCalls) -> None:
        long = calls.branch(_fifty)
        await calls.generate(SHORT)
        long.cancel()

    engine = ShuffledEngine()
    assert table.result(search, engine) is None
    assert len(engine.asked) < 10


def test_what_a_search_asked_for_ends_when_it_raises(table: Table) -> None:
    async def search(calls: SearchCalls) -> None:
        calls.branch(_fifty)
        await calls.generate(SHORT)
        raise ValueError("bug")

    engine = ShuffledEngine()
    assert isinstance(table.result(search, engine), ValueError)
    assert len(engine.asked) < 10


def test_cancelled_branches_that_ask_await_or_raise_at_their_end_are_closed_quietly(table: Table) -> None:
    async def asks(calls: SearchCalls) -> None:
        try:
            await calls.generate(SHORT)
        finally:
            await calls.generate(SHORT)

    async def swallows(calls: SearchCalls) -> None:
        while True:
            try:
                await calls.generate(SHORT)
            except BaseException:
                continue

    async def raises(calls: SearchCalls) -> None:
        try:
            await calls.generate(SHORT)
        finally:
            raise ValueError("late")

    async def search(calls: SearchCalls) -> str:
        for one in [calls.branch(made) for made in (asks, swallows, raises)]:
            one.cancel()
        begun = [calls.branch(made) for made in (asks, raises)]
        await calls.generate(SHORT)
        for again in begun:
            again.cancel()
        return (await calls.generate(SHORT)).finish_reason

    assert table.result(search) == "stop"


def test_branches_that_await_each_other_end_the_search(table: Table) -> None:
    async def search(calls: SearchCalls) -> None:
        box: dict[str, Any] = {}

        async def wait(mine: SearchCalls, other: str) -> None:
            await mine.generate(SHORT)
            await box[other]

        box["a"], box["b"] = calls.branch(wait, "b"), calls.branch(wait, "a")
        await box["a"]

    error = table.result(search)
    assert isinstance(error, MisuseError)
    assert "nothing that it asked for will come" in str(error)


def test_a_branch_that_awaits_what_another_cancelled_learns_of_it(table: Table) -> None:
    async def search(calls: SearchCalls) -> Any:
        one = calls.generate(SHORT)

        async def wait(mine: SearchCalls) -> Completion:
            await mine.generate(SHORT)
            return await one

        waiting = calls.branch(wait)
        slow = [calls.generate(SHORT) for _ in range(20)]
        one.cancel()
        try:
            await waiting
        except CallError as error:
            return len([await other for other in slow]), str(error)

    assert table.result(search, ShuffledEngine(1)) == (20, "it was cancelled")


def test_a_branch_that_asks_through_anothers_calls_is_refused(table: Table) -> None:
    async def search(calls: SearchCalls) -> list[Completion]:
        async def wait(mine: SearchCalls) -> Completion:
            await mine.generate(SHORT)
            return await calls.generate(SHORT)

        return [await one for one in [calls.branch(wait) for _ in range(6)]]

    error = table.result(search)
    assert isinstance(error, MisuseError)
    assert "its own `calls`" in str(error)


def test_a_search_that_asks_without_end_is_ended_at_its_most_calls(table: Table) -> None:
    async def search(calls: SearchCalls) -> None:
        while True:
            await calls.generate(SHORT)

    engine = ShuffledEngine()
    error = table.result(search, engine, most_calls=500)
    assert isinstance(error, MisuseError)
    assert "500 calls" in str(error)
    assert len(engine.asked) == 500


def test_a_search_that_neither_asks_nor_returns_is_ended(tmp_path: Path) -> None:
    async def search(_: SearchCalls) -> None:
        while True:
            pass

    assert isinstance(Table(tmp_path, turn_seconds=0.4).result(search), Stuck)


def test_a_search_that_swallows_that_is_named(tmp_path: Path) -> None:
    async def search(_: SearchCalls) -> None:
        began = time.monotonic()
        while time.monotonic() - began < 1.5:
            try:
                time.sleep(0.01)
            except BaseException:
                continue

    table = Table(tmp_path, turn_seconds=0.3)
    table.result(search)
    assert table.told
    assert "'p' neither awaits nor returns" in table.told[0]


def test_a_search_that_is_no_coroutine_is_refused(table: Table) -> None:
    one = table.run(lambda _: None)  # type: ignore[arg-type,return-value]
    assert isinstance(one.error, MisuseError)
    assert "async def" in str(one.error)


def test_awaiting_something_of_asyncio_names_what_to_use(table: Table) -> None:
    async def search(_: SearchCalls) -> None:
        await asyncio.sleep(0)

    error = table.result(search)
    assert isinstance(error, MisuseError)
    assert "calls.branch" in str(error)


def test_a_search_that_asks_for_nothing_is_over_at_once(table: Table) -> None:
    async def search(_: SearchCalls) -> str:
        return "done"

    assert table.result(search) == "done"


def test_branches_may_be_nested_five_thousand_deep(table: Table) -> None:
    async def nest(calls: SearchCalls, depth: int) -> int:
        return 0 if depth == 0 else 1 + await calls.branch(nest, depth - 1)

    assert table.result(lambda calls: nest(calls, 5000)) == 5000


def test_a_candidate_is_handed_in_once_within_range_and_while_the_search_runs(tmp_path: Path) -> None:
    async def twice(calls: SearchCalls) -> None:
        for _ in range(2):
            calls.emit(0, (Piece("a"),), "stop")

    async def far(calls: SearchCalls) -> None:
        calls.emit(9, (Piece("a"),), "stop")

    kept = []

    async def late(calls: SearchCalls) -> None:
        kept.append(calls)

    for name, search in (("twice", twice), ("far", far)):
        (tmp_path / name).mkdir()
        error = Table(tmp_path / name).result(search, num_candidates=4)
        assert isinstance(error, MisuseError)
        assert "was handed in before, or is not among the 4" in str(error)
    Table(tmp_path).result(late)
    with pytest.raises(MisuseError):
        kept[0].emit(1, (Piece("a"),), "stop")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"index": 0.0}, "index must be an int, got 0.0"),
        ({"index": True}, "index must be an int, got True"),
        ({"finish_reason": "bogus"}, "finish_reason must be one of stop, "),
        ({"written": "hello"}, "pieces of text, got 'hello'"),
        ({"written": (Piece(5),)}, "pieces of text"),  # type: ignore[arg-type]  # what is wrong here
        ({"written": (Piece("x", "77"),)}, "the call of this search that wrote it, or none, got '77'"),
        ({"rewards": ["a"]}, "finite numbers, got 'a'"),
        ({"rewards": [0.5, math.nan]}, "finite numbers, got nan"),
        ({"error": None}, "error must be a text, got None"),
    ],
)
def test_a_candidate_that_its_file_could_not_give_back_is_refused(
    table: Table, given: dict[str, Any], told: str
) -> None:
    async def search(calls: SearchCalls) -> None:
        calls.emit(1, (Piece("a"),), "stop", [1, 0.5])
        calls.emit(**{"index": 0, "written": (Piece("a"),), "finish_reason": "stop", **given})

    one = table.run(search)
    assert isinstance(one.error, MisuseError)
    assert told in str(one.error)
    assert one.candidates.keys() == {1}
    assert table.run(search).candidates.keys() == {1}  # what is on disk is readable


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError()])
def test_whatever_a_search_raises_ends_it_alone(tmp_path: Path, error: BaseException) -> None:
    async def search(calls: SearchCalls) -> None:
        async def child(mine: SearchCalls) -> None:
            try:
                await mine.generate(SHORT)
                await mine.generate(SHORT)
            finally:
                raise error

        calls.branch(child)
        await calls.generate(SHORT)
        raise error

    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(Table(tmp_path).run(search)))  # as a run draws
    thread.start()
    thread.join()
    assert found[0].error is error


def test_a_branch_that_never_ends_its_end_is_ended(tmp_path: Path) -> None:
    async def search(calls: SearchCalls) -> str:
        async def child(mine: SearchCalls) -> None:
            try:
                await mine.generate(SHORT)
                await mine.generate(SHORT)
            finally:
                while True:
                    pass

        calls.branch(child)
        await calls.generate(SHORT)
        return "done"

    assert Table(tmp_path, turn_seconds=0.4).result(search) == "done"


def test_what_another_problem_asked_for_is_refused_told_or_not(tmp_path: Path) -> None:
    shared: list[Any] = []

    async def first(calls: SearchCalls) -> None:
        shared.append(calls.generate(SHORT))
        await shared[0]

    async def second(calls: SearchCalls) -> None:
        await calls.generate(SHORT)
        await shared[0]

    for name, search in (("first", first), ("second", second)):
        (tmp_path / name).mkdir()
        error = Table(tmp_path / name).result(search)
    assert isinstance(error, MisuseError)
    assert "what another problem asked for" in str(error)


class _Rewards(ShuffledRewards):
    """Returns what it is given, for whatever steps."""

    def __init__(self, *values: Any) -> None:
        super().__init__()
        self._values = values

    def capabilities(self) -> frozenset[str]:
        return frozenset({"rewards"})

    def reply(self, call: RewardRequest) -> Rewards:
        return Rewards(call.problem_id, call.key, self._values, 7)


ANYTHING = st.one_of(st.floats(), st.integers(-(2**70), 2**70), st.none(), st.text(max_size=2), st.booleans())


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(ANYTHING, max_size=3))
def test_rewards_are_a_finite_number_a_step_or_an_error_that_is_paid_for(values: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        table, reward = Table(Path(folder)), _Rewards(*values)

        async def search(calls: SearchCalls) -> tuple[float, ...]:
            return (await calls.rewards(reward, (Piece("one"), Piece("two")))).values

        engines = {"engine": ShuffledEngine(), "sampler.reward": reward}
        told, again = table.result(search, engines), table.result(search, engines)
        fits = len(values) == 2 and all(isinstance(one, int | float) and math.isfinite(one) for one in values)
        if fits:
            assert told == again == tuple(map(float, values))
        else:
            assert isinstance(told, CallError)
            assert str(told) == str(again)
            assert "the rewards of `sampler.reward` must be " in str(told)
        assert len(table.lines) == 1
        assert json.loads(table.lines[0])["rewards"]["num_prompt_tokens"] == 7


def test_an_engine_is_asked_for_what_it_is_made_for(tmp_path: Path) -> None:
    class Writes(ShuffledEngine):
        def capabilities(self) -> frozenset[str]:
            return frozenset()

    reward = _Rewards(0.5)

    async def rate(calls: SearchCalls) -> None:
        await calls.rewards(None, (Piece("x"),))  # type: ignore[arg-type]  # what is wrong here

    async def write(calls: SearchCalls) -> None:
        await calls.generate(SHORT, engine=reward)  # type: ignore[arg-type]  # what is wrong here

    for name, search, said in (("rate", rate, "`engine` must be a reward"), ("write", write, "`r` must be an engine")):
        (tmp_path / name).mkdir()
        error = Table(tmp_path / name).result(search, {"engine": Writes(), "r": reward})
        assert isinstance(error, MisuseError)
        assert said in str(error)


class _Sure(ShuffledEngine):
    """Notes how sure it was of the first two calls; the third writes nothing, of the fourth it does not tell."""

    def reply(self, call: Any) -> Any:
        noted = {"0": (3, 2.0), "1": (1, 6.0), "2": (0, None), "3": (5, None)}
        num_tokens, confidence = noted[call.key]
        stats = {} if confidence is None else {"mean_confidence": confidence, f"of_{call.key}": 1.0}
        return Completion("p", call.key, "x", "stop", 1, num_tokens, self_certainty=confidence, engine_stats=stats)


def test_a_candidate_of_several_calls_is_as_confident_as_its_tokens_are_together(table: Table) -> None:
    async def search(calls: SearchCalls) -> None:
        pieces = [(await calls.generate(SHORT)).piece for _ in range(4)]
        for index, of in enumerate(((0, 1), (0,), (0, 1, 2), (0, 3), (2, 2), ())):
            calls.emit(index, tuple(pieces[number] for number in of), "stop")

    found = table.run(search, _Sure()).candidates
    assert [found[index].engine_stats.get("mean_confidence") for index in range(6)] == [3.0, 2.0, 3.0, None, None, None]
    assert [found[index].self_certainty for index in range(6)] == [3.0, 2.0, 3.0, None, None, None]
    assert found[0].engine_stats.keys() == {"mean_confidence"}  # what one call alone noted says nothing of all


def test_a_named_place_is_named_once_and_shared_by_any_order(tmp_path: Path) -> None:
    async def search(calls: SearchCalls, pairs: list[tuple[int, int]]) -> dict[Any, str]:
        return {pair: (await calls.at(*pair).generate(SHORT)).text for pair in pairs}

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    some = Table(tmp_path / "a").result(lambda calls: search(calls, [(0, 1), (1, 2)]))
    more = Table(tmp_path / "b").result(lambda calls: search(calls, [(3, 4), (1, 2), (0, 1)]))
    assert some.items() <= more.items()
    assert isinstance(Table(tmp_path).result(lambda calls: search(calls, [(0, 1), (0, 1)])), MisuseError)


def test_an_engine_outside_the_recipe_is_refused(table: Table) -> None:
    async def search(calls: SearchCalls) -> None:
        await calls.rewards(ShuffledRewards(), (Piece("a"),))  # type: ignore[arg-type]

    error = table.result(search)
    assert isinstance(error, MisuseError)
    assert "own recipe" in str(error)


# --- the verifier


async def _asks_classes(calls: SearchCalls, text: str = "x") -> Grouping:
    return await calls.classes([(Piece(text),), ()])


def test_a_verifier_that_raises_is_a_failed_call(tmp_path: Path) -> None:
    error = Table(tmp_path, lambda *_: 1 / 0).result(_asks_classes)  # type: ignore[arg-type,return-value]
    assert isinstance(error, CallError)
    assert "ZeroDivisionError" in str(error)


def test_a_verifier_that_hangs_is_a_failed_call(tmp_path: Path) -> None:
    def hangs(*_: Any) -> Grouping:
        time.sleep(3)
        return Grouping((0,))

    began = time.monotonic()
    error = Table(tmp_path, hangs, classes_seconds=0.3).result(_asks_classes)
    assert isinstance(error, CallError)
    assert "more than 0.3 s" in str(error)
    assert time.monotonic() - began < 2.5


def test_the_verifier_reads_what_follows_the_thinking(tmp_path: Path) -> None:
    seen = []

    def reads(_: Any, answers: tuple[str | None, ...]) -> Grouping:
        seen.append(answers)
        return Grouping((0, None))

    assert Table(tmp_path, reads).result(lambda calls: _asks_classes(calls, "a</think>b")) == Grouping((0, None))
    assert seen == [("b", None)]


def test_what_the_verifier_said_is_told_again_although_it_says_another_thing_now(tmp_path: Path) -> None:
    first = Table(tmp_path, lambda *_: Grouping((0, None), frozenset({(0, 1)}))).result(_asks_classes)
    again = Table(tmp_path, lambda *_: Grouping((1, None))).result(_asks_classes)
    assert first == again == Grouping((0, None), frozenset({(0, 1)}))


# --- resuming


class Cancels(ShuffledEngine):
    """Cancels by itself, as a server that aborts does."""

    def reply(self, call: Any) -> Completion:
        return Completion(call.problem_id, call.key, "", "cancelled", 1, 1)


def test_a_call_that_the_engine_cancelled_is_told_as_that_when_resumed(table: Table) -> None:
    async def search(calls: SearchCalls) -> str:
        return (await calls.generate(SHORT)).finish_reason

    assert table.result(search, Cancels()) == "cancelled"
    again = Cancels()
    assert table.result(search, again) == "cancelled"
    assert again.asked == []


class Deaf(ShuffledEngine):
    """Ignores that a call is given up: its reply comes too late."""

    def cancel(self, problem_id: str, key: str) -> None:
        pass


def test_a_reply_that_came_too_late_is_on_record_and_told_to_nobody(table: Table) -> None:
    async def search(calls: SearchCalls) -> int:
        asked = [calls.generate(SHORT) for _ in range(8)]
        told = (await asked[0]).num_tokens
        for one in asked[1:]:
            one.cancel()
        return told

    first = table.result(search, Deaf(8, 3))
    lines = table.lines
    assert len(lines) == 8
    assert sum(json.loads(line).get("told", True) is False for line in lines) >= 1
    again = Deaf()
    assert table.result(search, again) == first
    assert again.asked == []
    assert table.lines == lines


def test_another_searchs_record_ends_the_run_although_the_search_swallows_everything(table: Table) -> None:
    async def search(calls: SearchCalls, most: int) -> str:
        try:
            return (await calls.generate(Decoding(most))).text
        except Exception:
            return "swallowed"

    table.result(lambda calls: search(calls, 10))
    with pytest.raises(OtherSearchError, match="call 0 of problem 'p' is not the one on record"):
        table.result(lambda calls: search(calls, 11))


def test_a_candidate_that_is_not_the_one_on_record_ends_the_run(table: Table) -> None:
    async def search(calls: SearchCalls, word: str) -> None:
        calls.emit(0, (Piece(word),), "stop")

    table.run(lambda calls: search(calls, "a"))
    with pytest.raises(OtherSearchError, match="candidate 0 of problem 'p'"):
        table.run(lambda calls: search(calls, "b"))


class Overloaded(ShuffledEngine):
    """Fails the first call, as long as it is overloaded."""

    overloaded = True

    def reply(self, call: Any) -> Completion:
        if self.overloaded and call.key == "0":
            return Completion(call.problem_id, call.key, "", "error", 1, 0, error="overloaded")
        reply: Completion = super().reply(call)
        return reply


def test_a_failed_call_is_asked_anew_where_that_is_asked_for_and_the_search_goes_on_as_if_it_had_not_failed(
    tmp_path: Path,
) -> None:
    async def search(calls: SearchCalls) -> str:
        try:
            first = await calls.generate(SHORT)
        except CallError:
            return (await calls.generate(Decoding(20))).text
        return (await calls.generate(Decoding(60), (first.piece,))).text

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    table, engine = Table(tmp_path / "a"), Overloaded()
    table.result(search, engine)
    engine.overloaded = False
    fresh = Table(tmp_path / "b").result(search, engine)
    with (tmp_path / "a" / "calls.jsonl").open("ab") as file:
        file.write(b'{"problem_id": "p", "retry": true}\n')
    with pytest.raises(OtherSearchError):
        table.result(search, engine)
    assert table.result(search, engine, may_differ=True) == fresh
    resumed = Overloaded()
    resumed.overloaded = False
    assert table.result(search, resumed, may_differ=True) == fresh
    assert resumed.asked == []


def test_the_digests_of_calls_are_as_they_were(table: Table) -> None:
    async def search(calls: SearchCalls) -> None:
        await calls.generate(SHORT)
        await calls.generate(Decoding(9, temperature=0.5, stop=("\n\n",)), (Piece("so "), Piece("then")))
        await calls.classes([(Piece("a"),), ()])
        await calls.rewards(rewards, (Piece("a"), Piece("b")))  # type: ignore[arg-type]

    rewards = ShuffledRewards()
    table.result(search, {"engine": ShuffledEngine(), "sampler.reward": rewards})
    assert [json.loads(line)["digest"] for line in table.lines] == DIGESTS


DIGESTS = ["70033a7c75acad91", "162fe447891ea997", "3b18af6a9277d9af", "856fd7bf24cbbe6b"]


def test_a_seed_is_a_function_of_run_problem_and_key() -> None:
    assert call_seed(0, "p", "5") == 6898907609486353
