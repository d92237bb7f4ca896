"""Layers that look at a window of the last tokens, with sinks and soft caps: the engine writes what `generate` does."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from family_parts import FAMILIES, WINDOWED, save_family
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers_parts import request_for

torch = pytest.importorskip("torch", reason="needs the hf extra")
transformers = pytest.importorskip("transformers", reason="needs the hf extra")

from tts.engines.transformers import TransformersEngine  # noqa: E402  # after the skip
from tts.engines.transformers.row import Row  # noqa: E402  # as above
from tts.errors import EngineError  # noqa: E402  # as above
from tts.types import Piece  # noqa: E402  # as above

PROMPTS = ("a", "How many?", "x" * 41, "Sum of 2 and 3, then 4 more, please. " * 3)
PIECES = (Piece("It is "), Piece("", token_ids=(70, 71, 72, 73, 74, 75, 76)))
NUM_TOKENS = 16


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Toy sizes are quickest on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def written(folder: Path) -> list[Row]:
    """The rows of each prompt twice, and once with an answer that has begun, decoded greedily three at a time."""
    with TransformersEngine(model=str(folder), device="cpu", batch_size=3, num_threads=1) as engine:
        requests = [
            request_for(prompt, index, temperature=0, max_tokens=NUM_TOKENS) for index in range(3) for prompt in PROMPTS
        ]
        for request in requests:
            engine.add(replace(request, prefix=PIECES) if request.key == "2" else request)
        rows = list(engine._running.decoder._waiting)
        while engine._running.decoder.num_in_flight:
            assert all(one.error is None for one in engine.step())
    return rows


def generated(model, ids: tuple[int, ...]) -> list[int]:
    """What transformers' own loop and cache write after `ids`."""
    inputs = torch.tensor([ids])
    keys = {"attention_mask": torch.ones_like(inputs), "do_sample": False, "max_new_tokens": NUM_TOKENS}
    return model.generate(inputs, **keys)[0, len(ids) :].tolist()


def assert_as_generated(folder: Path) -> None:
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    expected: dict[tuple[int, ...], list[int]] = {}
    for row in written(folder):
        if row.prompt_ids not in expected:
            expected[row.prompt_ids] = generated(model, row.prompt_ids)
        assert row.token_ids == expected[row.prompt_ids]
    assert len(expected) == 2 * len(PROMPTS)


QUICK = ("Mistral 0.1", "gpt-oss")


@pytest.mark.parametrize(
    "family", [pytest.param(one, marks=() if one in QUICK else pytest.mark.slow) for one in WINDOWED]
)
def test_a_family_with_windows_is_decoded_as_generate_does(tmp_path, family):
    model_type, keys = FAMILIES[family]
    assert_as_generated(save_family(tmp_path, model_type, **keys))


def test_the_window_is_what_makes_the_difference(tmp_path):
    model_type, keys = FAMILIES["Mistral 0.1"]
    folder = save_family(tmp_path, model_type, **keys)
    rows = written(folder)
    plain = transformers.AutoModelForCausalLM.from_pretrained(folder, sliding_window=None)
    assert sum(row.token_ids != generated(plain, row.prompt_ids) for row in rows) > len(rows) / 2


@st.composite
def models(draw):
    """A model type and keys: layers of both kinds in any order, windows within one ring and of several blocks."""
    num_layers = draw(st.integers(1, 4))
    kinds = draw(
        st.lists(st.sampled_from(["sliding_attention", "full_attention"]), min_size=num_layers, max_size=num_layers)
    )
    window = draw(st.one_of(st.integers(2, 20), st.integers(60, 70), st.integers(120, 132)))
    num_key_heads = draw(st.integers(1, 2))
    keys = {
        "num_hidden_layers": num_layers,
        "layer_types": kinds,
        "sliding_window": window,
        "hidden_size": 16,
        "intermediate_size": 24,
        "head_dim": draw(st.sampled_from([4, 8])),
        "num_key_value_heads": num_key_heads,
        "num_attention_heads": num_key_heads * draw(st.integers(1, 2)),
        "initializer_range": 0.5,
        "max_position_embeddings": 256,
    }
    caps = st.one_of(st.none(), st.floats(0.5, 20))
    extra = {
        "gpt_oss": {"num_local_experts": 2, "num_experts_per_tok": 1},
        "gemma2": {"attn_logit_softcapping": draw(caps), "final_logit_softcapping": draw(caps)},
        "gemma3_text": {"query_pre_attn_scalar": 8},
        "gemma4_text": {"vocab_size_per_layer_input": 260, "hidden_size_per_layer_input": 4, "global_head_dim": 12},
        "cohere2": {},
        "qwen2": {"use_sliding_window": True},
    }
    model_type = draw(st.sampled_from(sorted(extra)))
    return model_type, keys | extra[model_type]


@settings(derandomize=True, deadline=None, max_examples=8)
@given(models())
def test_any_windows_heads_and_caps_are_decoded_as_generate_does(model):
    model_type, keys = model
    with tempfile.TemporaryDirectory() as folder:
        assert_as_generated(save_family(Path(folder), model_type, **keys))


def test_layers_that_share_the_keys_of_others_keep_none(tmp_path):
    model_type, keys = FAMILIES["Gemma 4"]
    assert_as_generated(save_family(tmp_path, model_type, **keys, num_kv_shared_layers=2))


@pytest.mark.parametrize(
    ("model_type", "keys", "said"),
    [
        ("qwen3_next", FAMILIES["Qwen3-Next"][1], "got 'qwen3_next' with LinearAttentionLayer"),
        (
            "llama4_text",
            {"attention_chunk_size": 8, "intermediate_size_mlp": 32, "num_local_experts": 2},
            "got 'llama4_text' with DynamicSlidingWindowLayer in chunks",
        ),
    ],
    ids=["linear", "chunked"],
)
def test_other_kinds_of_layers_are_refused(tmp_path, model_type, keys, said):
    folder = save_family(tmp_path, model_type, **keys)
    with pytest.raises(EngineError, match=f"a window of the last ones in every layer, {said}; the vllm engine"):
        TransformersEngine(model=str(folder), device="cpu").open()


def test_windows_take_less_of_the_bound_on_memory(tmp_path):
    model_type, keys = FAMILIES["Mistral 0.1"]
    longest = []
    for window in (8, None):
        folder = save_family(tmp_path / str(window), model_type, **keys | {"sliding_window": window})
        with TransformersEngine(model=str(folder), device="cpu", batch_size=8, kv_cache_mb=1, num_threads=1) as engine:
            decoder = engine._running.decoder
            longest.append(decoder._budget.tokens_per_row(8))
            engine.add(request_for("x" * 100, max_tokens=20))
            engine.step()
            assert decoder._cache.layers[0].keys.shape[2] == (64 if window else 128)
    # 1024 bytes a token: in blocks of 64, 9 shares of them all, or one and 8 rings
    assert longest == [512, 64]
