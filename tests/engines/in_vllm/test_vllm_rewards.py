"""What vLLM says of named tokens, and its reward models, beside plain forward passes."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("vllm", reason="needs vLLM (make test-vllm)")

from transformers_parts import request_for
from vllm_parts import SMOLLM2, opened

from tts.engines.transformers import TransformersEngine

pytestmark = [pytest.mark.model, pytest.mark.filterwarnings("ignore")]  # vLLM and what it imports warn of themselves


def test_the_probabilities_of_named_tokens_are_those_of_the_embedded_engine() -> None:
    requests = [
        replace(request_for(text, max_tokens=most, temperature=temperature, ask_tokens=asked), key=str(number))
        for number, (text, most, temperature, asked) in enumerate(
            [
                ("Is 7 a prime? Answer Yes or No.", 1, 1.0, ("Yes", "No")),
                ("Is 8 a prime? Answer Yes or No.", 3, 0.0, ("Yes", "No", "Yes")),
                ("Tell me about the sea.", 6, 1.0, ()),
                ("How good is it, from A to C?", 1, 1.0, ("A", "B", "C")),
            ]
        )
    ]
    found = []
    for engine in (
        TransformersEngine(model=SMOLLM2, device="cpu", dtype="float32", max_model_len=256),
        opened(dtype="float32"),
    ):
        with engine as running:
            for request in (*requests, request_for("Is it?", max_tokens=1, ask_tokens=("Yes indeed",))):
                running.add(request)
            done = {}
            while len(done) < 5:
                done |= {(one.problem_id, one.key): one for one in running.step()}
            found.append(done)
    for request in requests:
        here, there = (done[request.problem_id, request.key] for done in found)
        assert (there.num_tokens, there.error) == (here.num_tokens, None)
        if not request.decoding.ask_tokens:
            assert here.asked_logprobs is there.asked_logprobs is None
            continue
        assert there.asked_logprobs == pytest.approx(here.asked_logprobs, abs=2e-3)
        assert there.cumulative_logprob is not None
    assert found[1]["Is it?", "0"].error == found[0]["Is it?", "0"].error
