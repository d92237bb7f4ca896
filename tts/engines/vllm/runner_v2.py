"""vLLM's second model runner: the default on GPUs. It needs Triton, which has no CPUs among its devices."""

from __future__ import annotations

from typing import Any

import torch

from tts.engines.vllm.mixin import Base, put_in_front
from tts.engines.vllm.tap import Tap
from tts.engines.vllm.worker_plugin import Step, WorkerPlugin
from tts.plugins.esamp.core import StepRow


class RunnerV2Mixin(Base):  # type: ignore[misc]  # vLLM's class is known only while it runs
    """Hands the plugin the requests, the hidden states and the logits of each step."""

    worker_plugin: WorkerPlugin
    tap: Tap
    _h_first: torch.Tensor | None = None

    def load_model(self, *args: Any, **kwargs: Any) -> None:
        """Load, then make the plugin, before vLLM measures how much memory is left and captures graphs."""
        super().load_model(*args, **kwargs)
        if self.tap.is_output:  # set only now: while it loads, vLLM takes the flag for speculative decoding
            self.model.set_aux_hidden_state_layers(self.tap.layers)
            self.use_aux_hidden_state_outputs = True
        self.tap.attach(self)
        self.worker_plugin = self.tap.worker_plugin(self)

    def add_requests(self, scheduler_output: Any) -> Any:
        """Admit what is new, and what comes back after it was preempted."""
        if not isinstance(self.sampler, SamplerV2Mixin):
            put_in_front(self.sampler, SamplerV2Mixin, worker_plugin=self.worker_plugin)
        for new in scheduler_output.scheduled_new_reqs:
            if new.sampling_params is not None:
                new.sampling_params = self.worker_plugin.admit(new.req_id, new.sampling_params)
        return super().add_requests(scheduler_output)

    def finish_requests(self, scheduler_output: Any) -> Any:
        """Release what ended; preempted requests stay."""
        self.worker_plugin.release(scheduler_output.finished_req_ids)
        return super().finish_requests(scheduler_output)

    def sample_tokens(self, *args: Any, **kwargs: Any) -> Any:
        """Keep the first layer's states of this step for `sample`, which does not get them."""
        state = self.execute_model_state
        self._h_first = None if state is None else self.tap.first_layer(state.aux_hidden_states)
        return super().sample_tokens(*args, **kwargs)

    def sample(self, hidden_states: torch.Tensor, input_batch: Any, *args: Any, **kwargs: Any) -> Any:
        """Mix, then sample as vLLM does."""
        step, h_first = self._step(input_batch), self._h_first
        self._h_first = None
        self.worker_plugin.begin(step)
        if self.worker_plugin.guides and h_first is not None:
            places = torch.tensor(step.places, device=hidden_states.device)
            rows = input_batch.logits_indices[places].long()
            hidden_states[rows] = self.worker_plugin.mix(h_first[rows], hidden_states[rows])
        return super().sample(hidden_states, input_batch, *args, **kwargs)

    def _step(self, batch: Any) -> Step:
        """Return the rows that draw a token now; those in the middle of what they read draw none."""
        states, places, rows = self.req_states, [], []
        for place, (request_id, index) in enumerate(zip(batch.req_ids, batch.idx_mapping_np, strict=False)):
            length = int(batch.num_computed_tokens_np[place]) + int(batch.num_scheduled_tokens[place])
            if length >= int(states.prefill_len.np[index]):
                places.append(place)
                rows.append(StepRow(request_id, length - 1, int(states.prompt_len.np[index])))
        return Step(places, rows)


class SamplerV2Mixin(Base):  # type: ignore[misc]  # vLLM's class is known only while it runs
    """Lets the plugin look at the raw logits, and shape them before the temperature."""

    worker_plugin: WorkerPlugin

    def __call__(self, logits: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """Sample as vLLM does."""
        self.worker_plugin.measure(logits)
        return super().__call__(logits, *args, **kwargs)

    def apply_sampling_params(self, logits: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Shape a copy first: log-probabilities are taken from the raw logits afterwards."""
        if self.worker_plugin.shapes:
            logits = self.worker_plugin.shape(logits.float().clone())
        processed: torch.Tensor = super().apply_sampling_params(logits, *args, **kwargs)
        return processed
