"""Replicas and who drives them, on threads: nothing lost, nothing doubled, groups whole, whatever dies or hangs."""

from __future__ import annotations

import random
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ray_parts import Marked, Threads, draw, places, replay, requests

from tts.engines.ray.places import Places
from tts.engines.ray.replica import Replica, packed, unpacked
from tts.engines.replay import ReplayEngine
from tts.errors import EngineError, EngineLoadError
from tts.types import Completion, RewardRequest


def by_key(found: list[Completion]) -> list[str]:
    return sorted(repr((one.problem_id, one.key, one.text, one.finish_reason)) for one in found)


@given(seed=st.integers(0, 2**16), guided=st.booleans())
@settings(derandomize=True, max_examples=8)
def test_whoever_dies_all_comes_back_once_and_as_from_one_engine(seed: int, guided: bool) -> None:
    chance = random.Random(seed)
    engine = replay(Marked, delay_seconds=0.004, batch_size=8)
    wanted = requests(12, 6, guided=guided)
    with replay() as one:
        alone = draw(one, wanted)
    cluster = Threads(engine)
    driven = places(cluster)
    struck = sorted(chance.sample(range(1, 70), 2))  # at a third, what was there at all would be an error

    def strike(done: list[Completion]) -> None:
        if struck and len(done) >= struck[0] and len(cluster.alive) == 2:
            struck.pop(0)
            chance.choice(cluster.alive).kill()

    done = draw(driven, wanted, strike)
    assert by_key(done) == by_key(alone)
    assert driven.num_free == 16
    if guided:  # each group was drawn by one engine, and came together
        for place in range(0, len(done), 6):
            group = done[place : place + 6]
            assert len({one.problem_id for one in group}) == 1
            assert len({one.engine_stats["life"] for one in group}) == 1
    cluster.close()


def test_a_problem_stays_on_one_replica_and_problems_spread() -> None:
    cluster = Threads(replay(Marked, batch_size=8, delay_seconds=0.01))
    done = draw(places(cluster, 3), requests(9, 8))
    lives = {name: {one.engine_stats["life"] for one in done if one.problem_id == name} for name in ("p0", "p1", "p2")}
    assert all(len(one) == 1 for one in lives.values())
    assert len(set.union(*lives.values())) == 3
    cluster.close()


def test_a_hanging_replica_is_given_up_and_its_calls_are_made_again() -> None:
    cluster = Threads(replay(delay_seconds=0.01, batch_size=8))
    driven = places(cluster, hang_seconds=0.5)
    began = time.monotonic()

    def stop(done: list[Completion]) -> None:
        if len(done) > 20:
            cluster.actors[0].stopped = True

    assert len(draw(driven, requests(10), stop)) == 80
    assert 0.4 < time.monotonic() - began < 5
    assert driven.num_replaced == 1
    cluster.close()


def test_a_caller_who_was_away_takes_no_replica_for_hanging() -> None:
    cluster = Threads(replay(delay_seconds=0.05, batch_size=8))
    driven = places(cluster, hang_seconds=1.0)
    for request in requests(4):
        driven.add(request)
    driven.step(0.01)
    time.sleep(2.2)
    done = [one for _ in range(100) for one in driven.step(0.05)]
    assert (len(done), driven.num_replaced) == (32, 0)
    cluster.close()


def test_what_kills_is_an_error_and_the_rest_is_drawn() -> None:
    cluster = Threads(replay(Marked, batch_size=8))
    driven = places(cluster)
    poison = requests(1)[0]
    wanted = [*requests(2), replace(poison, problem_id="poison"), *requests(6)[16:]]
    done = draw(driven, wanted)
    assert len(done) == len(wanted)
    (bad,) = [one for one in done if one.problem_id == "poison"]
    assert bad.finish_reason == "error"
    assert bad.error == "a replica died 3 times while it worked on this, the last time on this problem alone: poisoned"
    assert driven.num_replaced == 3
    cluster.close()


