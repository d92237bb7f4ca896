"""vLLM's second model runner: the default on GPUs. It needs Triton, which has no CPUs among its devices.

It schedules ahead of its device, so nothing here waits: what is known of requests and rows is on the device already.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tts.engines.vllm.device_plugin import DevicePlugin
from tts.engines.vllm.mixin import Base, put_in_front
from tts.engines.vllm.tap import Tap


class RunnerV2Mixin(Base):  # type: ignore[misc]  # vLLM's class is known only while it runs
    """Hands the plugin the requests, the hidden states and the logits of each step."""

    worker_plugin: DevicePlugin
    tap: Tap
    _h_first: torch.Tensor | None = None

    def load_model(self, *args: Any, **kwargs: Any) -> None:
        """Load, then make the plugin, before vLLM measures how much memory is left and captures graphs."""
        super().load_model(*args, **kwargs)
        if self.tap.is_output:  # set only now: while it loads, vLLM takes the flag for speculative decoding
            self.model.set_aux_hidden_state_layers(self.tap.layers)
            self.use_aux_hidden_state_outputs = True
        self.tap.attach(self)
        self.worker_plugin = DevicePlugin(
            max_tokens=self.max_model_len,
            dtype=self.model_config.dtype,
            caps=self.tap.caps(self),
            **self.tap.plugin_arguments(self),
        )

    def add_requests(self, scheduler_output: Any) -> Any:
        """Admit what is new, and what comes back after it was preempted."""
        if not isinstance(self.sampler, SamplerV2Mixin):
            put_in_front(self.sampler, SamplerV2Mixin, worker_plugin=self.worker_plugin)
        new = [one for one in scheduler_output.scheduled_new_reqs if one.sampling_params is not None]
        for one in new:
            one.sampling_params = self.worker_plugin.admit(one.req_id, one.sampling_params)
        added = super().add_requests(scheduler_output)
        for one in new:
            index = self.req_states.req_id_to_index[one.req_id]
            self.worker_plugin.seat(one.req_id, index, int(self.req_states.prompt_len.np[index]))
        return added

    def finish_requests(self, scheduler_output: Any) -> Any:
        """Release what ended; preempted requests stay, at an index that they do not know yet."""
        gone = scheduler_output.finished_req_ids | (scheduler_output.preempted_req_ids or set())
        for request_id in gone & self.req_states.req_id_to_index.keys():
            self.worker_plugin.vacate(self.req_states.req_id_to_index[request_id])
        self.worker_plugin.release(scheduler_output.finished_req_ids)
        return super().finish_requests(scheduler_output)

    def sample_tokens(self, *args: Any, **kwargs: Any) -> Any:
        """Keep the first layer's states of this step for `sample`, which does not get them."""
        state = self.execute_model_state
        self._h_first = None if state is None else self.tap.first_layer(state.aux_hidden_states)
        return super().sample_tokens(*args, **kwargs)

    def sample(self, hidden_states: torch.Tensor, input_batch: Any, *args: Any, **kwargs: Any) -> Any:
        """Mix, then sample as vLLM does."""
        plugin, h_first = self.worker_plugin, self._h_first
        self._h_first = None
        plugin.skip()
        if plugin.takes_part:
            rows, index = input_batch.logits_indices.long(), input_batch.idx_mapping.long()
            draws = input_batch.seq_lens[: len(index)] >= self.req_states.prefill_len.gpu.index_select(0, index)
            position = input_batch.positions.index_select(0, rows)
            token = input_batch.input_ids.index_select(0, rows)
            plugin.begin(index, position, token, draws, has_first_tokens=self._has_first_tokens(input_batch))
            if plugin.guides and h_first is not None:
                mixed = plugin.mix(h_first.index_select(0, rows), hidden_states.index_select(0, rows))
                hidden_states.index_copy_(0, rows, mixed)
        return super().sample(hidden_states, input_batch, *args, **kwargs)

    def _has_first_tokens(self, batch: Any) -> bool:
        """Tell whether a row ends its request's prompt; the host's numbers do."""
        index = batch.idx_mapping_np[: batch.num_reqs]
        lengths = batch.num_computed_tokens_np[: batch.num_reqs] + batch.num_scheduled_tokens[: batch.num_reqs]
        return bool(np.any(lengths == self.req_states.prompt_len.np[index]))


class SamplerV2Mixin(Base):  # type: ignore[misc]  # vLLM's class is known only while it runs
    """Lets the plugin look at the raw logits, and shape them before the temperature."""

    worker_plugin: DevicePlugin

    def __call__(self, logits: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """Sample as vLLM does."""
        self.worker_plugin.measure(logits)
        return super().__call__(logits, *args, **kwargs)

    def apply_sampling_params(self, logits: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Shape a copy first: log-probabilities are taken from the raw logits afterwards."""
        if self.worker_plugin.shapes:
            logits = self.worker_plugin.shape(logits.float())
        processed: torch.Tensor = super().apply_sampling_params(logits, *args, **kwargs)
        return processed
