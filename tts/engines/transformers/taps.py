"""Where ESamp reaches into a model of transformers: after one of its layers, and before its head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from tts.errors import EngineError

PROBE = tuple(range(1, 9))
"""The tokens that show how the head's output becomes logits."""

Mix = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(h¹ `[num_rows, d]`, h^L `[num_rows, d]`) → what the head gets instead of h^L."""


class Taps:
    """Hooks on a model: every pass that ends in the head shows h¹ and h^L to `mix`, and goes on with what it returns.

    `layer` counts from 1. Raises EngineError where the model's layers or its head cannot be told.
    """

    def __init__(self, model: Any, layer: int, mix: Mix) -> None:
        self._h_first: torch.Tensor | None = None
        self._mix = mix
        self._hooks = [
            decoder_layers(model)[layer - 1].register_forward_hook(self._after_layer),
            head_of(model).register_forward_pre_hook(self._before_head),
        ]

    def remove(self) -> None:
        """Take the hooks off."""
        for hook in self._hooks:
            hook.remove()

    def _after_layer(self, _layer: nn.Module, _inputs: Any, output: Any) -> None:
        hidden = output[0] if isinstance(output, tuple) else output
        self._h_first = hidden[:, -1].clone()  # a later layer might write to it

    def _before_head(self, _head: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        assert self._h_first is not None
        return (self._mix(self._h_first, inputs[0][:, -1]).unsqueeze(1), *inputs[1:])


@dataclass(frozen=True, slots=True)
class Head:
    """A model's head as a function of h^L: logits = `scale` · module(h^L), `d` being the size of h^L.

    With a `cap` these are z, and the logits cap · tanh(z / cap), so that mixing before the head is not mixing after it.
    """

    module: Any
    scale: float
    d: int
    cap: float | None = None

    @classmethod
    @torch.inference_mode()  # type: ignore[untyped-decorator]  # torch is not type-checked
    def of(cls, model: Any, vocabulary: int) -> Head:
        """Find out by a short pass how `model` turns h^L into logits.

        Raises EngineError where that is not linear, but for the cap that the configuration names.
        """
        module, seen = head_of(model), list[torch.Tensor]()
        hook = module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        logits = model(input_ids=torch.tensor([PROBE], device=model.device) % vocabulary).logits.float()
        hook.remove()
        if len(seen) != 1 or seen[0].shape[:-1] != logits.shape[:-1]:
            raise unfit(model, "whose head is not called once for all tokens")
        plain = module.forward(seen[0]).float()
        cap = getattr(model.config.get_text_config(decoder=True), "final_logit_softcapping", None)
        scale = 1.0 if cap is not None else ((plain * logits).sum() / plain.square().sum()).item()
        if not (logits - capped(scale * plain, cap)).abs().max() < 0.01 * logits.abs().max():
            raise unfit(model, "whose logits are not linear in the last hidden state, or not capped as it says")
        return cls(module, 1.0 if abs(scale - 1) < 1e-3 else scale, seen[0].shape[-1], cap)

    def logits(self, h_last: torch.Tensor) -> torch.Tensor:
        """Return the logits `[num_rows, logits]`, float32, of h^L `[num_rows, d]`, computed as a decoding pass does."""
        logits = self.module.forward(h_last.unsqueeze(1))[:, -1].float()  # past the hooks
        return capped(logits if self.scale == 1 else logits * self.scale, self.cap)

    def weight(self, vocabulary: int) -> torch.Tensor:
        """Return W `[vocabulary, d]` with W h^L = logits, but for a bias and a cap."""
        weight = self.module.weight.detach()[:vocabulary]
        return weight if self.scale == 1 else weight * self.scale


def capped(logits: torch.Tensor, cap: float | None) -> torch.Tensor:
    """Return cap · tanh(logits / cap), or the logits themselves where there is no cap."""
    return logits if cap is None else torch.tanh(logits / cap) * cap


def decoder_layers(model: Any) -> nn.ModuleList:
    """Return the list of the model's layers: the one list, in no other such list, that has as many modules."""
    wanted = model.config.get_text_config(decoder=True).num_hidden_layers
    named = dict(model.base_model.named_modules())
    lists = {name: part for name, part in named.items() if isinstance(part, nn.ModuleList) and len(part) == wanted}
    outermost = [part for name, part in lists.items() if not any(name.startswith(f"{other}.") for other in lists)]
    if len(outermost) != 1:
        raise unfit(model, f"in which {len(outermost)} lists have {wanted} modules")
    return outermost[0]


def head_of(model: Any) -> nn.Module:
    """Return the module that turns hidden states into logits."""
    head = model.get_output_embeddings()
    if head is None:
        raise unfit(model, "which names no output embeddings")
    return head


def check_configuration(config: Any, layer: int) -> None:
    """Raise EngineError where a model's configuration shows that ESamp cannot work in it."""
    text = config.get_text_config(decoder=True)
    if layer > text.num_hidden_layers:
        raise EngineError(
            f"`sampler.layer` must be at most {text.num_hidden_layers}, the model's number of layers, got {layer}"
        )


def unfit(model: Any, why: str) -> EngineError:
    """Return the error for a model that ESamp cannot reach into."""
    return EngineError(
        f"`model` must have plain layers and a linear head for esamp, got {model.config.model_type!r}, {why}. Use "
        "another model, or another sampler"
    )
