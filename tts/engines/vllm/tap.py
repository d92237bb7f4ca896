"""Where the first layer's hidden states come from, and whether a model has them at all."""

from __future__ import annotations

from typing import Any

import torch

from tts.engines.vllm.options import WorkerOptions


class Tap:
    """Takes h¹ out of vLLM's model.

    As an output of the model, compiled and captured with it, where the architecture offers that (it does so for
    speculative decoding); else by a hook on the layer, which works only where nothing is compiled. Without ESamp it
    takes nothing.
    """

    def __init__(self, options: WorkerOptions, *, is_output: bool) -> None:
        self.options = options
        self.is_output = is_output and options.esamp is not None
        self._hooked: torch.Tensor | None = None

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers whose output is wanted, counted from 1."""
        return () if self.options.esamp is None else (self.options.esamp.layer,)

    def attach(self, runner: Any) -> None:
        """Put the hook on a runner's model, where one is needed."""
        if self.options.esamp is not None and not self.is_output:
            layers = decoder_layers(runner.get_model(), runner.model_config.hf_text_config.num_hidden_layers)
            layers[self.options.esamp.layer - 1].register_forward_hook(self._take)

    def _take(self, module: torch.nn.Module, args: Any, output: Any) -> None:  # noqa: ARG002  # a hook's arguments
        hidden, residual = output if isinstance(output, tuple) else (output, None)
        self._hooked = hidden.clone() if residual is None else hidden + residual

    def split(self, output: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Return h^L and h¹ `[num_tokens, d]` of the model's output."""
        h_last, auxiliary = output if self.is_output else (output, None)
        h_first = self.first_layer(auxiliary)
        assert h_first is not None
        return h_last, h_first

    def first_layer(self, auxiliary: Any) -> torch.Tensor | None:
        """Return h¹, where `auxiliary` are the model's auxiliary outputs, if it has any."""
        return auxiliary[0] if self.is_output else self._hooked

    def caps(self, runner: Any) -> bool:
        """Tell whether the runner's model caps its logits, and ESamp must mix them behind that."""
        cap = getattr(runner.model_config.hf_text_config, "final_logit_softcapping", None)
        return self.options.esamp is not None and bool(cap)

    def plugin_arguments(self, runner: Any) -> dict[str, Any]:
        """Return what the plugin for a runner whose model is loaded must be told."""
        model = runner.get_model()
        esamp = self.options.esamp
        head = model.lm_head.weight if esamp is not None and esamp.control == "vocabulary" else None
        return {
            "options": self.options,
            "project": model.compute_logits,
            "hidden_size": runner.model_config.get_hidden_size(),
            "max_rows": runner.max_num_reqs,
            "device": runner.device,
            "head": head,
            "drafts": runner.vllm_config.speculative_config is not None,
            "vocabulary": runner.model_config.get_vocab_size(),
        }


def decoder_layers(model: torch.nn.Module, num_layers: int) -> torch.nn.ModuleList:
    """Return the model's stack of layers. Raises ValueError where it cannot be told from others."""
    lists = [module for module in model.modules() if isinstance(module, torch.nn.ModuleList)]
    stacks = [module for module in lists if len(module) == num_layers]
    if len(stacks) != 1:
        raise ValueError(
            f"esamp cannot tell which layers of {type(model).__name__} are the decoder's: {len(stacks)} lists of its "
            f"modules have {num_layers} members"
        )
    return stacks[0]
