"""The vllm engine beside ESamp: how tokens are drawn, what comes back, what is refused."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

pytest.importorskip("vllm", reason="needs vLLM (make test-vllm)")

from vllm_parts import PROMPTS, SMOLLM2, guided, opened, requests, run, written  # after the skip

from tts.errors import EngineError  # as above
from tts.types import FirstToken, Message  # as above

pytestmark = [pytest.mark.model, pytest.mark.filterwarnings("ignore")]  # vLLM and what it imports warn of themselves


@pytest.fixture
def engine():
    """An engine of the test's own: vLLM has room for one in a process, and other tests open theirs.

    In float32: the likeliest tokens of bfloat16, which `auto` picks on some CPUs, tie.
    """
    with opened(batch_size=16, record_self_certainty=True, confidence_window=8, dtype="float32") as opened_engine:
        yield opened_engine


def first_words(candidates):
    return [candidate.text.split(" ")[0] for candidate in candidates.values()]


def test_top_n_sigma_and_first_token_decide_what_may_be_drawn(engine):
    greedy = run(engine, requests(PROMPTS[:1], temperature=0.0))
    narrow = run(engine, requests(PROMPTS[:1], temperature=5.0, top_n_sigma=1e-6))
    likeliest = {key: one.text for key, one in greedy.items()}
    assert {key: one.text for key, one in narrow.items()} == likeliest  # nothing else is left, at any temperature
    hot = run(engine, requests(PROMPTS[:1], num=8, max_tokens=40, temperature=0.0, first_token=FirstToken(30.0, 16)))
    assert len(set(first_words(hot))) > 2
    again = run(engine, requests(PROMPTS[:1], num=8, max_tokens=40, temperature=0.0, first_token=FirstToken(30.0, 16)))
    assert written(again) == written(hot)


def test_log_probabilities_are_the_raw_models(engine):
    """A filter or another first temperature changes what is drawn, not how likely the model thought it."""
    plain = run(engine, requests(PROMPTS[:1], num=1, max_tokens=12))
    shaped = run(engine, requests(PROMPTS[:1], num=1, max_tokens=12, top_n_sigma=1.0, temperature=0.0))
    assert written(plain) == written(shaped)
    for candidate in plain.values():
        assert candidate.cumulative_logprob == pytest.approx(math.fsum(candidate.token_logprobs))
        assert candidate.self_certainty > 0
        stats = candidate.engine_stats
        assert 0 < stats["least_confidence"] <= stats["bottom_confidence"] <= stats["mean_confidence"]


def test_each_request_comes_back_once_with_its_reason(engine):
    [one] = requests(PROMPTS[:1], num=1, max_tokens=64)
    asked = [
        replace(one, key="0"),
        replace(one, key="1", decoding=replace(one.decoding, stop=(" the",))),
        replace(one, key="2", decoding=replace(one.decoding, max_tokens=0)),
        replace(one, key="3", messages=(Message("user", "x " * 600),)),
        replace(one, key="4", decoding=replace(one.decoding, max_tokens=3)),
    ]
    found = {index: candidate for (_, index), candidate in run(engine, asked).items()}
    assert found[1].finish_reason == "stop"
    assert " the" not in found[1].text
    assert found[0].text.startswith(found[1].text)
    assert "`max_tokens` must be at least 1, got 0" in found[2].error
    assert "the prompt must be shorter than the context of 512 tokens" in found[3].error
    assert (found[4].finish_reason, found[4].num_tokens) == ("length", 3)


def test_a_second_engine_is_refused_while_one_is_open(engine):
    with pytest.raises(EngineError, match="only one vllm engine can be open in a process"), opened():
        pass
    assert len(run(engine, requests(PROMPTS[:1], num=2, max_tokens=3))) == 2


def test_a_cancelled_request_comes_back_and_the_others_go_on(engine):
    asked = requests(PROMPTS[:1], max_tokens=40)
    for request in asked:
        engine.add(request)
    for _ in range(3):
        engine.step()
    engine.cancel(asked[0].problem_id, "0")
    engine.cancel("nobody", "7")
    finished = {}
    while len(finished) < len(asked):
        finished |= {one.key: one.finish_reason for one in engine.step()}
    assert finished.pop("0") == "cancelled"
    assert "cancelled" not in finished.values()


def test_filters_on_the_reference_keep_what_it_keeps():
    """At top-k 1 the reference leaves one token: guided candidates are then the greedy ones, whatever β is.

    In float32, where the likeliest token has no equal.
    """
    with opened({"beta": 0.0, "num_slots": 4}, dtype="float32") as engine:
        greedy = run(engine, guided(requests(temperature=0.0), 0.0))
    with opened({"beta": 2.0, "num_slots": 4, "filter": "reference"}, dtype="float32") as engine:
        kept = run(engine, guided(requests(temperature=1.0, top_k=1), 2.0))
        report = engine.plugin_report()
    assert {key: one.text for key, one in kept.items()} == {key: one.text for key, one in greedy.items()}
    assert report.figures["mean_kl"] > 0
    assert report.figures["rows_guided"] == sum(one.num_tokens - 1 for one in kept.values())


NGRAMS = {"method": "ngram", "num_speculative_tokens": 2, "prompt_lookup_max": 3, "prompt_lookup_min": 2}


@pytest.mark.parametrize(
    ("keys", "esamp", "told"),
    [
        ({"engine_args": {"max_num_seqs": 3}}, None, "`engine_args` must not hold `max_num_seqs`"),
        ({"engine_args": {"max_num_sequences": 3}}, None, "is no argument of this vLLM. Did you mean"),
        ({}, {"layer": 99}, "`layer` must be below 30, the model's number of layers, got 99"),
        ({"engine_args": {"pipeline_parallel_size": 2}}, {}, "Use tensor_parallel_size instead"),
        ({"engine_args": {"speculative_config": NGRAMS}}, {}, "Leave `speculative_config` out"),
        (
            {"engine_args": {"hf_overrides": {"final_logit_softcapping": 30.0}}},
            {"control": "vocabulary"},
            "does not follow logits that are capped",
        ),
        ({"tensor_parallel_size": 3}, {"control": "vocabulary"}, "the head's whole weight in one process"),
        ({"model": "/nowhere"}, None, "which is not there"),
    ],
)
def test_what_cannot_be_is_refused_before_the_model_loads(keys, esamp, told):
    with pytest.raises(EngineError, match=told), opened(esamp, **{"model": SMOLLM2, **keys}):
        pass


@pytest.fixture(scope="module")
def without_auxiliary_states(tmp_path_factory):
    """A folder with a random GPT-2, an architecture that hands out no layer's states."""
    from transformers import GPT2Config
    from transformers_parts import save_random_model

    folder = tmp_path_factory.mktemp("gpt2")
    save_random_model(folder, GPT2Config, n_positions=512, n_embd=128, n_layer=3, n_head=2, initializer_range=0.4)
    return str(folder)


def test_a_model_without_auxiliary_states_is_tapped_by_a_hook_unless_it_is_compiled(without_auxiliary_states):
    keys = {"model": without_auxiliary_states}
    with opened(**keys) as engine:
        plain = run(engine, requests(PROMPTS[:2]))
    with opened({"beta": 0.25, "num_slots": 4}, **keys) as engine:
        assert written(run(engine, guided(requests(PROMPTS[:2]), 0.0, "zero"))) == written(plain)
        assert written(run(engine, guided(requests(PROMPTS[:2]), 0.25))) != written(plain)
        assert engine.plugin_report().figures["rows_guided"] > 0
    with pytest.raises(EngineError, match="Set `enforce_eager: true`"), opened({}, enforce_eager=False, **keys):
        pass
