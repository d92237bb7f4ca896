"""ESamp in families of models: at β = 0 a candidate is the plain engine's, above it another one; capped heads, too."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the hf extra")
transformers = pytest.importorskip("transformers", reason="needs the hf extra")

from esamp_host_parts import EngineTwin, traced  # noqa: E402  # after the skip
from family_parts import FAMILIES, family  # noqa: E402  # as above
from hypothesis import given, settings  # noqa: E402  # as above
from hypothesis import strategies as st  # noqa: E402  # as above
from transformers_parts import assert_as_promised, by_key, guided, request_for, run, unmeasured  # noqa: E402  # as above

from tts.engines.transformers import TransformersEngine  # noqa: E402  # as above
from tts.errors import EngineError  # noqa: E402  # as above
from tts.plugins.esamp.fusion import fuse, q_of  # noqa: E402  # as above
from tts.plugins.esamp.settings import ESampSettings  # noqa: E402  # as above
from tts.types import Plugin  # noqa: E402  # as above

QUICK = ("gpt-oss", "Gemma 2")
ESAMP = {"width": 16, "train_every": 1, "num_slots": 2, "learning_rate": 4e-3, "kl_every": 1}


def opened(folder, **esamp) -> TransformersEngine:
    engine = TransformersEngine(
        model=str(folder), device="cpu", batch_size=6, num_threads=1, record_token_logprobs=True
    )
    if esamp:
        engine.host(Plugin("esamp", ESAMP | esamp))
    return engine


def requests(**decoding):
    return [
        request_for(prompt, index, seed=7 * index, max_tokens=20 - index, **decoding)
        for prompt in ("a", "How many?")
        for index in range(4)
    ]


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in FAMILIES if name != "Qwen3-Next"],
)
def test_a_family_is_guided_and_at_beta_0_it_is_not(tmp_path, name):
    folder = family(tmp_path, name)
    with opened(folder) as engine:
        plain = by_key(run(engine, requests()))
    with opened(folder, beta=0.0) as engine:
        assert_as_promised(engine, unmeasured(run(engine, guided(requests(), beta=0.0))), plain)
    with opened(folder, beta=0.25) as engine:
        steered = unmeasured(run(engine, guided(requests())))
    assert all(steered[key].token_logprobs[1:] != one.token_logprobs[1:] for key, one in plain.items())
    assert all(steered[key].token_logprobs[0] == pytest.approx(one.token_logprobs[0]) for key, one in plain.items())


@pytest.mark.parametrize("esamp", [{}, {"filter": "reference"}], ids=["fused", "reference"])
def test_capped_logits_are_mixed_after_the_cap(tmp_path, esamp):
    folder = family(tmp_path, "Gemma 2")
    asked = guided(requests(temperature=1.2, top_k=40))
    with opened(folder, beta=0.25, **esamp) as engine:
        trace = traced(engine, asked)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    twin = EngineTwin(model, ESampSettings(**ESAMP | {"beta": 0.25}), model.config.vocab_size)
    expected = twin.replay(trace)
    assert len(expected) > 100
    assert max(abs(token.row.logprobs[token.place] - token.logprob) for token in expected) < 1e-3
    for key, candidate in trace.candidates.items():
        mine = [token.kl for token in expected if (token.row.request.problem_id, token.row.request.key) == key]
        assert candidate.engine_stats["esamp_kl"] == pytest.approx(sum(mine) / len(mine), rel=1e-2)


def test_a_capped_head_has_no_weight_for_the_vocabularys_control(tmp_path):
    engine = opened(family(tmp_path, "Gemma 2"), control="vocabulary")
    with pytest.raises(EngineError, match="got 'gemma2', whose logits are capped, which `control: vocabulary`"):
        engine.open()


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 8), st.sampled_from([torch.float32, torch.bfloat16]))
def test_fusing_with_the_q_that_was_found_again_gives_the_mixed_states(seed, beta, dtype):
    reference, q = torch.randn(2, 3, 16, generator=torch.Generator().manual_seed(seed)).to(dtype)
    betas = torch.tensor([[beta], [0.0], [2 * beta]])
    mixed = fuse(reference.float(), q.float(), betas).to(dtype)
    again = fuse(reference.float(), q_of(reference, mixed, betas), betas)
    torch.testing.assert_close(again.to(dtype), mixed, rtol=2 * torch.finfo(dtype).eps, atol=1e-4)
    assert torch.equal(again[1].to(dtype), reference[1])
