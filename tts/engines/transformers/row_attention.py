"""The attention of a decoding step on a CPU in float32: one new token a row, the same bits in whatever place it is.

torch's own kernel for it gives each thread a part of one buffer. Where that part does not begin at a multiple of 64
bytes, which depends on the model's sizes, BLAS sums in another order, so that the last bits of a row depend on which
thread computes it. Products of whole batches have no such buffers, and take about as long.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "tts_row_attention"


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Return what transformers' `sdpa` returns: `[num_rows, num_tokens, heads, dim]`, given the keys of all tokens.

    `query` is `[num_rows, heads, num_tokens, dim]`, `key` and `value` are `[num_rows, key heads, length, dim]`; the
    mask is what is added to the scores. Prompts, and what has a bias of its own, are left to that function.
    """
    num_rows, num_heads, num_tokens, dim = query.shape
    if (
        num_tokens > 1
        or attention_mask is None
        or any(others.get(name) is not None for name in ("softcap", "position_bias"))
    ):
        attended, _ = sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **others)
        return attended, None
    num_key_heads, length = key.shape[1:3]
    batch, group = num_rows * num_key_heads, num_heads // num_key_heads
    scaled = query * (dim**-0.5 if scaling is None else scaling)
    scores = torch.bmm(scaled.reshape(batch, group, dim), key.reshape(batch, length, dim).transpose(1, 2))
    scores = scores.view(num_rows, num_key_heads, group, length).add_(attention_mask)
    weights = scores.softmax(-1).view(batch, group, length)
    attended = torch.bmm(weights, value.reshape(batch, length, value.shape[-1]))
    return attended.view(num_rows, 1, num_heads, value.shape[-1]), None


def use_row_attention(model: Any) -> None:
    """Let `model` attend so, where it would use torch's kernel."""
    if model.config._attn_implementation == "sdpa":
        AttentionInterface.register(NAME, attend)
        AttentionMaskInterface.register(NAME, sdpa_mask)
        model.set_attn_implementation(NAME)
