"""Makes sure, before any work, that a model can be decoded row by row at all."""

from __future__ import annotations

from typing import Any

import torch

from tts.engines.transformers.decoder import next_logits, prefill
from tts.engines.transformers.kv_cache import BLOCK, Prefix, RowCache
from tts.errors import EngineError

LENGTHS = (9, 5)
TOLERANCE = 0.25
"""Mean difference of log-probabilities, in nats: bfloat16 rounds to well below it, a wrong mask goes far beyond."""


@torch.inference_mode()  # type: ignore[untyped-decorator]  # torch is not type-checked
def check_decoding(model: Any, one_token: Prefix) -> None:
    """Compare rows of different lengths, decoded together, with plain passes; raise EngineError where they differ.

    A model that ignores the positions or the mask that it is given would otherwise write nonsense without an error.
    """
    texts = [tuple(range(1, 1 + length)) for length in LENGTHS]
    cache = RowCache(one_token, len(texts), BLOCK)
    for row, ids in enumerate(texts):
        cache.put(row, prefill(model, ids[:-1]))
    decoded = next_logits(model, cache, [(ids[-1], len(ids) - 1) for ids in texts]).log_softmax(-1)
    for row, ids in enumerate(texts):
        plain = model(input_ids=torch.tensor([ids], device=model.device)).logits[0, -1].float().log_softmax(-1)
        difference = (plain - decoded[row]).abs().mean().item()
        if not difference < TOLERANCE:  # also where it is NaN
            raise EngineError(
                f"`model` must compute rows of different lengths together, got {model.config.model_type!r}, whose "
                f"log-probabilities then change by {difference:.2g} nats; the vllm engine may run it"
            )
