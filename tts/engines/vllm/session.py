"""What lives between `open` and `close`: vLLM's engine, the requests in it, and those that wait for a distiller."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from tts.engines.asked import AskedIds, together
from tts.engines.confidence import refusal_of
from tts.engines.memory import advice
from tts.engines.prompts import Prompts
from tts.engines.slots import SlotQueue
from tts.engines.text import Detokenizer, ids_of_text, opens_thinking, up_to_stop
from tts.engines.vllm.keys import VLLMKeys
from tts.engines.vllm.start import start_vllm, stop_vllm
from tts.errors import EngineError
from tts.types import Completion, Decoding, FinishReason, PluginReport, Request

HIGHEST_TEMPERATURE = 2.0
"""vLLM refuses higher ones."""

FINISH_REASONS: dict[str | None, FinishReason] = {"stop": "stop", "length": "length", "abort": "cancelled"}


@dataclass(slots=True)
class InFlight:
    """One request: the prompt, the tokens to read (also of what stands in the answer already), and what came of it."""

    request: Request
    prompt: str
    prompt_ids: tuple[int, ...]
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    finish_reason: FinishReason | None = None
    stop: int | str | None = None
    error: str | None = None
    num_cached: int = 0
    asked_ids: tuple[AskedIds, ...] = ()
    asked_logprobs: tuple[float | None, ...] | None = None


class Session:
    """An open engine."""

    def __init__(self, keys: VLLMKeys, vllm: Any, prompts: Prompts) -> None:
        self.num_tokens = 0
        self._keys, self._vllm, self._prompts = keys, vllm, prompts
        self._detokenizer = Detokenizer.of(prompts.tokenizer, keys.thinking_tags)
        self._slots = SlotQueue(keys.plugin)
        self._context: int = vllm.vllm_config.model_config.max_model_len
        self._waiting: deque[Request] = deque()
        self._running: dict[str, InFlight] = {}
        self._names: dict[tuple[str, str], str] = {}
        self._ended: list[InFlight] = []
        self._num_requests = 0

    @classmethod
    def start(cls, keys: VLLMKeys, source: str, prompts: Prompts) -> Session:
        """Start vLLM for the recipe's keys."""
        return cls(keys, start_vllm(keys, source), prompts)

    def end(self) -> None:
        """Stop vLLM. The session must not be used afterwards."""
        vllm, self._vllm = self._vllm, None
        stop_vllm(vllm)

    @property
    def num_free(self) -> int:
        """How many more requests fill the batch."""
        return 0 if self._waiting else max(0, self._keys.batch_size - len(self._running))

    def add(self, request: Request) -> None:
        """Take one request."""
        self._waiting.append(request)

    def cancel(self, problem_id: str, key: str) -> None:
        """Stop one request."""
        for request in self._waiting:
            if (request.problem_id, request.key) == (problem_id, key):
                self._waiting.remove(request)
                self._ended.append(InFlight(request, "", (), finish_reason="cancelled"))
                return
        name = self._names.get((problem_id, key))
        if name is not None:
            self._vllm.abort_request([name])
            self._finish(name, "cancelled")

    def step(self) -> list[Completion]:
        """Let waiting requests in, run one step, return what finished."""
        self._admit()
        finished: list[str] = []
        if self._running:
            try:
                finished = [name for output in self._vllm.step() if (name := self._take(output)) is not None]
            except Exception as error:  # vLLM raises whatever went wrong in its engine, here or in its processes
                raise EngineError(f"vLLM cannot go on: {error}{advice(error)}") from error
        figures = self._figures(finished)
        completions = [self._completion(self._running.pop(name), figures.get(name, {})) for name in finished]
        ended, self._ended = self._ended, []
        return completions + [self._completion(flight, {}) for flight in ended]

    def plugin_report(self) -> PluginReport | None:
        """Return what the plugin did so far."""
        report = self._vllm.collective_rpc("tts_report")[0]
        return None if report is None else PluginReport(report["name"], report["figures"], tuple(report["warnings"]))

    # --- into vLLM

    def _admit(self) -> None:
        while self._waiting and len(self._running) < self._keys.batch_size and self._slots.lets_in(self._waiting[0]):
            request = self._waiting.popleft()
            self._slots.enter(request)
            self._start(request)

    def _start(self, request: Request) -> None:
        flight, name = self._in_flight(request), str(self._num_requests)
        self._num_requests += 1
        if flight.finish_reason is None:
            try:
                params = sampling_params(request, name, flight.asked_ids, seeded=self._keys.seeded)
                self._vllm.add_request(name, {"prompt_token_ids": list(flight.prompt_ids)}, params)
            except ValueError as error:  # what vLLM does not allow in a request
                flight.finish_reason, flight.error = "error", f"vLLM refuses the request: {error}"
        if flight.finish_reason is not None:
            self._slots.leave(request)
            return self._ended.append(flight)
        self._running[name] = flight
        self._names[request.problem_id, request.key] = name
        return None

    def _in_flight(self, request: Request) -> InFlight:
        try:
            prompt, prompt_ids = self._prompts.render(request.messages)
            asked_ids = self._prompts.asked_ids(request)
        except EngineError as error:
            return InFlight(request, "", (), finish_reason="error", error=str(error))
        refusal = self._refusal(request, len(prompt_ids))
        read = tuple(token_id for chunk in self._prompts.chunks(prompt_ids, request.prefix) for token_id in chunk)
        flight = InFlight(
            request, prompt, read, finish_reason="error" if refusal else None, error=refusal, asked_ids=asked_ids
        )
        if refusal is None and len(read) >= self._context:  # what stands there already fills the context
            flight.finish_reason = "length"
        return flight

    def _refusal(self, request: Request, num_prompt_tokens: int) -> str | None:
        if num_prompt_tokens >= self._context:
            return (
                f"the prompt must be shorter than the context of {self._context} tokens, got {num_prompt_tokens}; "
                "raise `max_model_len` if the model allows more"
            )
        if request.decoding.max_tokens < 1:
            return f"`max_tokens` must be at least 1, got {request.decoding.max_tokens}"
        if request.decoding.floor is not None and self._vllm.vllm_config.speculative_config is not None:
            return "a `floor` cannot be held where tokens are drafted. Leave `speculative_config` out of `engine_args`"
        if request.decoding.floor is not None and self._prompts.tokenizer.eos_token_id is None:
            return "a `floor` needs a model with an end token, which this one's tokenizer does not name"
        return refusal_of(request.decoding.floor)

    # --- out of vLLM

    def _take(self, output: Any) -> str | None:
        """Take what one request has got in this step; return its name if it is finished."""
        flight = self._running.get(output.request_id)
        if flight is None:  # cancelled meanwhile
            return None
        [part] = output.outputs
        if flight.asked_ids and not flight.token_ids and part.logprobs:
            told = part.logprobs[0]
            flight.asked_logprobs = tuple(
                together(told[one].logprob for one in asked if one in told) for asked in flight.asked_ids
            )
        flight.token_ids.extend(part.token_ids)
        pairs = zip(part.token_ids, part.logprobs or (), strict=True)
        flight.logprobs.extend(logprobs[token_id].logprob for token_id, logprobs in pairs)
        self.num_tokens += len(part.token_ids)
        if not output.finished:
            return None
        flight.num_cached = output.num_cached_tokens or 0
        flight.finish_reason, flight.stop = FINISH_REASONS.get(part.finish_reason, "error"), part.stop_reason
        if flight.finish_reason == "error":
            flight.error = f"vLLM ended the request with {part.finish_reason!r}"
        elif not all(map(math.isfinite, flight.logprobs)):
            flight.finish_reason = "error"
            flight.error = "the model's logits are not a number, or infinite; try `dtype: float32`"
        self._leave(flight.request)
        return str(output.request_id)

    def _finish(self, name: str, reason: FinishReason) -> None:
        flight = self._running.pop(name)
        flight.finish_reason = reason
        self._leave(flight.request)
        self._ended.append(flight)

    def _leave(self, request: Request) -> None:
        del self._names[request.problem_id, request.key]
        self._slots.leave(request)

    def _figures(self, names: list[str]) -> dict[str, dict[str, float]]:
        """Return what the workers measured of the requests, by name."""
        options, flights = self._keys.worker_options(), {name: self._running[name] for name in names}
        has_floor = any(flight.request.decoding.floor is not None for flight in flights.values())
        if not names or not (options.esamp is not None or options.measures or has_floor):
            return {}
        num_tokens = {name: len(flight.token_ids) for name, flight in flights.items()}
        figures: dict[str, dict[str, float]] = self._vllm.collective_rpc("tts_request_figures", args=(num_tokens,))[0]
        return figures

    def _completion(self, flight: InFlight, figures: dict[str, float]) -> Completion:
        request, num_tokens, stop = flight.request, len(flight.token_ids), None
        text, written, num_before_stop = "", None, None
        if figures.pop("abandoned", 0.0) and flight.error is None:
            flight.finish_reason, flight.stop = "abandoned", None
            flight.logprobs[-1] = 0.0  # nothing else could be drawn
        if flight.error is None:
            # The end token is no text; where a stop string ended it, there is none, but maybe more than the string.
            by_string = isinstance(flight.stop, str)
            ended = flight.finish_reason in ("stop", "abandoned") and not by_string
            ids = flight.token_ids[:-1] if ended else flight.token_ids
            text, stop = up_to_stop(self._detokenizer.text(ids), (str(flight.stop),) if by_string else ())
            written, num_before_stop = ids_of_text(self._detokenizer, ids, text, stop)
        total = math.fsum(flight.logprobs) if num_tokens else None
        stats = {name: value for name, value in figures.items() if name != "self_certainty"}
        if flight.finish_reason == "length" and num_tokens < request.decoding.max_tokens:
            stats["context_full"] = 1.0
        return Completion(
            problem_id=request.problem_id,
            key=request.key,
            text=text,
            finish_reason=flight.finish_reason or "cancelled",
            num_prompt_tokens=len(flight.prompt_ids),
            num_tokens=num_tokens,
            cumulative_logprob=total,
            mean_logprob=None if total is None else total / num_tokens,
            self_certainty=figures.get("self_certainty"),
            token_logprobs=tuple(flight.logprobs) if self._keys.record_token_logprobs else None,
            stop=stop,
            opened=opens_thinking(flight.prompt, self._keys.thinking_tags[0]),
            error=flight.error,
            engine_stats=stats,
            token_ids=written,
            num_ids_before_stop=num_before_stop,
            num_cached_tokens=flight.num_cached,
            asked_logprobs=flight.asked_logprobs,
        )


