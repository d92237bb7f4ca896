"""What cannot be right with ESamp inside vLLM is refused, before the model loads, with what to do instead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tts.engines.vllm.options import WorkerOptions
from tts.errors import EngineError
from tts.plugins.esamp.settings import ESampSettings

PARALLELISM = (
    ("data_parallel_size", 1, "the requests of a group must be in one engine"),
    ("enable_batch_sharded_sampling", False, "each process must have the logits of all requests"),
    ("enable_dbo", False, "a step must not be cut in two"),
    ("ubatch_size", 0, "a step must not be cut in two"),
    ("prefill_context_parallel_size", 1, "a request's hidden states must be in one process"),
    ("decode_context_parallel_size", 1, "a request's hidden states must be in one process"),
)
"""vLLM's keys of `parallel_config` that must stay as they are without being set, and why."""


def refuse_unsupported(vllm_config: Any, options: WorkerOptions) -> None:
    """Raise EngineError where this engine cannot host what the options ask for."""
    if options.esamp is not None:
        for reason in _reasons(vllm_config, options.esamp):
            raise EngineError(f"esamp cannot run in this vLLM engine: {reason}")
    if options.override is not None:
        for reason in _reasons_against_override(vllm_config):
            raise EngineError(f"override cannot run in this vLLM engine: {reason}")
    if options.measures and getattr(vllm_config.parallel_config, "enable_batch_sharded_sampling", None):
        raise EngineError(
            "self-certainty and confidence need the logits of all requests in one process. Leave "
            "`enable_batch_sharded_sampling` out of `engine_args`, or set `record_self_certainty: false`"
        )
    if options.measures and vllm_config.speculative_config is not None:
        raise EngineError(
            "self-certainty and confidence are not measured where tokens are drafted. Leave `speculative_config` out "
            "of `engine_args`, or `confidence_window` and a server's `self_certainty`"
        )


def _reasons(vllm_config: Any, esamp: ESampSettings) -> Iterator[str]:
    model, parallel = vllm_config.model_config, vllm_config.parallel_config
    if model.runner_type != "generate":
        yield f"the model must generate text, got the runner {model.runner_type!r}"
    if vllm_config.speculative_config is not None:
        yield "speculative decoding draws tokens that it never sees. Leave `speculative_config` out"
    if parallel.pipeline_parallel_size > 1:
        yield (
            "the first and the last layer must be in one process, got pipeline_parallel_size "
            f"{parallel.pipeline_parallel_size}. Use tensor_parallel_size instead"
        )
    yield from _reasons_in_how_it_runs(vllm_config, esamp)
    if parallel.tensor_parallel_size > 1 and esamp.control == "vocabulary":
        yield (
            "`control: vocabulary` needs the head's whole weight in one process, got tensor_parallel_size "
            f"{parallel.tensor_parallel_size}. Set it to 1, or leave `control` out"
        )
    if getattr(model.hf_text_config, "final_logit_softcapping", None):
        for name, asked in (("control: vocabulary", esamp.control == "vocabulary"), ("target_kl", esamp.target_kl)):
            if asked:
                yield (
                    f"`{name}` does not follow logits that are capped (`final_logit_softcapping`). Leave it out, or "
                    "use another model"
                )
    num_layers = model.hf_text_config.num_hidden_layers
    if esamp.layer >= num_layers:
        yield f"`layer` must be below {num_layers}, the model's number of layers, got {esamp.layer}"
    if not has_auxiliary_states(model) and not model.enforce_eager:
        yield (
            f"{model.architectures[0]} does not hand out the first layer's states when it is compiled. Set "
            "`enforce_eager: true`, or `model_impl: transformers` in `engine_args`"
        )


def _reasons_against_override(vllm_config: Any) -> Iterator[str]:
    parallel = vllm_config.parallel_config
    if vllm_config.speculative_config is not None:
        yield "speculative decoding draws tokens that it never sees. Leave `speculative_config` out"
    for name in ("tensor_parallel_size", "pipeline_parallel_size"):
        if (given := getattr(parallel, name)) > 1:
            yield f"its heads need hidden states and all logits in one process, got {name} {given}. Set it to 1"
    for name, neutral, why in PARALLELISM:
        if (given := getattr(parallel, name, neutral)) not in (neutral, None):
            yield f"{why}, got {name} {given}. Leave `{name}` out"


def _reasons_in_how_it_runs(vllm_config: Any, esamp: ESampSettings) -> Iterator[str]:
    if esamp.target_kl is not None and runs_ahead(vllm_config):
        yield (
            "`target_kl` is held in vLLM's first model runner only. Set VLLM_USE_V2_MODEL_RUNNER=0 in the environment, "
            "or leave it out"
        )
    if getattr(vllm_config.model_config, "enable_sleep_mode", False):
        yield "an engine that sleeps forgets its distillers. Leave `enable_sleep_mode` out"
    for name, neutral, why in PARALLELISM:
        if (given := getattr(vllm_config.parallel_config, name, neutral)) not in (neutral, None):
            yield f"{why}, got {name} {given}. Leave `{name}` out"


def runs_ahead(vllm_config: Any) -> bool:
    """Tell whether the model will run in vLLM's second runner, in which ESamp may be scheduled ahead of its device."""
    return bool(getattr(vllm_config, "use_v2_model_runner", False))


def has_auxiliary_states(model_config: Any) -> bool:
    """Tell whether the model's architecture can hand out a layer's states as an output."""
    from vllm.model_executor.models.interfaces import supports_eagle3

    model_class, _ = model_config.registry.resolve_model_cls(model_config.architectures, model_config)
    return bool(supports_eagle3(model_class))
