"""Makes sure, before any work, that a model can be decoded row by row at all, and finds out how exactly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from tts.engines.transformers.decoder import next_logits, prefill
from tts.engines.transformers.kv_cache import BLOCK, KVBudget, LayerMemory, RowCache, rounded_up
from tts.errors import EngineError

LENGTHS = (9, 5)
LONGEST_WINDOW = 256
"""A window of up to so many tokens is looked at from beyond its end; a longer one would take too long."""

ENOUGH_LAYERS = 24  # so many are looked at before a model is said to give a row the same bits in every place
TOLERANCE = 0.25
"""Mean difference of log-probabilities, in nats: bfloat16 rounds to well below it, a wrong mask goes far beyond."""


@torch.inference_mode()  # type: ignore[untyped-decorator]  # torch is not type-checked
def check_decoding(model: Any, layers: Sequence[LayerMemory]) -> None:
    """Compare rows of different lengths, decoded together, with plain passes; raise EngineError where they differ.

    A model that ignores the positions or the mask that it is given would otherwise write nonsense without an error.
    """
    config = model.config.get_text_config(decoder=True)
    windows = [layer.window for layer in layers if layer.window is not None and layer.window <= LONGEST_WINDOW]
    beyond = min(max([LENGTHS[0], *(window + 3 for window in windows)]), config.max_position_embeddings)
    texts = [tuple(token % config.vocab_size for token in range(1, 1 + n)) for n in (beyond, *LENGTHS[1:])]
    cache = RowCache(layers, len(texts), rounded_up(beyond))
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


@torch.inference_mode()  # type: ignore[untyped-decorator]  # torch is not type-checked
def has_same_bits(model: Any, layers: Sequence[LayerMemory], budget: KVBudget, context: int) -> bool:
    """Tell whether a row's logits are the same bit for bit in every place, whatever the other rows are.

    Steps of the whole model: as many rows as are ever decoded together, the same backwards beside one that is a block
    longer, every second of them among others, and as few as there ever are; of a model of few layers several times with
    other tokens, since a layer shows a difference by chance. Only a CPU is trusted to repeat what it did.
    """
    if model.device.type != "cpu":
        return False
    config = model.config.get_text_config(decoder=True)
    start, *sizes = LENGTHS[0], *budget.sizes(context - 1)
    prompt = prefill(model, tuple(range(1, start)))
    long = BLOCK if min(budget.tokens_per_row(sizes[0]), context) > BLOCK else start - 1
    for turn in range(max(1, ENOUGH_LAYERS // config.num_hidden_layers)):
        tokens = [(turn * sizes[0] + row) % config.vocab_size for row in range(sizes[0])]
        beside = [token if place % 2 else (token + 1) % config.vocab_size for place, token in enumerate(tokens)]
        chosen = (tokens, tokens[::-1], beside, *([tokens[: sizes[-1]]] if len(sizes) > 1 else []))
        steps = [[(token, start - 1) for token in some] for some in chosen]
        steps[1][-1] = (0, long)
        seen: list[dict[int, torch.Tensor]] = []
        for inputs in steps:
            cache = RowCache(layers, len(inputs), 2 * BLOCK)
            for row in range(len(inputs)):
                cache.put(row, prompt)
            logits = next_logits(model, cache, inputs)
            seen.append({token: row for (token, at), row in zip(inputs, logits, strict=True) if at < BLOCK})
        first, *later = seen
        if not all(torch.equal(first[token], row) for one in later for token, row in one.items() if token in first):
            return False
    return True
