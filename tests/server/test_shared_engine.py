"""An engine that several runs share: everybody gets their own, and nobody waits for another's whole problem."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tts.engines.replay import ReplayEngine
from tts.errors import EngineError, EngineLoadError
from tts.server.shared import Share, SharedEngine
from tts.types import Completion, Decoding, Message, Request


def request(problem_id: str, index: int) -> Request:
    return Request(problem_id, str(index), (Message("user", "?"),), Decoding(8), index, "temperature")


@contextmanager
def shared(**keys: object) -> Iterator[SharedEngine]:
    engine = SharedEngine(ReplayEngine(**{"script": ["one", "two"], **keys}))
    engine.open(threading.Event())
    try:
        yield engine
    finally:
        engine.close()


def collect(share: Share, number: int) -> list[Completion]:
    came: list[Completion] = []
    until = time.monotonic() + 10
    while len(came) < number and time.monotonic() < until:
        came += share.step(0.1)
    return came


def test_each_share_gets_what_it_asked_for_once() -> None:
    with shared(batch_size=3) as engine:
        shares = [engine.share() for _ in range(3)]
        for index in range(20):
            for number, share in enumerate(shares):
                share.add(request(f"p{number}", index))
        for number, share in enumerate(shares):
            came = collect(share, 20)
            assert sorted((one.problem_id, int(one.key)) for one in came) == [(f"p{number}", one) for one in range(20)]
            assert share.num_generated_tokens == 20
            assert share.step(0) == []


def test_a_large_problem_delays_a_small_one_by_a_turn_and_not_by_its_size() -> None:
    with shared(batch_size=4, delay_seconds=0.02) as engine:
        large, small = engine.share(), engine.share()
        for index in range(400):
            large.add(request("large", index))
        large.step(0)
        for index in range(4):
            small.add(request("small", index))
        began = time.monotonic()
        assert len(collect(small, 4)) == 4
        assert time.monotonic() - began < 1.0  # 400 in batches of 4 take 2 s
        large.close()


def test_calls_are_cancelled_whether_they_wait_or_fly() -> None:
    with shared(batch_size=1, delay_seconds=60) as engine:
        share, other = engine.share(), engine.share()
        share.add(request("p", 0))
        share.add(request("p", 1))
        share.cancel("p", "1")
        share.cancel("p", "0")
        share.cancel("p", "7")
        assert {(one.key, one.finish_reason) for one in collect(share, 2)} == {("0", "cancelled"), ("1", "cancelled")}
        other.add(request("q", 0))
        other.step(0)
        other.close()
        share.add(request("r", 0))
        share.cancel("r", "0")
        assert [one.key for one in collect(share, 1)] == ["0"]
        assert engine.num_waiting == 0


def test_a_share_that_is_woken_returns_at_once() -> None:
    with shared(delay_seconds=60) as engine:
        share = engine.share()
        share.add(request("p", 0))
        threading.Timer(0.05, share.wake).start()
        began = time.monotonic()
        assert share.step(10) == []
        assert time.monotonic() - began < 5


def test_an_engine_that_dies_ends_every_share(tmp_path: Path) -> None:
    with shared(crash_after=0) as engine:
        shares = [engine.share(), engine.share()]
        for share in shares:
            share.add(request("p", 0))
        for share in shares:
            with pytest.raises(EngineError, match="`crash_after`"):
                collect(share, 1)
    broken = tmp_path / "broken.jsonl"
    broken.write_text(json.dumps({"problem_id": "p", "text": 7}))
    engine = SharedEngine(ReplayEngine(source=str(broken)))
    with pytest.raises(EngineLoadError, match="broken"):
        engine.open(threading.Event())
    engine.close()
