"""Candidates per second and CPU of a client before one fake server whose every answer takes a second.

    python benchmarks/client.py [--in-flight 64] [--repeats 3] [--stream] [--peers PYTHON]

The limit is as many a second as are in flight. Each client draws a few samples and ten times as many, each in a process
of its own, the clients taking turns; what lies between the two is rate and CPU a sample, without start-up. `--peers`
names the Python of an environment with inspect_ai and its_hub, which then draw the same number from the same server.
`httpx2` and `sockets` are what our HTTP client, and asyncio's bare connections, take for the same requests alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RECIPE = """\
task: text
engine: {name: openai, base_url: %s, model: tiny, max_concurrency: %d, stream: %s}
sampler: {name: temperature, num_candidates: 8}
selector: first
"""
BARE = {
    "httpx2": """
import asyncio, json, sys
import httpx2
url, number, flying = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
todo, trusted = iter(range(number)), httpx2.create_ssl_context()
async def ask():
    limits = httpx2.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=30)
    async with httpx2.AsyncClient(verify=trusted, limits=limits, timeout=60, trust_env=False) as client:
        for one in todo:
            body = {"model": "tiny", "max_tokens": 100, "messages": [{"role": "user", "content": f"What is {one}?"}]}
            async with client.stream("POST", f"{url}/chat/completions", json=body) as response:
                json.loads(await response.aread())
async def main():
    await asyncio.gather(*(ask() for _ in range(flying)))
asyncio.run(main())
""",
    "sockets": """
import asyncio, json, sys
url, number, flying = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
todo, port = iter(range(number)), int(url.split(":")[2].split("/")[0])
async def ask():
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for one in todo:
        body = {"model": "tiny", "max_tokens": 100, "messages": [{"role": "user", "content": f"What is {one}?"}]}
        content = json.dumps(body).encode()
        writer.write(b"POST / HTTP/1.1\\r\\nhost: x\\r\\ncontent-length: %d\\r\\n\\r\\n" % len(content) + content)
        head = await reader.readuntil(b"\\r\\n\\r\\n")
        json.loads(await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\\r")[0])))
    writer.close()
async def main():
    await asyncio.gather(*(ask() for _ in range(flying)))
asyncio.run(main())
""",
}
PEERS = {
    "inspect_ai": """
import sys
from inspect_ai import Task, eval
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.solver import generate
url, number, flying, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
task = Task(dataset=MemoryDataset([Sample(input=f"What is {one}?") for one in range(number)]), solver=generate())
(log,) = eval(task, model="openai/tiny", model_base_url=url, max_connections=flying, max_samples=flying,
              display="none", log_dir=folder, model_args={"responses_api": False, "api_key": "none"})
assert log.status == "success" and len(log.samples) == number, log.error
""",
    "its_hub": """
import asyncio, sys, warnings
from its_hub.api.types import ChatMessage
from its_hub.core.lms.openai_lm import OpenAICompatibleLanguageModel
warnings.simplefilter("ignore")
url, number, flying = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
model = OpenAICompatibleLanguageModel(endpoint=url, api_key="none", model_name="tiny", max_concurrency=flying)
found = asyncio.run(model.agenerate([[ChatMessage("user", f"What is {one}?")] for one in range(number)]))
assert len(found) == number
""",
}


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every request on a connection after a second."""
    usage = {"prompt_tokens": 8, "completion_tokens": 8, "total_tokens": 16}
    whole = {"id": "x", "object": "chat.completion", "created": 1, "model": "tiny", "usage": usage}
    said = {"role": "assistant", "content": "It is 42."}
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
            body = json.loads(await reader.readexactly(int(lines[b"content-length"])))
            if body.get("max_tokens") != 10:  # what finds out about the server need not wait
                await asyncio.sleep(1)
            number = body.get("n", 1)
            if body.get("stream"):
                finished = {"finish_reason": "stop"}
                choices = [{"index": one, "delta": said, **finished} for one in range(number)]
                events = [{**whole, "choices": choices}, {**whole, "choices": []}]
                kind = b"text/event-stream"
                content = b"".join(b"data: %s\n\n" % json.dumps(one).encode() for one in events) + b"data: [DONE]\n\n"
            else:
                choices = [{"index": one, "message": said, "finish_reason": "stop"} for one in range(number)]
                kind, content = b"application/json", json.dumps({**whole, "choices": choices}).encode()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n" % (kind, len(content)))
            writer.write(content)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def serve() -> None:
    """Serve on a free port, which is printed."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def measured(words: list[str], folder: Path) -> tuple[float, float]:
    """Run a client; return its seconds and its CPU seconds, those of its children included."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])} if "tts" in words else {**os.environ}
    began = time.perf_counter()
    with (folder / "told.txt").open("wb") as told:
        process = subprocess.Popen(
            words, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=told, stderr=told
        )
        _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, (folder / "told.txt").read_text()[-2000:]
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--peers", metavar="PYTHON")
    asked = parser.parse_args()
    sizes = (asked.in_flight * 2, asked.in_flight * 20)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        server = subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE)
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
        (folder / "r.yaml").write_text(RECIPE % (url, asked.in_flight, json.dumps(asked.stream)))
        for size in sizes:
            rows = (json.dumps({"problem": f"What is {one}?", "kind": "text"}) for one in range(size // 8))
            (folder / f"{size}.jsonl").write_text("\n".join(rows))
        clients = ["tts", *BARE, *(PEERS if asked.peers else ())]
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in clients}
        try:
            for turn in range(asked.repeats):
                for name in clients:
                    each = []
                    for size in sizes:
                        if name == "tts":
                            run = ["--run", f"{turn}-{size}"]
                            words = [sys.executable, "-m", "tts", "solve", f"{size}.jsonl", "-r", "r.yaml", *run]
                        else:
                            numbers = [str(size), str(asked.in_flight), str(folder / "logs")]
                            python, source = (
                                (sys.executable, BARE[name]) if name in BARE else (asked.peers, PEERS[name])
                            )
                            words = [python, "-c", source, url, *numbers]
                        each.append(measured(words, folder))
                    (wall, cpu), number = (
                        [large - small for small, large in zip(*each, strict=True)],
                        sizes[1] - sizes[0],
                    )
                    found[name].append((number / wall, 1e3 * cpu / number))
        finally:
            server.kill()
    print(f"{asked.in_flight} in flight, 1 s each: at most {asked.in_flight} samples/s; {asked.repeats} turns")
    for name, turns in found.items():
        rates, costs = zip(*turns, strict=True)
        print(
            f"{name:11s} {statistics.median(rates):6.1f} samples/s ({min(rates):.1f}-{max(rates):.1f}), "
            f"{statistics.median(costs):5.2f} ms CPU a sample ({min(costs):.2f}-{max(costs):.2f})"
        )


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serve())
    else:
        main()