@given(seed=st.integers(0, 2**16), num_poisoned=st.integers(1, 3), each=st.integers(1, 4), guided=st.booleans())
@settings(derandomize=True, max_examples=15)
def test_only_problems_that_kill_are_blamed(seed: int, num_poisoned: int, each: int, guided: bool) -> None:
    chance = random.Random(seed)
    cluster = Threads(replay(Marked, batch_size=64))
    driven = places(cluster, chance.randint(1, 2))
    wanted = requests(30, each, guided=guided)
    bad = {f"p{number}" for number in chance.sample(range(30), num_poisoned)}
    named = {name: f"poison of {name}" for name in bad}
    done = draw(driven, [replace(one, problem_id=named.get(one.problem_id, one.problem_id)) for one in wanted])
    assert sorted(one.problem_id for one in done) == sorted(named.get(one.problem_id, one.problem_id) for one in wanted)
    assert {one.problem_id for one in done if one.finish_reason == "error"} == set(named.values())
    assert all(one.finish_reason == "error" for one in done if one.problem_id in named.values())
    assert driven.num_free == 64 * (driven.num_free // 64) > 0
    cluster.close()


def test_what_is_cancelled_while_it_waits_comes_back_so() -> None:
    cluster = Threads(replay(Marked, delay_seconds=0.2, batch_size=8))
    driven = places(cluster, 1)
    for request in requests(4, 2):
        driven.add(request)
    for life in range(2):
        driven.step(0.01)
        cluster.actors[life].kill()
        while driven.num_replaced == life:
            driven.step(0.01)
    driven.step(0.01)  # two of four problems are given
    assert driven.num_replaced == 2
    driven.cancel(("p3", "0"))
    driven.add(requests(5, 1)[4])
    done: list[Completion] = []
    while len(done) < 9:
        done += [one for one in driven.step(0.05) if isinstance(one, Completion)]
    assert [(one.problem_id, one.key) for one in done if one.finish_reason == "cancelled"] == [("p3", "0")]
    assert [one.problem_id for one in done[:4]] == ["p0", "p0", "p1", "p1"]
    assert driven.step(0.0) == []
    cluster.close()


class Broken(ReplayEngine):
    """Cannot be opened."""

    def open(self) -> None:
        raise EngineError("no such model")


def test_an_engine_that_cannot_be_opened_ends_it_at_once() -> None:
    with pytest.raises(EngineLoadError, match=r"replica [01] cannot go on: no such model"):
        places(Threads(replay(Broken)))


def test_replicas_that_die_without_a_result_end_it_in_the_end() -> None:
    driven = places(Threads(replay(crash_after=0)), 1)
    for request in requests(1):
        driven.add(request)
    fresh = iter(requests(1000)[8:])

    def go_on() -> None:
        while True:
            for _ in driven.step(0.05):  # it was blamed; there is more to do
                driven.add(next(fresh))

    with pytest.raises(EngineError, match="replica 0 cannot go on 5 times in a row: the replay engine stops"):
        go_on()


class Slow(ReplayEngine):
    """Takes a second to load."""

    def open(self) -> None:
        time.sleep(1.0)
        super().open()


def test_a_replica_that_is_not_ready_in_time_is_told() -> None:
    with pytest.raises(EngineLoadError, match=r"replica 0 is not ready after 0.2 s \(`start_seconds`\)"):
        places(Threads(replay(Slow)), start_seconds=0.2)


def test_replicas_of_other_versions_are_refused_by_name() -> None:
    cluster = Threads(replay(), versions=[{"tts-toolkit": "0.1", "torch": "2"}, {"tts-toolkit": "0.2", "torch": "2"}])
    with pytest.raises(EngineLoadError, match=r"the same versions, got tts-toolkit 0\.[12] on .*0\.[12] on "):
        places(cluster)
    with pytest.raises(EngineLoadError, match=r"the same versions, got tts-toolkit .* on .*, 0 here"):
        Places(Threads(replay()), 1, hang_seconds=9, start_seconds=9, versions={"tts-toolkit": "0"}).open()


def test_what_is_cancelled_comes_back_and_lets_its_group_go() -> None:
    cluster = Threads(replay(Marked, delay_seconds=0.5, batch_size=4))
    driven = places(cluster, 1)
    group = requests(1, 8, guided=True)
    for request in group:
        driven.add(request)
    done = []
    while len(driven._groups["p0"].finished) < 4:
        done += driven.step(0.05)
    assert done == []  # four are done and held back, until all are
    for request in group[4:]:
        driven.cancel((request.problem_id, request.key))
    driven.cancel(("nobody", "0"))
    while len(done) < 8:
        done += driven.step(0.05)
    assert sorted(one.finish_reason for one in done) == ["cancelled"] * 4 + ["stop"] * 4
    assert (driven.num_free, driven.step(0.0)) == (4, [])
    cluster.close()


def test_a_group_that_is_held_back_whole_is_let_go_when_it_is_cancelled() -> None:
    cluster = Threads(replay(Marked, batch_size=4))
    driven = places(cluster, 1)
    for request in requests(1, 8, guided=True)[:4]:  # the others were not asked for yet
        driven.add(request)
    assert [one for _ in range(10) for one in driven.step(0.02)] == []
    driven.cancel(("p0", "0"))
    assert len(driven.step(0.02)) == 4
    cluster.close()


def test_a_poisonous_group_ends_as_errors_and_others_are_drawn() -> None:
    cluster = Threads(replay(Marked, batch_size=4))
    driven = places(cluster)
    bad = [
        replace(one, problem_id="poison", guidance=replace(one.guidance, group="poison"))
        for one in requests(1, 4, guided=True)
        if one.guidance is not None
    ]
    done = draw(driven, [*bad, *requests(5, 4, guided=True)])
    errors = [one.problem_id for one in done if one.finish_reason == "error"]
    assert errors == ["poison"] * 4
    assert len(done) == 24
    cluster.close()


def test_what_was_cancelled_stays_so_when_its_replica_dies() -> None:
    cluster = Threads(replay(delay_seconds=60.0, batch_size=4))
    driven = places(cluster, 1)
    driven.add(requests(1)[0])
    driven.step(0.0)
    cluster.actors[0].stopped = True  # it never hears of it
    driven.cancel(("p0", "0"))
    driven.step(0.0)
    cluster.actors[0].kill()
    done = [one for _ in range(40) for one in driven.step(0.05)]
    assert [one.finish_reason for one in done] == ["cancelled"]
    cluster.close()


def test_reward_calls_go_the_same_way() -> None:
    cluster = Threads(ReplayEngine(rewards=(0.25, 0.75)))
    driven = places(cluster)
    calls = [RewardRequest(f"p{number}", "0", requests(1)[0].messages, ("a", "b")) for number in range(5)]
    found = [len(one.values) for one in draw(driven, calls)]  # type: ignore[arg-type, attr-defined]  # not completions
    assert found == [2] * 5
    cluster.close()


def test_a_lost_reply_loses_nothing() -> None:
    replica = Replica(replay())
    told = replica.collect(-1, 5.0)
    assert (told.number, told.finished[1]) == (0, [])
    assert told.hello is not None
    replica.submit(packed(requests(1)), [])
    first = replica.collect(0, 5.0)
    again = replica.collect(0, 5.0)  # the first was lost on its way
    assert unpacked(again.finished)[: len(unpacked(first.finished))] == unpacked(first.finished)
    assert len(unpacked(first.finished)) == 8
    assert unpacked(replica.collect(again.number, 0.05).finished) == []
    replica.close()


def test_a_poll_lingers_for_more_once_it_has_something() -> None:
    replica = Replica(replay(delay_seconds=0.1, batch_size=4), linger_seconds=0.35)
    replica.collect(-1, 5.0)
    replica.submit(packed(requests(1)), [])
    began = time.monotonic()
    told = replica.collect(0, 5.0)
    assert len(unpacked(told.finished)) == 8  # two batches, 0.1 s apart
    assert 0.4 < time.monotonic() - began < 2
    replica.close()
