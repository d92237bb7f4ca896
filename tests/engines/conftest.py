"""A tiny random model with a byte tokenizer, and the small real one."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers_parts import SMOLLM2, save_random_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random 2-layer Llama over bytes; `<think>` is a special token, the context has 256 tokens."""
    pytest.importorskip("torch", reason="needs the hf extra")
    from transformers import LlamaConfig

    folder = tmp_path_factory.mktemp("tiny")
    save_random_model(
        folder,
        LlamaConfig,
        num_padding_ids=4,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        initializer_range=0.4,
    )
    return folder


@pytest.fixture(scope="session")
def smollm2() -> str:
    """The recipe key of the real model, or a skip that says how to get it."""
    pytest.importorskip("torch", reason="needs the hf extra")
    pytest.importorskip("gguf", reason="needs the hf extra")
    from tts.errors import EngineError
    from tts.models.locate import locate

    try:
        locate(SMOLLM2)
    except EngineError as error:
        pytest.skip(str(error))
    return SMOLLM2
