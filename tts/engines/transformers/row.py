"""One request on its way: what was generated so far, and whether it is finished."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tts.engines.asked import AskedIds
from tts.engines.confidence import ROUNDING, confidence_figures
from tts.engines.text import Detokenizer, ids_of_text, opens_thinking, up_to_stop
from tts.types import Completion, ConfidenceFloor, FinishReason, Request

NOT_FINITE = "the model's logits are not a number, or infinite; try `dtype: float32`"


@dataclass(slots=True)
class Row:
    """The state of one request. `context` is how many tokens prompt and completion may have together.

    `chunks` are the tokens to read: those of the prompt, and of each part of the answer that stands there already.
    `floor` says how its confidence is measured, if it is, and below what it ends; `recent_confidence` is the sum of the
    last window.
    """

    request: Request
    prompt: str
    chunks: tuple[tuple[int, ...], ...]
    context: int
    noise: np.random.Generator
    asked_ids: tuple[AskedIds, ...] = ()
    floor: ConfidenceFloor | None = None
    asked_logprobs: tuple[float | None, ...] | None = None
    num_cached: int = 0
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    total_certainty: float = 0.0
    confidences: list[float] = field(default_factory=list)
    recent_confidence: float = 0.0
    finish_reason: FinishReason | None = None
    error: str | None = None
    stopped_by_string: bool = False
    statistics: Mapping[str, float] = field(default_factory=dict)

    @property
    def prompt_ids(self) -> tuple[int, ...]:
        """The tokens of prompt and prefix."""
        return tuple(token_id for chunk in self.chunks for token_id in chunk)

    @property
    def num_read(self) -> int:
        """How many tokens prompt and prefix have."""
        return sum(map(len, self.chunks))

    @property
    def num_tokens_needed(self) -> int:
        """The most tokens whose keys and values must be kept (the last one generated is never read)."""
        return min(self.num_read + self.request.decoding.max_tokens, self.context) - 1

    @property
    def position(self) -> int:
        """Where the token that the model reads next stands."""
        return self.num_read + len(self.token_ids) - 1

    @property
    def next_input(self) -> int:
        """The token that the model reads next: the last generated, or the last of the prompt."""
        return self.token_ids[-1] if self.token_ids else self.chunks[-1][-1]

    @property
    def draws_differently_now(self) -> bool:
        """Whether the token just generated was a first one with a `first_token` of its own."""
        return len(self.token_ids) == 1 and self.request.decoding.first_token is not None

    def append(self, token_id: int, logprob: float, certainty: float, *confidence: float) -> None:
        """Take one generated token with its log-probability and self-certainty, and its confidence if measured."""
        self.token_ids.append(token_id)
        self.logprobs.append(logprob)
        self.total_certainty += certainty
        if self.floor is not None:
            self.confidences += confidence
            left_behind = self.confidences[-1 - self.floor.window] if len(self.confidences) > self.floor.window else 0.0
            self.recent_confidence += self.confidences[-1] - left_behind

    @property
    def is_below_floor(self) -> bool:
        """Whether the mean confidence of the last full window is below the floor."""
        if self.floor is None or len(self.confidences) < self.floor.window:
            return False
        return self.recent_confidence / self.floor.window < self.floor.threshold * (1 - ROUNDING)

    def finish(self, reason: FinishReason, error: str | None = None) -> None:
        """End the row."""
        self.finish_reason, self.error = reason, error


@dataclass(frozen=True, slots=True)
class Ending:
    """When a completion ends: below its floor, at one of the model's end tokens, at a stop string, or at a limit."""

    detokenizer: Detokenizer
    end_ids: frozenset[int]

    def apply(self, row: Row) -> None:
        """Finish `row` if its last token ended it. The floor beats an end token, that a stop string, that a limit."""
        if not math.isfinite(row.logprobs[-1]):
            row.finish("error", NOT_FINITE)
        elif row.is_below_floor:
            row.logprobs[-1] = 0.0  # the token gives way to an end token, which nothing else could be
            row.finish("abandoned")
        elif row.token_ids[-1] in self.end_ids:
            row.finish("stop")
        elif self._at_stop_string(row):
            row.stopped_by_string = True
            row.finish("stop")
        elif row.position + 1 >= row.context or len(row.token_ids) >= row.request.decoding.max_tokens:
            row.finish("length")

    def _at_stop_string(self, row: Row) -> bool:
        """Look for a stop string in the last tokens only: a character takes at most 4 of them (its bytes)."""
        stops = row.request.decoding.stop
        if not stops:
            return False
        tail = row.token_ids[-(4 * max(map(len, stops)) + 8) :]
        return up_to_stop(self.detokenizer.text(tail), stops)[1] is not None


@dataclass(frozen=True, slots=True)
class CompletionWriter:
    """Turns a finished row into a completion."""

    ending: Ending
    thinking_tags: tuple[str, str]
    with_token_logprobs: bool

    def completion(self, row: Row) -> Completion:
        """Return what `row` has, whole or cut off."""
        request, num_tokens, stop = row.request, len(row.token_ids), None
        text, written, num_before_stop = "", None, None
        if row.error is None:
            ended = row.token_ids and row.token_ids[-1] in self.ending.end_ids
            ids = row.token_ids[:-1] if ended or row.finish_reason == "abandoned" else row.token_ids
            text, stop = up_to_stop(
                self.ending.detokenizer.text(ids), request.decoding.stop if row.stopped_by_string else ()
            )
            written, num_before_stop = ids_of_text(self.ending.detokenizer, ids, text, stop)
        context_full = row.finish_reason == "length" and num_tokens < request.decoding.max_tokens
        cumulative = math.fsum(row.logprobs) if num_tokens else None
        confidence = {} if row.floor is None else confidence_figures(row.confidences, row.floor.window)
        return Completion(
            problem_id=request.problem_id,
            key=request.key,
            text=text,
            finish_reason=row.finish_reason or "cancelled",
            num_prompt_tokens=row.num_read,
            num_tokens=num_tokens,
            cumulative_logprob=cumulative,
            mean_logprob=None if cumulative is None else cumulative / num_tokens,
            self_certainty=row.total_certainty / num_tokens if num_tokens else None,
            token_logprobs=tuple(row.logprobs) if self.with_token_logprobs else None,
            stop=stop,
            opened=opens_thinking(row.prompt, self.thinking_tags[0]),
            error=row.error,
            engine_stats={**row.statistics, **confidence, **({"context_full": 1.0} if context_full else {})},
            token_ids=written,
            num_ids_before_stop=num_before_stop,
            num_cached_tokens=row.num_cached,
            asked_logprobs=row.asked_logprobs,
        )
