"""A reward model in memory: its body, and the head that turns hidden states into values.

The head's weights are taken from the model's own file by their names, so that no code of the model's authors runs:
`score` (one linear layer, or two with a ReLU between, as Qwen's) and `v_head.summary` (TRL's value head, as Skywork's).
A file without them is refused; the library would make up random ones.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

from tts.engines.prompts import Prompts
from tts.engines.reward.formats import Reading, answer_tokens
from tts.engines.reward.keys import FormatName, RewardModelKeys
from tts.engines.transformers.loading import load_configuration, pick_device, pick_dtype
from tts.errors import EngineError
from tts.models.pretrained import quiet, readable_errors

HEADS: dict[FormatName, tuple[str, int]] = {
    "outcome": ("score.", 1),
    "qwen_prm": ("score.", 2),
    "skywork_prm": ("v_head.summary.", 1),
}
"""What the names of a head's weights begin with, and how many numbers it gives."""

Head = Callable[[torch.Tensor], torch.Tensor]
"""Hidden states `[num_places, width]`, float32 → values `[num_places]`."""


@dataclass(frozen=True, slots=True)
class RewardNet:
    """A model ready to read. `context` is how many tokens one text may have."""

    body: Any
    head: Head
    context: int
    padding: int | None

    @torch.inference_mode()  # type: ignore[untyped-decorator]  # torch is not type-checked
    def values(self, readings: Sequence[Reading]) -> list[tuple[float, ...]]:
        """Read texts together, padded on the right; return each one's values at its places."""
        width = max(len(reading.token_ids) for reading in readings)
        ids = torch.full((len(readings), width), self.padding or 0)
        mask = torch.zeros_like(ids)
        for row, reading in enumerate(readings):
            ids[row, : len(reading.token_ids)] = torch.tensor(reading.token_ids)
            mask[row, : len(reading.token_ids)] = 1
        device = self.body.device
        states = self.body(
            input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False
        ).last_hidden_state  # [num_readings, width, hidden]
        rows = [row for row, reading in enumerate(readings) for _ in reading.places]
        found = iter(self.head(states[rows, [place for one in readings for place in one.places]].float()).tolist())
        return [tuple(next(found) for _ in reading.places) for reading in readings]


def load(keys: RewardModelKeys, source: str, prompts: Prompts, device: str) -> RewardNet:
    """Load the model of a folder or hub id. Raises EngineError where it has not the head that its format takes."""
    from transformers import AutoModel, AutoModelForCausalLM

    where, config = pick_device(device), load_configuration(source)
    text_config = config.get_text_config(decoder=True)
    if config.is_encoder_decoder:
        raise EngineError(f"`model` must be a decoder-only model, got {source!r}, an encoder-decoder")
    by_words = keys.format not in HEADS
    tokens = answer_tokens(keys, prompts) if by_words else None
    head = None if by_words else _head(keys, source, where)
    with quiet(), readable_errors(source, "model"):
        model, loading = (AutoModelForCausalLM if by_words else AutoModel).from_pretrained(
            source,
            dtype=pick_dtype(keys.dtype, where, text_config.dtype),
            device_map={"": where},
            output_loading_info=True,
        )
    missing = sorted(loading["missing_keys"])
    if missing:
        raise EngineError(
            f"`model` must hold all weights that `format: {keys.format}` takes, got {source!r} without {missing[0]}"
            + (f" and {len(missing) - 1} others" if missing[1:] else "")
        )
    context = getattr(text_config, "max_position_embeddings", None)
    if context is None:
        raise EngineError(f"`model` must have a longest context in its configuration, got {config.model_type!r}")
    if keys.max_model_len is not None and keys.max_model_len > context:
        raise EngineError(f"`max_model_len` must be at most {context}, as the model allows, got {keys.max_model_len}")
    model.eval()
    return RewardNet(
        body=model.base_model if by_words else model,
        head=head or _by_words(model, text_config, tokens or (0, 0)),
        context=keys.max_model_len or context,
        padding=text_config.pad_token_id,
    )


def refuse_changed_logits(config: Any) -> None:
    """Raise EngineError where a language model does more to its logits than its last layer, which alone is read."""
    changes = {getattr(config, name, None) for name in ("logit_scale", "logits_scaling", "final_logit_softcapping")}
    if changes - {None, 1}:
        raise EngineError(f"`model` must have plain logits, got {config.model_type!r}, which scales or caps them")


def _by_words(model: Any, config: Any, tokens: tuple[int, int]) -> Head:
    """Return what gives the share of the first token among the two, as the language model's own head has it."""
    refuse_changed_logits(config)
    words = model.get_output_embeddings()
    weight = words.weight[list(tokens)].float()
    bias = 0.0 if words.bias is None else words.bias[list(tokens)].float()

    def head(states: torch.Tensor) -> torch.Tensor:
        return (states @ weight.T + bias).softmax(-1)[:, 0]

    return head


def layers_of_head(keys: RewardModelKeys, source: str) -> list[tuple[torch.Tensor, torch.Tensor | None]]:
    """Return weights and biases of the head in the model's file. Raises EngineError where it is not what it must be."""
    begins, wanted = HEADS[keys.format]
    layers: list[tuple[torch.Tensor, torch.Tensor | None]] = []
    tensors = sorted(_tensors(source, begins).items())
    for _, group in groupby(tensors, key=lambda one: one[0].rpartition(".")[0]):
        parts = {name.rpartition(".")[2]: tensor for name, tensor in group}
        layers.append((parts["weight"], parts.get("bias")))
    width = layers[-1][0].shape[0] if layers else 0
    if width != wanted or len(layers) > 2:
        got = f"one of {width}" if layers else f"none named `{begins}…`"
        raise EngineError(
            f"`model` must have a head of {wanted} number{'s' * (wanted > 1)} for `format: {keys.format}`, got {got} "
            f"in {source!r}; is it another format?"
        )
    return layers


def _head(keys: RewardModelKeys, source: str, where: torch.device) -> Head:
    """Return the head in the model's file, in float32."""
    found = layers_of_head(keys, source)
    layers = [(weight.to(where).float(), 0.0 if bias is None else bias.to(where).float()) for weight, bias in found]

    def head(states: torch.Tensor) -> torch.Tensor:
        for number, (weight, bias) in enumerate(layers):
            states = (states if number == 0 else states.relu()) @ weight.T + bias
        if HEADS[keys.format][1] == 2:
            return states.softmax(-1)[:, 1]
        return states[:, 0] if keys.activation == "none" else states[:, 0].sigmoid()

    return head


def _tensors(source: str, begins: str) -> dict[str, torch.Tensor]:
    """Return the weights whose names begin so, by what follows, read from the model's safetensors files."""
    from safetensors import safe_open
    from transformers.utils import cached_file

    def file(name: str) -> Path | None:
        with quiet(), readable_errors(source, "model"):
            found = cached_file(source, name, _raise_exceptions_for_missing_entries=False)
        return None if found is None else Path(found)

    index, names = file("model.safetensors.index.json"), {"model.safetensors"}
    if index is not None:
        placed = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        names = {part for tensor, part in placed.items() if tensor.startswith(begins)}
    tensors: dict[str, torch.Tensor] = {}
    for name in sorted(names):
        path = file(name)
        if path is None:
            raise EngineError(f"`model` must hold its weights as safetensors files, got {source!r} without {name}")
        with safe_open(path, framework="pt") as part:
            held = part.keys()
            tensors |= {key.removeprefix(begins): part.get_tensor(key) for key in held if key.startswith(begins)}
    return tensors
