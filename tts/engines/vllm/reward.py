"""Reward models in vLLM, by its pooling runner: `classify` for outcomes, `token_classify` for steps.

A format whose values are the words + and - takes two rows of the language model's head as a classifier of one number,
their difference, which vLLM builds as it loads the model. All are asked for without vLLM's own activation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from pydantic import PrivateAttr, model_validator

from tts.engines.memory import advice
from tts.engines.reward.formats import Read, Reading, answer_tokens, reader
from tts.engines.reward.keys import RewardModelKeys
from tts.engines.vllm import installation
from tts.engines.vllm.keys import StartKeys
from tts.errors import EngineError
from tts.models.locate import locate
from tts.models.parameters import parameters_of
from tts.models.pretrained import require_packages, resolve, share_cores
from tts.types import RewardRequest, Rewards


@dataclass(slots=True)
class _InFlight:
    """A request, its texts, and what is known of them by their number."""

    request: RewardRequest
    readings: list[Reading]
    values: dict[int, tuple[float, ...]] = field(default_factory=dict)
    num_read: int = 0
    num_cached: int = 0

    def rewards(self, error: str | None = None) -> Rewards:
        """Return what came of it."""
        found = [value for number in sorted(self.values) for value in self.values[number]]
        if error is None and not all(map(math.isfinite, found)):
            error = "the model's head gave no numbers; try `dtype: float32`"
        values = () if error else tuple(found)
        name = (self.request.problem_id, self.request.key)
        return Rewards(*name, values, self.num_read, self.num_cached, error=error)


class _Session(NamedTuple):
    read: Read
    vllm: Any
    context: int
    num_parameters: int | None


class VLLMReward(RewardModelKeys, StartKeys):
    """Runs outcome and process reward models in vLLM. What outcomes share is read from its prefix cache; steps read
    every token anew, since each has its value."""

    _session: _Session | None = PrivateAttr(default=None)
    _running: dict[tuple[str, str], _InFlight] = PrivateAttr(default_factory=dict)
    _names: dict[str, tuple[_InFlight, int]] = PrivateAttr(default_factory=dict)
    _ended: list[Rewards] = PrivateAttr(default_factory=list)
    _num_texts: int = PrivateAttr(default=0)

    @model_validator(mode="after")
    def _known_to_vllm(self) -> Self:
        if self.format == "skywork_prm":
            raise ValueError("`format` must be one that vLLM can run, got skywork_prm: use `transformers_reward`")
        return self

    def check(self) -> None:
        """Raise MissingExtraError or EngineError where vLLM or the model's file is not there."""
        installation.require()
        require_packages(gguf=str(locate(self.model)).endswith(".gguf"))

    def open(self) -> None:
        """Start vLLM and load the model. Raises EngineError where the model does not suit its format."""
        installation.require()
        share_cores()
        installation.prepare_environment(separate_process=self.tensor_parallel_size > 1)
        installation.require_pieces()
        from tts.engines.reward.heads import HEADS, layers_of_head, refuse_changed_logits
        from tts.engines.transformers.loading import load_configuration
        from tts.engines.vllm.start import launch, shared_arguments, with_further

        source = resolve(self.model)
        prompts = self._prompts_of(self.chat_template_kwargs, source)
        config = load_configuration(source).get_text_config(decoder=True)
        read = reader(self, prompts, config.pad_token_id)
        ours = {**shared_arguments(self, self, source), "runner": "pooling"}
        if self.format in HEADS:
            layers_of_head(self, source)
            ours["convert"] = "classify" if self.format == "outcome" else "auto"
        else:
            refuse_changed_logits(config)
            good, bad = answer_tokens(self, prompts)
            words = prompts.tokenizer.convert_ids_to_tokens([bad, good])
            ours["convert"] = "classify"
            ours["hf_overrides"] = {"classifier_from_token": words, "method": "from_2_way_softmax"}
        pooling = {"seq_pooling_type": "LAST"} if self.format == "outcome" else {"tok_pooling_type": "ALL"}
        vllm = launch(with_further(self.engine_args, {**ours, "pooler_config": pooling}), source)
        context = vllm.vllm_config.model_config.max_model_len
        self._session = _Session(read, vllm, context, parameters_of(source, rewards=True))

    def close(self) -> None:
        """Stop vLLM and free the memory."""
        session, self._session, self._prompts = self._session, None, None
        self._running.clear()
        self._names.clear()
        self._ended.clear()
        if session is not None:
            from tts.engines.vllm.start import stop_vllm

            stop_vllm(session.vllm)

    @property
    def num_parameters(self) -> int | None:
        """How many parameters one token passes through, the few of the head left out; None while it is closed."""
        return None if self._session is None else self._session.num_parameters

    @property
    def num_free(self) -> int:
        """How many more requests fill the batch."""
        return max(0, self.batch_size - len(self._running))

    def add(self, request: RewardRequest) -> None:
        """Take one request; one that cannot be read comes back from `step` with an `error`."""
        from vllm import PoolingParams

        session, steps = self._opened, self.read(request.steps)
        flight = _InFlight(request, [])
        try:
            flight.readings = session.read(request.messages, steps) if steps else []
            longest = max((len(reading.token_ids) for reading in flight.readings), default=0)
            if longest > session.context:
                raise EngineError(f"the text must have at most {session.context} tokens, got {longest}")
        except EngineError as error:
            return self._ended.append(flight.rewards(str(error)))
        if not flight.readings:
            return self._ended.append(flight.rewards())
        self._running[request.problem_id, request.key] = flight
        task = "classify" if self.format == "outcome" else "token_classify"
        for number, reading in enumerate(flight.readings):
            name, self._num_texts = str(self._num_texts), self._num_texts + 1
            self._names[name] = (flight, number)
            ids = list(reading.token_ids[: reading.places[-1] + 1])  # nothing behind the last place is read
            session.vllm.add_request(name, {"prompt_token_ids": ids}, PoolingParams(task=task, use_activation=False))
        return None

    def cancel(self, problem_id: str, key: str) -> None:
        """Stop one request."""
        flight = self._running.pop((problem_id, key), None)
        if flight is None:
            return
        names = [name for name, (one, _) in self._names.items() if one is flight]
        self._opened.vllm.abort_request(names)
        for name in names:
            del self._names[name]
        self._ended.append(flight.rewards("it was cancelled"))

    def step(self, patience_seconds: float = 0.1) -> list[Rewards]:
        """Run one of vLLM's steps; return what finished. Raises EngineError where vLLM died."""
        del patience_seconds
        session = self._opened
        if self._names:
            try:
                outputs = session.vllm.step()
            except Exception as error:  # vLLM raises whatever went wrong in its engine, here or in its processes
                raise EngineError(f"vLLM cannot go on: {error}{advice(error)}") from error
            for output in outputs:
                self._take(output)
        ended, self._ended = self._ended, []
        return ended

    def _take(self, output: Any) -> None:
        flight, number = self._names.pop(output.request_id, (None, 0))
        if flight is None:  # cancelled meanwhile
            return
        flight.values[number] = self._values(output.outputs.data, flight.readings[number])
        flight.num_read += len(output.prompt_token_ids)
        flight.num_cached += output.num_cached_tokens or 0
        if len(flight.values) == len(flight.readings):
            del self._running[flight.request.problem_id, flight.request.key]
            self._ended.append(flight.rewards())

    def _values(self, data: Any, reading: Reading) -> tuple[float, ...]:
        """Return the values of one text, given vLLM's numbers, `[1]` for all of it or `[num_tokens, 1 or 2]`."""
        if self.format == "outcome":
            [number] = data.float().tolist()
            value = number if self.activation == "none" else data.float().sigmoid().item()
            return (value,) * len(reading.places)
        chosen = data.float()[list(reading.places)]
        return tuple((chosen.softmax(-1)[:, 1] if self.format == "qwen_prm" else chosen.sigmoid()[:, 0]).tolist())

    @property
    def _opened(self) -> _Session:
        if self._session is None:
            raise EngineError("the engine must be open; call `open()` first")
        return self._session
