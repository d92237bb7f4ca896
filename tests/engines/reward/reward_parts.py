"""Tiny reward models in the public layouts, and the plain forward passes of their authors' examples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers_parts import TEMPLATE, byte_tokenizer

from tts.types import Message, RewardRequest

ASK = (Message("system", "Be brief."), Message("user", "What is 3 + 7?"))
STEPS = ("First, three.\n\n", "Then seven more.\n\n", "So ten")
SIZES = {
    "hidden_size": 128, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "max_position_embeddings": 512, "initializer_range": 0.2,
}  # fmt: skip


def save_tokenizer(folder: Path, template: str = TEMPLATE) -> Any:
    tokenizer = byte_tokenizer()
    tokenizer.add_tokens(["ки"])
    tokenizer.add_special_tokens({"additional_special_tokens": ["<extra_0>"], "pad_token": "<pad>"})
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    return tokenizer


def config_of(tokenizer: Any, **keys: Any) -> Any:
    from transformers import Qwen2Config

    ids = {f"{one}_token_id": getattr(tokenizer, f"{one}_token_id") for one in ("bos", "eos", "pad")}
    return Qwen2Config(vocab_size=len(tokenizer), **{**SIZES, **ids, **keys})


def save_words(folder: Path, template: str = TEMPLATE) -> Any:
    """A causal language model: + and - are words."""
    from transformers import Qwen2ForCausalLM, set_seed

    tokenizer = save_tokenizer(folder, template)
    set_seed(1)
    model = Qwen2ForCausalLM(config_of(tokenizer)).eval()
    model.save_pretrained(folder)
    return tokenizer, model


def save_outcome(folder: Path, num_labels: int = 1) -> Any:
    """A sequence classifier, as the library itself builds it."""
    from transformers import Qwen2ForSequenceClassification, set_seed

    tokenizer = save_tokenizer(folder)
    set_seed(2)
    model = Qwen2ForSequenceClassification(config_of(tokenizer, num_labels=num_labels)).eval()
    model.save_pretrained(folder)
    return tokenizer, model


def save_with_head(folder: Path, head: Any, name: str, architecture: str, *, begins: str = "model.") -> Any:
    """A body and a head in one file, under the names that the model's authors gave them."""
    from safetensors.torch import save_file
    from transformers import Qwen2Model, set_seed

    tokenizer = save_tokenizer(folder)
    set_seed(3)
    config = config_of(tokenizer, architectures=[architecture])
    body = Qwen2Model(config).eval()
    config.save_pretrained(folder)
    parts = {f"{begins}{key}": value for key, value in body.state_dict().items()}
    parts |= {f"{name}.{key}": value for key, value in head.state_dict().items()}
    save_file({key: value.contiguous() for key, value in parts.items()}, folder / "model.safetensors", {"format": "pt"})
    return tokenizer, body


def qwen_head() -> Any:
    from torch import nn
    from transformers import set_seed

    set_seed(4)
    return nn.Sequential(nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 2))


def request(*steps: str, key: str = "0") -> RewardRequest:
    return RewardRequest("p", key, ASK, steps)


def rated(engine: Any, *requests: RewardRequest) -> list[Any]:
    for one in requests:
        engine.add(one)
    found: dict[str, Any] = {}
    while len(found) < len(requests):
        found |= {one.key: one for one in engine.step()}
    assert engine.step() == []
    return [found[one.key] for one in requests]
