"""What replicas cost the driver, and how many it could drive.

    python benchmarks/ray_engine.py [rate] [steps] [many]

rate   candidates a second through two replicas of the replay engine, and the driver's CPU time for each
steps  an engine whose step takes 8 ms, alone and as a replica: how many steps a second it makes
many   the driver with 1,000 replicas: simulated ones, whose polls go to two real actors. Each finishes one candidate
       a second, or eight, and lingers once it has one, as a real one of a thousand does (2 s)
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import math
import random
import statistics
import time
from collections.abc import Iterator
from typing import Any

from tts.engines.ray import RayEngine
from tts.engines.ray.cluster import RayCluster
from tts.engines.ray.places import Places, linger_seconds
from tts.engines.ray.replica import Hello, Packed, Told, packed, unpacked
from tts.engines.replay import ReplayEngine
from tts.types import Completion, Decoding, Message, Request

MESSAGES = (Message("user", "What is 6*7? Give the number alone."),)
DECODING = Decoding(max_tokens=2000)


def requests() -> Iterator[Request]:
    for number in itertools.count():
        for index in range(8):
            yield Request(f"p{number}", str(index), MESSAGES, DECODING, index, "temperature")


class Drawer:
    """Keeps an engine full of requests, which never end."""

    def __init__(self, engine: Any) -> None:
        self.engine, self._requests = engine, requests()

    def draw(self, most: float = math.inf, seconds: float = math.inf) -> tuple[int, float, float]:
        """Draw so many, or for so long; return (candidates, wall seconds, CPU seconds of this process)."""
        num_done, began, cpu = 0, time.perf_counter(), time.process_time()
        while num_done < most and time.perf_counter() - began < seconds:
            while self.engine.num_free > 0:
                self.engine.add(next(self._requests))
            num_done += len(self.engine.step(0.1))
        return num_done, time.perf_counter() - began, time.process_time() - cpu


def rate() -> None:
    engine = ReplayEngine(script=["It is \\boxed{42}.", "no", "\\boxed{41}"])
    with RayEngine(engine=engine, num_replicas=2) as replicas:
        drawer = Drawer(replicas)
        drawer.draw(20_000)
        found = [drawer.draw(40_000) for _ in range(7)]
    rates, costs = [num / wall for num, wall, _ in found], [1e6 * cpu / num for num, _, cpu in found]
    print(
        f"two replicas: {statistics.median(rates):,.0f} candidates/s ({min(rates):,.0f}–{max(rates):,.0f}), "
        f"{statistics.median(costs):.1f} µs of driver CPU each ({min(costs):.1f}–{max(costs):.1f})",
        flush=True,
    )


class Stepping(ReplayEngine):
    """Works 8 ms a step, as a small model does, waiting for its device; each call takes 50 steps."""

    def open(self) -> None:
        super().open()
        object.__setattr__(self, "_left", {})
        object.__setattr__(self, "num_steps", 0)

    @property
    def num_free(self) -> int:
        return 32 - len(object.__getattribute__(self, "_left"))

    @property
    def num_generated_tokens(self) -> int:
        """The steps: what a replica tells of its work."""
        return int(object.__getattribute__(self, "num_steps"))

    def add(self, request: Any) -> None:
        object.__getattribute__(self, "_left")[request.problem_id, request.key] = 50

    def step(self, patience_seconds: float = 0.1) -> list[Any]:
        del patience_seconds
        time.sleep(0.008)
        object.__setattr__(self, "num_steps", object.__getattribute__(self, "num_steps") + 1)
        left = object.__getattribute__(self, "_left")
        for key in left:
            left[key] -= 1
        done = [key for key, number in left.items() if not number]
        for key in done:
            del left[key]
        return [Completion(*key, "x", "stop", 1, 50) for key in done]


def steps() -> None:
    def rate_of(drawer: Drawer) -> float:
        drawer.draw(seconds=1.0)
        before, began = drawer.engine.num_generated_tokens, time.perf_counter()
        drawer.draw(seconds=4.0)
        return float(drawer.engine.num_generated_tokens - before) / (time.perf_counter() - began)

    with Stepping(script=["x"]) as alone, RayEngine(engine=Stepping(script=["x"]), num_replicas=1) as replica:
        drawers = Drawer(alone), Drawer(replica)
        pairs = [tuple(map(rate_of, drawers)) for _ in range(5)]
    lost = [100 * (1 - there / here) for here, there in pairs]
    here, there = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(
        f"steps of 8 ms: {here:.1f} a second alone, {there:.1f} in a replica: {statistics.median(lost):.1f} % lost "
        f"({min(lost):.1f} to {max(lost):.1f})",
        flush=True,
    )


class Simulated:
    """Five hundred replicas in one actor: a poll sleeps until one candidate is there, lingers, and brings what is."""

    def __init__(self) -> None:
        self._waiting: dict[int, list[Request]] = {}

    async def submit(self, number: int, calls: Packed) -> None:
        self._waiting.setdefault(number, []).extend(unpacked(calls))

    async def collect(self, number: int, told: int, rate: int, linger: float, slots: int) -> Told:
        hello = Hello(slots, None, frozenset(), {}, "here")
        if told < 0:
            return Told(0, packed([]), 0, 0, hello, None)
        seconds = random.uniform(0.5, 1.5) / rate + linger
        await asyncio.sleep(seconds)
        waiting, most = self._waiting.get(number, []), max(1, round(rate * seconds))
        done, self._waiting[number] = waiting[:most], waiting[most:]
        text = "It is \\boxed{42}. " * 100
        found = [Completion(one.problem_id, one.key, text, "stop", 100, 2000, -1000.0, -0.5) for one in done]
        return Told(told + 1, packed(found), told + 1, 0, hello, None)


class Crowd(RayCluster):
    """A cluster whose replicas are simulated. Each finishes `rate` candidates a second."""

    rate = 1

    def open(self, num_replicas: int) -> None:
        del num_replicas
        import ray

        self._connect()
        made = ray.remote(num_cpus=0, max_concurrency=2000)(Simulated)
        self._hosts = [made.remote() for _ in range(2)]
        self._numbers = itertools.count()

    def start(self) -> Any:
        number = next(self._numbers)
        host, rate, linger = self._hosts[number % 2], self.rate, self._linger
        slots = math.ceil(2 * rate * (linger + 1.5))

        class Remote:
            def __init__(self, call: Any) -> None:
                self.remote = call

        class Actor:
            submit = Remote(lambda calls, _: host.submit.remote(number, calls))
            collect = Remote(lambda told, _: host.collect.remote(number, told, rate, linger, slots))

        return Actor()


def many() -> None:
    for rate in (1, 8):
        crowd = Crowd(None, address="local", cpus=0, gpus=0, linger_seconds=linger_seconds(1000))
        crowd.rate = rate
        crowd.open(1000)
        try:
            driven = Places(crowd, 1000, hang_seconds=600, start_seconds=600)
            driven.open()
            drawer = Drawer(driven)
            drawer.draw(seconds=6.0)
            for _ in range(3):
                num, wall, cpu = drawer.draw(seconds=6.0)
                print(
                    f"1,000 replicas, {rate} a second each: {num / wall:,.0f} candidates/s, driver busy "
                    f"{100 * cpu / wall:.0f} %, {1e6 * cpu / num:.0f} µs of CPU each",
                    flush=True,
                )
        finally:
            crowd.close()


def main() -> None:
    parts = {"rate": rate, "steps": steps, "many": many}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[[], *parts], default=[])
    for part in parser.parse_args().parts or parts:
        parts[part]()


if __name__ == "__main__":
    main()
