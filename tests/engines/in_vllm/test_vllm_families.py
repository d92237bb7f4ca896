"""ESamp in vLLM in families of tiny models: at β = 0 it is as without, above it guides; capped logits, too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

pytest.importorskip("vllm", reason="needs vLLM (make test-vllm)")

from family_parts import FAMILIES, family
from transformers_parts import request_for
from vllm_parts import guided, opened, run, written

from tts.engines.transformers import TransformersEngine
from tts.types import Plugin

pytestmark = pytest.mark.filterwarnings("ignore")  # vLLM and what it imports warn of themselves

QUICK = ("Gemma 2",)
NOT_HERE = ("Qwen3-Next",)  # the kernels for CPUs refuse its small heads
KEYS = {"dtype": "float32", "max_model_len": 256, "batch_size": 8, "kv_cache_mb": 64}
ESAMP = {"beta": 0.25, "width": 16, "train_every": 1, "num_slots": 2, "learning_rate": 4e-3, "kl_every": 1}


@contextmanager
def open_family(folder, esamp=None) -> Iterator:
    with opened(esamp, model=str(folder), **KEYS) as engine:
        yield engine


def asked(**decoding):
    return [
        request_for(prompt, index, seed=7 * index, max_tokens=20 - index, temperature=0.0, **decoding)
        for prompt in ("a", "How many?")
        for index in range(4)
    ]


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in FAMILIES if name not in NOT_HERE],
)
def test_a_family_is_guided_and_at_beta_0_it_is_not(tmp_path, name):
    folder = family(tmp_path, name)
    with open_family(folder) as engine:
        plain = written(run(engine, asked()))
    with open_family(folder, ESAMP) as engine:
        assert written(run(engine, guided(asked(), 0.0, "zero "))) == plain
        steered = written(run(engine, guided(asked(), 0.25)))
        figures = engine.plugin_report().figures
    assert all(steered[key][2][1:] != one[2][1:] for key, one in plain.items())
    assert figures["rows_guided"] > 100
    assert figures["mean_kl"] > 0


@pytest.mark.parametrize("esamp", [{}, {"filter": "reference"}], ids=["fused", "reference"])
def test_capped_logits_are_mixed_after_the_cap_as_in_the_embedded_engine(tmp_path, esamp):
    """As long as all rows of a group hold the same tokens on both, their log-probabilities agree."""
    folder = family(tmp_path, "Gemma 2")
    embedded = TransformersEngine(model=str(folder), device="cpu", batch_size=8, record_token_logprobs=True)
    embedded.host(Plugin("esamp", ESAMP | esamp))
    with embedded:
        first = run(embedded, guided(asked(), 0.25))
    with open_family(folder, ESAMP | esamp) as engine:
        second = run(engine, guided(asked(), 0.25))
    for key, one in first.items():
        assert one.text == second[key].text
        assert one.token_logprobs == pytest.approx(second[key].token_logprobs, abs=2e-3)
        assert one.engine_stats["esamp_kl"] == pytest.approx(second[key].engine_stats["esamp_kl"], rel=2e-2)
