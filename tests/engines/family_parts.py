"""Families of models, each as a tiny one with random weights, in sizes that both engines take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers_parts import TEMPLATE, byte_tokenizer

WINDOW = 8
DENSE: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "max_position_embeddings": 512,
    "initializer_range": 0.2,
    "tie_word_embeddings": False,
}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
ROUTED = {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "n_shared_experts": 1}
LATENT = ROUTED | {
    "head_dim": 64,
    "num_key_value_heads": 2,
    "first_k_dense_replace": 1,
    "n_group": 1,
    "topk_group": 1,
    "kv_lora_rank": 512,
    "q_lora_rank": 32,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
}
TIED = {"tie_word_embeddings": True}
SLIDING = {"sliding_window": WINDOW, "layer_types": ["sliding_attention", "full_attention"] * 2}

FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "Qwen2.5": ("qwen2", {}),
    "Qwen3": ("qwen3", {}),
    "Qwen3-MoE": ("qwen3_moe", EXPERTS),
    "Qwen3-Next": ("qwen3_next", EXPERTS | {"shared_expert_intermediate_size": 32}),
    "Llama 3": ("llama", {}),
    "Mistral": ("mistral", {"sliding_window": None}),
    "Mistral 0.1": ("mistral", {"sliding_window": WINDOW}),
    "Mixtral": ("mixtral", {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": None}),
    "Phi-4": ("phi3", {"sliding_window": None, "partial_rotary_factor": 1.0}),
    "GLM-4": ("glm", {"partial_rotary_factor": 0.5}),
    "GLM-4-0414": ("glm4", {"partial_rotary_factor": 0.5}),
    "GLM-4.5 MoE": ("glm4_moe", ROUTED | {"n_group": 1, "topk_group": 1, "first_k_dense_replace": 1}),
    "SmolLM3": ("smollm3", {}),
    "OLMo 2": ("olmo2", {}),
    "Granite": ("granite", {"logits_scaling": 2.0, "attention_multiplier": 0.2}),
    "DeepSeek V2": ("deepseek_v2", LATENT),
    "DeepSeek V3": ("deepseek_v3", LATENT),
    "gpt-oss": ("gpt_oss", SLIDING | {"num_local_experts": 4, "num_experts_per_tok": 2}),
    "Gemma 2": (
        "gemma2",
        SLIDING | TIED | {"query_pre_attn_scalar": 32, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0},
    ),
    "Gemma 3": ("gemma3_text", SLIDING | TIED | {"query_pre_attn_scalar": 32}),
    "Gemma 4": ("gemma4_text", SLIDING | TIED | {"vocab_size_per_layer_input": 260, "hidden_size_per_layer_input": 16}),
    "Cohere 2": ("cohere2", SLIDING | TIED | {"logit_scale": 0.25}),
}
"""The model type and what it has beside `DENSE`."""


WINDOWED = ("Mistral 0.1", "gpt-oss", "Gemma 2", "Gemma 3", "Gemma 4", "Cohere 2")


def family(folder: Path, name: str) -> Path:
    """Put the tiny model of a family into `folder`."""
    model_type, keys = FAMILIES[name]
    return save_family(folder, model_type, **keys)


def save_family(folder: Path, model_type: str, **keys: Any) -> Path:
    """Put a tiny random model over bytes into `folder`, the same one for the same keys."""
    from transformers import AutoConfig, AutoModelForCausalLM, set_seed

    tokenizer = byte_tokenizer()
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    sizes = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.eos_token_id, **ends, **DENSE, **keys}
    config = AutoConfig.for_model(model_type, **sizes)
    set_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder
