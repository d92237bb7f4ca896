"""Probabilities of named tokens: those of the model's own distribution, whatever draws the token."""

from __future__ import annotations

import math
from dataclasses import replace
from shutil import copytree
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers_parts import request_for

from tts.engines.asked import together
from tts.engines.prompts import Prompts
from tts.engines.replay import ReplayEngine
from tts.runs.call_log import digest
from tts.types import Completion, Decoding, Guidance, Message, Piece, Request


def drawn(engine: Any, *requests: Request) -> list[Completion]:
    for request in requests:
        engine.add(request)
    found: dict[str, Completion] = {}
    while len(found) < len(requests):
        found |= {one.key: one for one in engine.step()}
    return [found[request.key] for request in requests]


def asking(*tokens: str, key: str = "0", **decoding: Any) -> Request:
    return replace(
        request_for("is it?", **{"max_tokens": 1, "ask_tokens": tokens, **decoding}), problem_id="p", key=key
    )


@pytest.fixture
def engine(tiny_model):
    from tts.engines.transformers import TransformersEngine

    with TransformersEngine(model=str(tiny_model), device="cpu", batch_size=3) as opened:
        yield opened


def by_hand(tiny_model, request: Request) -> list[float]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    text = f"<s>[user]{request.messages[0].content}</s>[assistant]" + "".join(one.text for one in request.prefix)
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
    with torch.no_grad():
        logprobs = model(ids).logits[0, -1, : len(tokenizer)].log_softmax(-1)
    found = []
    for one in request.decoding.ask_tokens:
        spelt = [tokenizer(text, add_special_tokens=False).input_ids for text in (one, f" {one}")]
        found.append(logprobs[[ids[0] for ids in spelt if len(ids) == 1]].logsumexp(0).item())
    return found


def test_they_are_those_of_a_plain_forward_pass_and_cost_one_step(engine, tiny_model):
    requests = [
        asking("Y", "N", key="0"),
        asking("Y", "N", "Y", key="1", temperature=0.0, top_k=2),
        replace(asking("a", "<think>", key="2", temperature=3.0), prefix=(Piece("so far"),)),
    ]
    for request in requests:
        engine.add(request)
    found = {one.key: one for one in engine.step()}
    assert len(found) == 3
    for request in requests:
        assert found[request.key].asked_logprobs == pytest.approx(by_hand(tiny_model, request), abs=1e-4)
        assert found[request.key].num_tokens == 1


def test_with_a_space_before_it_a_token_counts_as_said_too(tiny_model, tmp_path):
    from transformers import AutoTokenizer

    from tts.engines.transformers import TransformersEngine

    copytree(tiny_model, tmp_path, dirs_exist_ok=True)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    tokenizer.add_tokens([" Y"])
    tokenizer.save_pretrained(tmp_path)
    with TransformersEngine(model=str(tmp_path), device="cpu", batch_size=2) as opened:
        both, spaced = drawn(opened, asking("Y", "N"), asking(" Y", key="1"))
    assert both.asked_logprobs == pytest.approx(by_hand(tmp_path, asking("Y", "N")), abs=1e-4)
    assert spaced.asked_logprobs[0] < both.asked_logprobs[0], "a text with its own space is meant as it is"


@pytest.mark.model
def test_a_real_tokenizer_says_choices_in_two_ways_and_digits_in_one(smollm2):
    from transformers import AutoTokenizer

    from tts.models.pretrained import resolve

    tokenizer = AutoTokenizer.from_pretrained(resolve(smollm2))
    ids = tokenizer.convert_tokens_to_ids
    found = Prompts(tokenizer, {}).asked_ids(asking("A", "Yes", " No", "7"))
    assert found == (
        (ids("A"), ids("ĠA")),
        (ids("Yes"), ids("ĠYes")),
        (ids("ĠNo"),),
        (ids("7"),),
    )


@given(st.lists(st.one_of(st.none(), st.floats(-60, 0), st.just(-math.inf)), max_size=5))
@settings(derandomize=True, max_examples=60, deadline=None)
def test_tokens_together_are_as_likely_as_all_their_probabilities_summed(logprobs):
    total = math.fsum(math.exp(one) for one in logprobs if one is not None)
    found = together(logprobs)
    assert (found is None) == (total == 0)
    assert found is None or math.exp(found) == pytest.approx(total)


def test_only_the_first_position_counts_and_what_asks_for_nothing_is_told_nothing(engine):
    longer, short, plain = drawn(
        engine, asking("Y", max_tokens=7), asking("Y", key="1"), replace(asking(key="2"), decoding=Decoding(3))
    )
    assert longer.asked_logprobs == pytest.approx(short.asked_logprobs, abs=1e-5)
    assert plain.asked_logprobs is None


def test_what_is_no_single_token_is_refused_by_name(engine):
    found = drawn(
        engine,
        asking("Yes"),
        asking("", key="1"),
        asking(*map(chr, range(33, 127)), *map(chr, range(33, 127)), key="2"),
        replace(asking("Y", key="3"), guidance=Guidance("g", 1, 0.5)),
    )
    assert [one.error for one in found] == [
        "`ask_tokens` must be one token of this model, got 'Yes', which is 3",
        "`ask_tokens` must be one token of this model, got '', which is 0",
        "`ask_tokens` must be at most 128 texts, got 188",
        "`ask_tokens` must be empty where a plugin guides: they ask for the raw model's opinion",
    ]


def test_a_replay_tells_what_is_stored_and_none_for_what_is_not():
    script: list[Any] = [{"text": "Yes", "asked_logprobs": {"Yes": math.log(0.45), "No": math.log(0.15)}}]
    with ReplayEngine(script=script) as engine:
        assert "ask_tokens" in engine.capabilities()
        asked, plain = drawn(engine, asking("No", "Yes", "Maybe"), asking(key="1"))
    assert asked.asked_logprobs == (math.log(0.15), math.log(0.45), None)
    assert plain.asked_logprobs is None
    assert "ask_tokens" not in ReplayEngine(script=[*script, "No"]).capabilities()


def test_a_request_that_asks_for_nothing_keeps_its_digest():
    plain = Request("p", "0", (Message("user", "Hi"),), Decoding(max_tokens=5), 1, "test")
    assert digest("engine", plain) == digest("engine", replace(plain, decoding=Decoding(5, ask_tokens=())))
    assert digest("engine", plain) != digest("engine", replace(plain, decoding=Decoding(5, ask_tokens=("Y",))))
