"""Loads a model and its tokenizer, and refuses what the decoding loop would compute wrongly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tts.errors import EngineError
from tts.models.parameters import active_parameters
from tts.models.pretrained import cpu_multiplies_bfloat16, quiet, readable_errors


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready to decode, the tokens it allows in one row, the token ids it may draw (those below `vocabulary`).

    `one_token` holds the keys and values of a single token, per layer: the shapes and types of all later ones. A token
    passes through `num_parameters` of the model; None: nobody knows.
    """

    model: Any
    context: int
    vocabulary: int
    one_token: list[tuple[Any, Any]]
    num_parameters: int | None = None

    @property
    def bytes_per_token(self) -> int:
        """The memory of one token's keys and values."""
        return sum(part.numel() * part.element_size() for layer in self.one_token for part in layer)


def load_model(source: str, tokenizer: Any, device: str, dtype: str) -> Loaded:
    """Return the model of a folder or hub id on its device, checked for what the decoding loop supports."""
    import torch

    where = pick_device(device)
    model = _read(source, where, dtype)
    num_parameters = active_parameters(model)
    one_token = probe(model)
    if where.type == "cpu" and model.dtype == torch.float32:
        from tts.engines.transformers.row_attention import use_row_attention
        from tts.engines.transformers.skinny_linear import make_skinny

        make_skinny(model)
        use_row_attention(model)
    config = model.config.get_text_config(decoder=True)
    vocabulary = min(
        config.vocab_size, max(tokenizer.get_vocab().values()) + 1
    )  # ids beyond the tokenizer's are padding
    return Loaded(model.eval(), config.max_position_embeddings, vocabulary, one_token, num_parameters)


def load_configuration(source: str) -> Any:
    """Return the configuration of a folder or hub id."""
    from transformers import AutoConfig

    with quiet(), readable_errors(source, "model"):
        return AutoConfig.from_pretrained(source)


def _read(source: str, device: Any, dtype: str) -> Any:
    from transformers import AutoModelForCausalLM

    config = load_configuration(source)
    with quiet(), readable_errors(source, "model"):
        if config.is_encoder_decoder:
            raise EngineError(f"`model` must be a decoder-only language model, got {source!r}, an encoder-decoder")
        picked = pick_dtype(dtype, device, config.get_text_config(decoder=True).dtype)
        return AutoModelForCausalLM.from_pretrained(source, dtype=picked, device_map={"": device})


def pick_device(device: str) -> Any:
    """Return the torch device; `auto` is the first GPU, else the CPU. Raises EngineError where it is not there."""
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    picked = torch.device(device)
    num_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if picked.type == "cuda" and (picked.index or 0) >= num_gpus:
        raise EngineError(f"`device` must be a GPU that is there, got {device!r} with {num_gpus} at hand; try `auto`")
    if picked.type == "mps" and not torch.backends.mps.is_available():
        raise EngineError("`device` must be one that is there, got 'mps' on a machine without it; try `auto`")
    return picked


def pick_dtype(dtype: str, device: Any, stored: Any) -> Any:
    """Return the torch dtype; `auto` is the stored one, but float32 on a CPU that does not multiply bfloat16 itself.

    Without such instructions bfloat16 is emulated: slower than float32 from a few rows on.
    """
    import torch

    if dtype != "auto":
        return getattr(torch, dtype)
    stored = stored or torch.float32
    if device.type == "cpu" and not (stored == torch.bfloat16 and cpu_multiplies_bfloat16()):
        return torch.float32
    return stored


def probe(model: Any) -> list[tuple[Any, Any]]:
    """Return the keys and values of one token; raise EngineError for a model that keeps other state than those.

    A sliding window is fine where it is as long as the context, since it then never slides.
    """
    import torch
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

    context = getattr(model.config.get_text_config(decoder=True), "max_position_embeddings", None)
    if context is None:
        raise EngineError(f"`model` must have a longest context in its configuration, got {model.config.model_type!r}")
    for layer in DynamicCache(config=model.config).layers:
        slides = type(layer) is DynamicSlidingWindowLayer and layer.sliding_window < context
        if slides or type(layer) not in (DynamicLayer, DynamicSlidingWindowLayer):
            raise EngineError(
                f"`model` must have full attention in every layer, got {model.config.model_type!r} with "
                f"{type(layer).__name__}; the vllm engine runs such models"
            )
    cache = DynamicCache()
    try:
        with torch.inference_mode():
            model.base_model(input_ids=torch.tensor([[0]], device=model.device), past_key_values=cache, use_cache=True)
    except (TypeError, ValueError) as error:  # what a model that wants other inputs, or keeps another cache, raises
        raise EngineError(
            f"`model` must keep keys and values in transformers' own cache, got {model.config.model_type!r}: {error}"
        ) from error
    return [(layer.keys, layer.values) for layer in cache.layers]
