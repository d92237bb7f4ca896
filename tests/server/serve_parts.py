"""What the tests of the server share: recipes of one replay engine, and servers of them, here or in a process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from tts.errors import VerifierError
from tts.recipe import load_recipe
from tts.selectors.majority_vote import MajorityVote
from tts.server import process
from tts.server.service import Service

SCRIPT = ["so \\boxed{42}", "so \\boxed{41}", "so \\boxed{42}", "hmm, nothing"]
VOTE = "task: math\nsampler: {name: temperature, num_candidates: 8, temperature: 0.5, max_tokens: 64}\n"
SEARCH = "task: math\nsampler: {name: adaptive_consistency, num_candidates: 12, window: 4, max_tokens: 64}\n"
FIRST = "task: text\nsampler: {name: temperature, num_candidates: 2}\n"
ASKED = [{"role": "user", "content": "What is 6*7?"}]


def write_recipes(folder: Path, **engine: Any) -> list[Path]:
    """Write the three recipes `vote`, `search` and `first`, of one engine."""
    told = json.dumps({"name": "replay", "script": SCRIPT, "batch_size": 64, **engine})
    selectors = {"vote": "majority_vote", "search": "majority_vote", "first": "first"}
    paths = []
    for name, text in {"vote": VOTE, "search": SEARCH, "first": FIRST}.items():
        paths.append(folder / f"{name}.yaml")
        paths[-1].write_text(f"{text}engine: {told}\nselector: {selectors[name]}\n")
    return paths


class Unopened(MajorityVote):
    """A selector that cannot be opened."""

    def open(self) -> None:
        raise VerifierError("no verifier here")


class Server:
    """Where a server is, and what it counts."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx2.Client(base_url=url.removesuffix("/v1"), trust_env=False, timeout=30)

    def ask(self, messages: Any = ASKED, model: str = "vote", **more: Any) -> httpx2.Response:
        """Send what a client may, or may not."""
        return self.http.post("/v1/chat/completions", json={"model": model, "messages": messages, **more})

    def count(self, name: str) -> float:
        """Return one of the metrics."""
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.http.get("/metrics").text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def ended(self, how: str, recipe: str = "vote") -> float:
        """Return how many requests ended so."""
        return self.count(f'tts_requests_total{{recipe="{recipe}",end="{how}"}}')


@contextmanager
def started(*arguments: str | Path, **environment: str) -> Iterator[tuple[Server, subprocess.Popen[str]]]:
    """Start `tts serve` in a process."""
    command = [sys.executable, "-m", "tts", "serve", "--port", "0", *map(str, arguments)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}) as child:
        assert child.stderr is not None
        try:
            lines = []
            for line in child.stderr:
                lines.append(line)
                if found := re.search(r"at (http\S+)", line):
                    server = Server(found[1])
                    with server.http:
                        yield server, child
                    break
            else:
                raise AssertionError("".join(lines))
        finally:
            child.kill()


def stopped(child: subprocess.Popen[str], number: int = signal.SIGTERM) -> int:
    """Stop a server; return the exit code."""
    child.send_signal(number)
    return child.wait(60)


@contextmanager
def running(recipes: list[Path], api_key: str | None = None, **options: Any) -> Iterator[Server]:
    """Run a server in this process."""
    service, ended = Service([load_recipe(path) for path in recipes], **options), threading.Event()
    with process.listen("127.0.0.1", 0) as listening:
        try:
            service.open(threading.Event())
            with process.running(service, listening, api_key, ended):
                server = Server(f"http://127.0.0.1:{listening.getsockname()[1]}/v1")
                with server.http:
                    yield server
        finally:
            service.close()
