"""ESamp's hosts beside each other: vLLM and transformers, one slot and another, a model whole and in two parts."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

pytest.importorskip("vllm", reason="needs vLLM (make test-vllm)")

from vllm_parts import PROMPTS, SMOLLM2, guided, opened, requests, run, written

from tts.types import Decoding, Guidance, Message, Plugin, Request

pytestmark = [pytest.mark.model, pytest.mark.filterwarnings("ignore")]  # vLLM and what it imports warn of themselves

AT_ONCE = {"max_num_batched_tokens": 8192}
"""All prompts are read in the first step."""


def greedy_groups():
    """Eight greedy requests, different prompts in each of two groups, which all start in the same step."""
    prompts = [f"{prompt} {more}" for prompt in PROMPTS for more in ("Be brief.", "Tell it as a story.")]
    asked = [replace(request, problem_id=f"p{number}") for number, request in enumerate(asked_of(prompts))]
    return [replace(request, guidance=Guidance(f"g{number % 2}", 4, 0.25)) for number, request in enumerate(asked)]


def asked_of(prompts):
    """One greedy request a prompt."""
    decoding = Decoding(max_tokens=40, temperature=0.0)
    return [Request(prompt, "0", (Message("user", prompt),), decoding, 0, "test") for prompt in prompts]


def test_both_hosts_give_the_same_log_probabilities_to_the_same_prefixes():
    """Greedy rows: as long as all rows of a group hold the same tokens on both, their log-probabilities agree."""
    from tts.engines.transformers import TransformersEngine

    esamp = {"beta": 0.25, "num_slots": 2, "learning_rate": 1e-3}
    asked = greedy_groups()
    embedded = TransformersEngine(model=SMOLLM2, dtype="float32", batch_size=8, record_token_logprobs=True)
    embedded.host(Plugin("esamp", esamp))
    with embedded:
        first = run(embedded, asked)
    with opened(esamp, dtype="float32", batch_size=8, engine_args=AT_ONCE) as engine:
        second = run(engine, asked)
    compared = 0
    for group in ("g0", "g1"):
        keys = [(one.problem_id, int(one.key)) for one in asked if one.guidance and one.guidance.group == group]
        alike = common_length([(first[key].token_logprobs, second[key].token_logprobs) for key in keys])
        compared += sum(min(alike, first[key].num_tokens) for key in keys)
    assert compared > 200


def common_length(pairs) -> int:
    """On how many tokens all pairs agree within 1e-3."""
    longest = max(len(first) for first, _ in pairs)
    for place in range(longest):
        for first, second in pairs:
            if place < min(len(first), len(second)) and abs(first[place] - second[place]) > 1e-3:
                return place
    return longest


def test_the_result_does_not_depend_on_the_slots_number():
    """The same group once in the first slot and once in the third, others being taken by requests that never run."""
    with opened({"beta": 0.25, "num_slots": 3}, prefix_caching=False) as engine:
        results = []
        for num_taken in (0, 2):
            engine._running._vllm.collective_rpc(take_slots, args=(num_taken,))
            results.append(written(run(engine, guided(requests(PROMPTS[:1]), 0.25, str(num_taken)))))
        assert engine.plugin_report().figures["groups"] == 4
    assert results[0] == results[1]


def take_slots(worker, num: int) -> None:
    """Let requests join that hold the first slots, and never run."""
    core = worker.model_runner.worker_plugin._core
    for number in range(num):
        core.join(f"taken {number}", f"group {number}", group_size=1, beta=0.25, seed=0)


@pytest.fixture(scope="module")
def in_two_parts(tmp_path_factory):
    """A folder with a random Llama whose heads two processes can share."""
    from transformers import LlamaConfig
    from transformers_parts import save_random_model

    folder = tmp_path_factory.mktemp("llama")
    save_random_model(
        folder, LlamaConfig, hidden_size=128, intermediate_size=256, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, initializer_range=0.2,
    )  # fmt: skip
    return str(folder)


@pytest.mark.slow
def test_a_model_in_two_processes_is_guided_as_in_one(in_two_parts, monkeypatch):
    """Sums over two parts round otherwise, and Adam's first steps magnify that: only the first tokens are compared."""
    asked = guided(requests(PROMPTS[:2], num=3, temperature=0.0), 0.25)
    with opened({"beta": 0.25, "num_slots": 2}, model=in_two_parts, dtype="float32") as engine:
        alone = run(engine, asked)
    cores = sorted(os.sched_getaffinity(0))
    monkeypatch.setenv("VLLM_CPU_OMP_THREADS_BIND", f"{cores[0]}|{cores[-1]}")
    with opened({"beta": 0.25, "num_slots": 2}, model=in_two_parts, dtype="float32", tensor_parallel_size=2) as engine:
        together = run(engine, asked)
        reports = engine._running._vllm.collective_rpc("tts_report")
    first, second = ({name: report["figures"][name] for name in ALIKE} for report in reports)
    assert first == second  # the distillers of the two processes learn the same
    assert first["rows_guided"] > 100
    for key, one in alone.items():
        assert together[key].token_logprobs[:12] == pytest.approx(one.token_logprobs[:12], abs=1e-3)


ALIKE = ("steps", "rows_guided", "rows_trained", "first_loss", "last_loss")
