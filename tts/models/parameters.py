"""How many parameters of a model one token passes through: what its work in FLOPs follows from."""

from __future__ import annotations

import re
from typing import Any

from tts.models.pretrained import quiet

EXPERTS = re.compile(r"(^|\.)experts\.")
NUM_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")


def active_parameters(model: Any) -> int | None:
    """Return how many parameters of a loaded transformers model one token passes through.

    Of the table of input embeddings a token reads one row, so it counts only where it is the output layer, too. Of a
    mixture's experts as many count as are chosen; None where its configuration does not say how many that is.
    """
    output, table = model.get_output_embeddings(), model.get_input_embeddings()
    is_tied = output is not None and output.weight is table.weight
    config = model.config.get_text_config(decoder=True)
    num_always = num_in_experts = 0
    for name, weight in model.named_parameters():
        if EXPERTS.search(name):
            num_in_experts += weight.numel()
        elif weight is not table.weight or is_tied:
            num_always += weight.numel()
    if not num_in_experts:
        return num_always
    num_experts = next((getattr(config, name) for name in NUM_EXPERTS if getattr(config, name, None)), None)
    chosen = getattr(config, "num_experts_per_tok", None)
    return None if num_experts is None or chosen is None else num_always + num_in_experts * chosen // num_experts


def parameters_of(source: str, *, rewards: bool = False) -> int | None:
    """Return the same of the model in a folder or at a hub id, by its configuration alone; None where that fails.

    `rewards`: without the language model's head.
    """
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

    try:
        with quiet(), torch.device("meta"):
            config = AutoConfig.from_pretrained(source)
            return active_parameters((AutoModel if rewards else AutoModelForCausalLM).from_config(config))
    except (AttributeError, ImportError, KeyError, OSError, RuntimeError, TypeError, ValueError):
        return None  # a model that transformers does not know: its engine runs it all the same
