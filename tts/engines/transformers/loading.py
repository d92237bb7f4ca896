"""Loads a model and its tokenizer, and refuses what the decoding loop would compute wrongly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tts.errors import EngineError
from tts.models.parameters import active_parameters
from tts.models.pretrained import cpu_multiplies_bfloat16, quiet, readable_errors

if TYPE_CHECKING:
    from tts.engines.transformers.kv_cache import LayerMemory


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready to decode, the tokens it allows in one row, the token ids it may draw (those below `vocabulary`).

    `layers` says what each layer keeps of a token. A token passes through `num_parameters` of the model; None: nobody
    knows.
    """

    model: Any
    context: int
    vocabulary: int
    layers: list[LayerMemory]
    num_parameters: int | None = None


def load_model(source: str, tokenizer: Any, device: str, dtype: str) -> Loaded:
    """Return the model of a folder or hub id on its device, checked for what the decoding loop supports."""
    import torch

    where = pick_device(device)
    model = _read(source, where, dtype)
    num_parameters = active_parameters(model)
    layers = probe(model)
    if where.type == "cpu" and model.dtype == torch.float32:
        from tts.engines.transformers.row_attention import use_row_attention
        from tts.engines.transformers.skinny_linear import make_skinny

        make_skinny(model)
        use_row_attention(model)
    config = model.config.get_text_config(decoder=True)
    vocabulary = min(
        config.vocab_size, max(tokenizer.get_vocab().values()) + 1
    )  # ids beyond the tokenizer's are padding
    return Loaded(model.eval(), config.max_position_embeddings, vocabulary, layers, num_parameters)


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


def probe(model: Any) -> list[LayerMemory]:
    """Return what each layer keeps of a token; raise EngineError for a model that keeps other state than that."""
    import torch
    from transformers import DynamicCache

    from tts.engines.transformers.kv_cache import LayerMemory

    config = model.config.get_text_config(decoder=True)
    context = getattr(config, "max_position_embeddings", None)
    if context is None:
        raise EngineError(f"`model` must have a longest context in its configuration, got {model.config.model_type!r}")
    cache = DynamicCache(config=model.config)
    windows = windows_of(model, cache.layers, context)
    try:
        with torch.inference_mode():
            model.base_model(input_ids=torch.tensor([[0]], device=model.device), past_key_values=cache, use_cache=True)
    except (TypeError, ValueError) as error:  # what a model that wants other inputs, or keeps another cache, raises
        raise EngineError(
            f"`model` must keep keys and values in transformers' own cache, got {model.config.model_type!r}: {error}"
        ) from error
    # What is asked for by name has a mask for each kind of layer.
    kinds = getattr(config, "layer_types", None) or [None] * len(cache.layers)
    memories = [
        LayerMemory(layer.keys, layer.values, window, kind)
        for layer, window, kind in zip(cache.layers, windows, kinds, strict=False)
    ]
    if len({(memory.kind, memory.window) for memory in memories}) > len({memory.kind for memory in memories}):
        raise EngineError(
            f"`model` must have windows of one size in layers of one kind, got {model.config.model_type!r} with "
            f"{sorted({str(memory.window) for memory in memories})}; the vllm engine may run it"
        )
    return memories


def windows_of(model: Any, layers: Sequence[Any], context: int) -> list[int | None]:
    """Return at how many of the last tokens each layer of transformers' cache looks, None: at all of them.

    A window as long as the context is none, since it never slides. Layers at the end that use the keys and values of
    earlier ones are left out. Raises EngineError where a layer keeps other state.
    """
    from transformers import cache_utils

    own = [layer for layer in layers if type(layer) is not getattr(cache_utils, "DummyLayer", None)]
    chunked = getattr(model.config.get_text_config(decoder=True), "attention_chunk_size", None) is not None
    windows = []
    for layer, in_place in zip(own, layers, strict=False):
        window = getattr(layer, "sliding_window", None)
        slides = window is not None and window < context
        known = type(layer) in (cache_utils.DynamicLayer, cache_utils.DynamicSlidingWindowLayer)
        if not known or layer is not in_place or (slides and chunked):
            found = f"{type(in_place).__name__}{' in chunks' if chunked else ''}"
            raise EngineError(
                "`model` must attend to all tokens or to a window of the last ones in every layer, got "
                f"{model.config.model_type!r} with {found}; the vllm engine runs such models"
            )
        windows.append(window if slides else None)
    return windows
