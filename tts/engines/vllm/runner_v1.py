"""vLLM's first model runner: on CPUs, and on GPUs with VLLM_USE_V2_MODEL_RUNNER=0.

The mix-ins stand in front of the runner's and the sampler's class; all that they override exists with the same names
and arguments in vLLM 0.24 to 0.33.
"""

from __future__ import annotations

from typing import Any

import torch

from tts.engines.vllm.capped import CappedWorkerPlugin
from tts.engines.vllm.mixin import Base, put_in_front
from tts.engines.vllm.tap import Tap
from tts.engines.vllm.worker_plugin import Step, WorkerPlugin
from tts.plugins.esamp.core import StepRow


class RunnerV1Mixin(Base):  # type: ignore[misc]  # vLLM's class is known only while it runs
    """Hands the plugin the requests, the hidden states and the logits of each step."""

    worker_plugin: WorkerPlugin
    tap: Tap
    _logits_indices: torch.Tensor | None = None

    def _get_eagle3_aux_layers_from_config(self) -> tuple[int, ...]:
        return self.tap.layers

    def load_model(self, *args: Any, **kwargs: Any) -> None:
        """Load, then make the plugin: its memory must be taken before vLLM measures how much is left."""
        self.use_aux_hidden_state_outputs = self.tap.is_output
        super().load_model(*args, **kwargs)
        self.tap.attach(self)
        plugin = CappedWorkerPlugin if self.tap.caps(self) else WorkerPlugin
        self.worker_plugin = plugin(**self.tap.plugin_arguments(self))
        put_in_front(self.sampler, SamplerV1Mixin, worker_plugin=self.worker_plugin)

    def _update_states(self, scheduler_output: Any) -> Any:
        self.worker_plugin.release(scheduler_output.finished_req_ids)
        for new in scheduler_output.scheduled_new_reqs:
            if new.sampling_params is not None:
                new.sampling_params = self.worker_plugin.admit(new.req_id, new.sampling_params)
        return super()._update_states(scheduler_output)

    def _prepare_inputs(self, scheduler_output: Any, num_scheduled_tokens: Any) -> Any:
        prepared = super()._prepare_inputs(scheduler_output, num_scheduled_tokens)
        self._logits_indices, self._num_scheduled = prepared[0], num_scheduled_tokens
        return prepared

    def _model_forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the model and mix. Warming up and profiling never prepare inputs, so they are left alone."""
        output = super()._model_forward(*args, **kwargs)
        indices, self._logits_indices = self._logits_indices, None
        if indices is not None:
            step = self._step()
            self.worker_plugin.begin(step)
            if self.worker_plugin.guides:
                h_last, h_first = self.tap.split(output)
                rows = indices[torch.tensor(step.places, device=indices.device)].long()
                h_last[rows] = self.worker_plugin.mix(h_first[rows], h_last[rows])
            elif self.worker_plugin.overrides:
                rows = indices[torch.tensor(step.places, device=indices.device)].long()
                self.worker_plugin.see(output[rows])
        return output

    def _step(self) -> Step:
        """Return the rows that draw a token now; those in the middle of their prompt draw none."""
        batch, places, rows = self.input_batch, [], []
        for place, request_id in enumerate(batch.req_ids):
            if not self.discard_request_mask.np[place]:
                length = int(batch.num_computed_tokens_cpu[place]) + int(self._num_scheduled[place])
                places.append(place)
                rows.append(StepRow(request_id, length - 1, int(batch.num_prompt_tokens[place])))
        return Step(places, rows)


class SamplerV1Mixin(Base):  # type: ignore[misc]  # vLLM's class is known only while it runs
    """Lets the plugin look at the raw logits, and shape them before the temperature."""

    worker_plugin: WorkerPlugin

    def forward(self, logits: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """Sample as vLLM does."""
        logits = self.worker_plugin.override(logits)
        self.worker_plugin.measure(logits)
        output = super().forward(logits, *args, **kwargs)
        self.worker_plugin.learn(output.sampled_token_ids)
        return output

    def apply_logits_processors(self, logits: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Shape first; log-probabilities were taken before."""
        shaped: torch.Tensor = super().apply_logits_processors(self.worker_plugin.shape(logits), *args, **kwargs)
        return shaped


class CPUSeedsMixin(Base):  # type: ignore[misc]  # vLLM's class is known only while it runs
    """Lets requests with a seed live when their prompt is read in parts, which ends vLLM's CPU runner.

    The token drawn in the middle of a prompt is thrown away, and so must be what its generator drew. vLLM sets the
    generator's offset back, but on a CPU a generator has none: here its state is kept and put back.
    """

    def _sample(self, *args: Any, **kwargs: Any) -> Any:
        states = {place: generator.get_state() for place, generator in self._idle_generators().items()}
        output = super()._sample(*args, **kwargs)
        for place, state in states.items():
            self.input_batch.generators[place].set_state(state)
        return output

    def _bookkeeping_sync(self, *args: Any, **kwargs: Any) -> Any:
        hidden = self._idle_generators()
        for place in hidden:
            del self.input_batch.generators[place]
        try:
            return super()._bookkeeping_sync(*args, **kwargs)
        finally:
            self.input_batch.generators.update(hidden)

    def _idle_generators(self) -> dict[int, torch.Generator]:
        """Return the generators of the rows whose token is thrown away, by place."""
        discarded = self.discard_request_mask.np[: self.input_batch.num_reqs].nonzero()[0].tolist()
        return {place: found for place in discarded if (found := self.input_batch.generators.get(place)) is not None}
