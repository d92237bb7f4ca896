"""The decoding loop: a fixed number of rows, filled again as they end, one forward pass for all of them a step."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache

from tts.engines.filters import Filters, at_token
from tts.engines.transformers.kv_cache import KVBudget, Prefix, Prefixes, RowCache
from tts.engines.transformers.row import Row
from tts.engines.transformers.sampling import Draw, draw, noise_size


class Decoder:
    """Decodes rows together. Every pass has the same shape however many rows are in flight, empty ones included.

    So a row is computed by the same kernels on the same shapes whatever its neighbours are, and comes out the same.
    """

    def __init__(
        self, model: Any, one_token: Prefix, budget: KVBudget, vocabulary: int, end: Callable[[Row], None]
    ) -> None:
        self.num_generated_tokens = 0
        self._model, self._one_token, self._budget = model, one_token, budget
        self._vocabulary, self._end = vocabulary, end
        self._waiting: deque[Row] = deque()
        self._rows: list[Row | None] = []
        self._cache: RowCache | None = None
        self._filters: Filters | None = None
        self._prefixes = Prefixes(self._prefill)

    @property
    def num_in_flight(self) -> int:
        """How many rows are decoded or wait."""
        return len(self._waiting) + sum(row is not None for row in self._rows)

    def add(self, row: Row) -> None:
        """Let `row` wait for its turn."""
        self._waiting.append(row)

    def cancel(self, problem_id: str, index: int) -> None:
        """Finish the row of one request; the next `step` returns it."""
        for row in (*self._waiting, *self._rows):
            if row is not None and (row.request.problem_id, row.request.index) == (problem_id, index):
                row.finish("cancelled")

    def release(self) -> None:
        """Let go of all memory."""
        self._waiting.clear()
        self._rows, self._cache, self._filters = [], None, None
        self._prefixes = Prefixes(self._prefill)

    @torch.inference_mode()  # type: ignore[untyped-decorator]  # torch is not type-checked
    def step(self) -> list[Row]:
        """Fill the free rows, generate one token for each, return those that finished (also by `cancel`)."""
        finished = self._take_finished()
        self._admit()
        if any(self._rows):
            self._append(self._forward())
        return finished + self._take_finished()

    def _take_finished(self) -> list[Row]:
        finished = [row for row in (*self._rows, *self._waiting) if row is not None and row.finish_reason]
        if finished:
            self._rows = [None if row is None or row.finish_reason else row for row in self._rows]
            self._waiting = deque(row for row in self._waiting if not row.finish_reason)
            self._filters = None
        return finished

    def _admit(self) -> None:
        """Move waiting rows, first come first served, to free places of a cache whose shape suits them."""
        while self._waiting:
            num_rows = self._budget.rows_for(self._waiting[0].num_tokens_needed)
            if num_rows != len(self._rows):
                if any(self._rows):
                    return  # the rows in flight end first
                self._reshape(num_rows)
            if None not in self._rows:
                return
            self._place(self._rows.index(None), self._waiting[0])
            self._waiting.popleft()

    def _reshape(self, num_rows: int) -> None:
        self._cache = None  # frees the old memory before the new is taken
        capacity = self._budget.tokens_per_row(num_rows)
        self._cache = RowCache(self._one_token, num_rows, capacity)
        self._rows = [None] * num_rows

    def _place(self, place: int, row: Row) -> None:
        assert self._cache is not None
        if len(row.prompt_ids) > 1:  # the last token of the prompt is the row's first input
            self._cache.put(place, self._prefixes.get(row.prompt_ids[:-1], self._cache.max_capacity))
        self._rows[place] = row
        self._filters = None

    def _prefill(self, token_ids: tuple[int, ...]) -> Prefix:
        return prefill(self._model, token_ids)

    def _forward(self) -> torch.Tensor:
        assert self._cache is not None
        inputs = [(row.next_input, row.position) if row else (0, 0) for row in self._rows]
        return next_logits(self._model, self._cache, inputs)[:, : self._vocabulary]

    def _append(self, logits: torch.Tensor) -> None:
        for row, (token_id, logprob, certainty) in zip(self._rows, self._draw(logits).to_host(), strict=True):
            if row is not None:
                row.append(token_id, logprob, certainty)
                self._end(row)
                self.num_generated_tokens += 1
                if row.draws_differently_now:
                    self._filters = None

    def _draw(self, logits: torch.Tensor) -> Draw:
        if self._filters is None:
            decodings = [at_token(row.request.decoding, len(row.token_ids)) if row else None for row in self._rows]
            self._filters = Filters.of(decodings, logits.device)
        # Drawn here, while a GPU is still busy with the forward pass.
        noise = np.ones((len(self._rows), noise_size(logits.shape[-1])), dtype=np.float32)
        for row, is_random, out in zip(self._rows, self._filters.random, noise, strict=True):
            if row is not None and is_random:
                row.noise.standard_exponential(dtype=np.float32, out=out)
        return draw(logits, self._filters, torch.from_numpy(noise).to(logits.device))


def prefill(model: Any, token_ids: tuple[int, ...]) -> Prefix:
    """Compute the keys and values of one prompt, alone: they depend on nothing else."""
    cache = DynamicCache()  # plain layers: `probe` has made sure that these are right
    inputs = torch.tensor([token_ids], device=model.device)
    model.base_model(input_ids=inputs, past_key_values=cache, use_cache=True)
    return [(layer.keys, layer.values) for layer in cache.layers]


def next_logits(model: Any, cache: RowCache, inputs: list[tuple[int, int]]) -> torch.Tensor:
    """Read one token per row of `cache`, given as (token id, position); return `[num_rows, logits]`, float32."""
    token_ids, positions = torch.tensor(inputs, device=model.device).unbind(1)
    cache.point(positions, 1 + max(position for _, position in inputs))
    output = model(
        input_ids=token_ids.unsqueeze(1),
        position_ids=positions.unsqueeze(1),
        attention_mask=visible_mask(positions, cache.length, model.dtype),
        past_key_values=cache,
        use_cache=True,
    )
    return output.logits[:, -1].float()


def visible_mask(positions: torch.Tensor, length: int, dtype: torch.dtype) -> torch.Tensor:
    """Return what is added to the attention scores, `[num_rows, 1, 1, length]`: 0 up to each row's position."""
    hidden = torch.arange(length, device=positions.device) > positions.unsqueeze(1)
    mask = torch.zeros(hidden.shape, dtype=dtype, device=positions.device)
    return mask.masked_fill_(hidden, torch.finfo(dtype).min)[:, None, None, :]