def sampling_params(request: Request, name: str, asked_ids: tuple[AskedIds, ...] = (), *, seeded: bool = True) -> Any:
    """Return vLLM's parameters for one request; not `seeded`: without its seed."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    decoding = request.decoding
    if asked_ids and "logprob_token_ids" not in SamplingParams.__struct_fields__:
        raise ValueError("this version knows no `logprob_token_ids`, which `ask_tokens` needs; 0.32 does")
    asked = {"logprob_token_ids": list(dict.fromkeys(chain(*asked_ids)))} if asked_ids else {"logprobs": 0}
    return SamplingParams(
        max_tokens=decoding.max_tokens,
        temperature=min(decoding.temperature, HIGHEST_TEMPERATURE),
        top_p=decoding.top_p,
        top_k=decoding.top_k,
        min_p=decoding.min_p,
        stop=list(decoding.stop) or None,
        seed=request.seed if seeded else None,
        detokenize=bool(decoding.stop),
        output_kind=RequestOutputKind.DELTA,
        extra_args=dict(_values(request, decoding, name)),
        **asked,  # the token that is drawn comes along with those that are asked for
    )


def _values(request: Request, decoding: Decoding, name: str) -> Iterator[tuple[str, Any]]:
    """Yield what vLLM has no parameter for (see `RequestValues`)."""
    yield "tts_id", name
    if decoding.temperature > HIGHEST_TEMPERATURE:
        yield "high_temperature", decoding.temperature
    if decoding.top_n_sigma:
        yield "top_n_sigma", decoding.top_n_sigma
    if decoding.first_token is not None:
        yield "first_token_temperature", decoding.first_token.temperature
        yield "first_token_top_k", decoding.first_token.top_k
    if decoding.floor is not None:
        yield "floor_threshold", decoding.floor.threshold
        yield "floor_window", decoding.floor.window
        yield "floor_top_k", decoding.floor.top_k
    if request.guidance is not None:
        yield "esamp_beta", request.guidance.beta
        yield "esamp_group", request.guidance.group
        yield "esamp_group_size", request.guidance.group_size
