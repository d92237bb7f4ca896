"""What `tts serve` itself adds to a request: its time beyond the engine's, and its memory.

    python benchmarks/serve.py [--open-rate 30] [--open-requests 900] [--clients 200] [--closed-requests 5000]

The replay engine answers every candidate after a set delay, n = 8, so what a request takes beyond that is the server's
own share, that of the client on the same cores included. Open arrivals come at random (Poisson), whether or not earlier
ones are done; closed-loop clients each ask again as soon as they are answered. Every question has an answer of its own,
so that a mix-up shows. The server's memory is read from /proc once it is warm and at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx2

OPEN_DELAY, CLOSED_DELAY = 1.5, 1.5


def recipe(folder: Path, delay: float) -> Path:
    """Write a recipe of eight candidates, each after `delay` seconds."""
    engine = {"name": "replay", "script": ["so \\boxed{42}"], "delay_seconds": delay, "batch_size": 4096}
    path = folder / "bench.yaml"
    path.write_text(
        f"task: text\nengine: {json.dumps(engine)}\nselector: majority_vote\n"
        "sampler: {name: temperature, num_candidates: 8}\n"
    )
    return path


class Server:
    """`tts serve` in a process of its own."""

    def __init__(self, path: Path) -> None:
        command = [sys.executable, "-m", "tts", "serve", "-r", str(path), "--port", "0", "--max-waiting", "4096"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        found = None
        while found is None:
            found = re.search(r"at (http\S+)", self.process.stderr.readline())
        self.url = found[1]

    def memory(self) -> float:
        """Return the resident memory in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    def cpu(self) -> float:
        """Return the seconds of CPU used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> int:
        """Stop it; return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)


async def ask(client: httpx2.AsyncClient, number: int) -> tuple[float, bool]:
    """Return the seconds that a request took, and whether its reply is right and its own."""
    body = {"model": "bench", "messages": [{"role": "user", "content": "w " * (number % 97 + 1)}]}
    began = time.perf_counter()
    reply = await client.post("/chat/completions", json=body)
    seconds = time.perf_counter() - began
    told = reply.json() if reply.status_code == 200 else {}
    words = 8 * (number % 97 + 1)  # the prompt's words, read eight times
    right = bool(told) and told["usage"]["prompt_tokens"] == words
    return seconds, right and told["choices"][0]["message"]["content"] == "so \\boxed{42}"


async def open_arrivals(url: str, rate: float, number: int) -> list[tuple[float, bool]]:
    """Let requests come at random, `rate` a second."""
    rng, limits = random.Random(0), httpx2.Limits(max_connections=None)
    async with httpx2.AsyncClient(base_url=url, trust_env=False, timeout=120, limits=limits) as client:
        tasks, due = [], time.perf_counter()
        for one in range(number):
            due += rng.expovariate(rate)
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(ask(client, one)))
        return await asyncio.gather(*tasks)


async def closed_loop(url: str, width: int, number: int) -> list[tuple[float, bool]]:
    """Let `width` clients ask one after the other; they begin spread over one delay."""
    limits = httpx2.Limits(max_connections=None)
    async with httpx2.AsyncClient(base_url=url, trust_env=False, timeout=120, limits=limits) as client:
        numbers, came = iter(range(number)), []

        async def one_client(place: int) -> None:
            await asyncio.sleep(place * CLOSED_DELAY / width)
            for one in numbers:
                came.append(await ask(client, one))

        await asyncio.gather(*(one_client(place) for place in range(width)))
        return came


def told(name: str, came: list[tuple[float, bool]], delay: float, wall: float, cpu: float) -> None:
    own = sorted(1000 * (seconds - delay) for seconds, _ in came)
    wrong = sum(not right for _, right in came)
    p50, p99 = statistics.median(own), own[int(0.99 * len(own))]
    print(
        f"{name}: {len(came)} requests, {len(came) / wall:.0f}/s, {wrong} wrong or mixed up; own share p50 {p50:.1f} "
        f"ms, p90 {own[int(0.9 * len(own))]:.1f}, p99 {p99:.1f}, largest {own[-1]:.1f}; server CPU "
        f"{1000 * cpu / len(came):.2f} ms a request; load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--open-rate", type=float, default=30)
    parser.add_argument("--open-requests", type=int, default=900)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--closed-requests", type=int, default=5000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(recipe(Path(folder), OPEN_DELAY))
        try:
            asyncio.run(open_arrivals(server.url, options.open_rate, 60))  # warm
            for name, run, delay in (
                ("open", lambda: open_arrivals(server.url, options.open_rate, options.open_requests), OPEN_DELAY),
                ("closed", lambda: closed_loop(server.url, options.clients, options.closed_requests), CLOSED_DELAY),
            ):
                memory, cpu, began = server.memory(), server.cpu(), time.perf_counter()
                came = asyncio.run(run())
                told(name, came, delay, time.perf_counter() - began, server.cpu() - cpu)
                print(f"memory {memory:.1f} → {server.memory():.1f} MB", flush=True)
        finally:
            print("exit code", server.stop())


if __name__ == "__main__":
    main()
