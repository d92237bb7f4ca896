"""The decoding loop: a fixed number of rows, filled again as they end, one forward pass for all of them a step."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache

from tts.engines.asked import together
from tts.engines.confidence import confidences_for
from tts.engines.filters import Filters, at_token
from tts.engines.transformers.guide import Guide, Projection
from tts.engines.transformers.kv_cache import KVBudget, Prefix, Prefixes, RowCache
from tts.engines.transformers.loading import Loaded
from tts.engines.transformers.row import Row
from tts.engines.transformers.sampling import Draw, draw, fill_with_exponentials, noise_size


class Decoder:
    """Decodes rows together. Every pass has the same shape however many rows are in flight, empty ones included.

    So a row is computed by the same kernels on the same shapes whatever its neighbours are, and comes out the same
    (bit for bit where `self_check.has_same_bits` found its place to make no difference), unless the `guide` makes rows
    depend on each other.
    """

    def __init__(
        self,
        loaded: Loaded,
        budget: KVBudget,
        end: Callable[[Row], None],
        guide: Guide,
    ) -> None:
        self.num_generated_tokens = 0
        self._model, self._layers, self._vocabulary = loaded.model, loaded.layers, loaded.vocabulary
        self._budget, self._end, self._guide = budget, end, guide
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
        self._guide.add(row)
        self._waiting.append(row)

    def cancel(self, problem_id: str, key: str) -> None:
        """Finish the row of one request; the next `step` returns it."""
        for row in (*self._waiting, *self._rows):
            if row is not None and (row.request.problem_id, row.request.key) == (problem_id, key):
                row.finish("cancelled")

    def forget(self, problem_id: str) -> None:
        """Free what was kept for a problem's later rows."""
        self._prefixes.forget(problem_id)

    def release(self) -> None:
        """Let go of all memory."""
        self._guide.release()
        self._waiting.clear()
        self._rows, self._cache, self._filters = [], None, None
        self._prefixes = Prefixes(self._prefill)

    @torch.inference_mode()  # type: ignore[untyped-decorator]  # torch is not type-checked
    def step(self) -> list[Row]:
        """Fill the free rows, generate one token for each, return those that finished (also by `cancel`)."""
        finished = self._take_finished()
        self._admit()
        if any(self._rows):
            self._append(self._guide.project(self._rows, self._forward))
        return finished + self._take_finished()

    def _take_finished(self) -> list[Row]:
        finished = [row for row in (*self._rows, *self._waiting) if row is not None and row.finish_reason]
        if finished:
            self._rows = [None if row is None or row.finish_reason else row for row in self._rows]
            self._waiting = deque(row for row in self._waiting if not row.finish_reason)
            self._filters = None
        for row in finished:
            self._guide.end(row)
        return finished

    def _admit(self) -> None:
        """Move waiting rows that may start, first come first served, to free places of a cache that suits them."""
        while (turn := self._next_turn()) is not None:
            num_rows = self._budget.rows_for(self._waiting[turn].num_tokens_needed)
            if num_rows != len(self._rows):
                if any(self._rows):
                    return  # the rows in flight end first
                self._reshape(num_rows)
            if None not in self._rows:
                return
            self._place(self._rows.index(None), self._waiting[turn])
            del self._waiting[turn]

    def _next_turn(self) -> int | None:
        return next((turn for turn, row in enumerate(self._waiting) if self._guide.may_start(row)), None)

    def _reshape(self, num_rows: int) -> None:
        self._cache = None  # frees the old memory before the new is taken
        capacity = self._budget.tokens_per_row(num_rows)
        self._cache = RowCache(self._layers, num_rows, capacity)
        self._rows = [None] * num_rows

    def _place(self, place: int, row: Row) -> None:
        assert self._cache is not None
        chunks = inputs_of(row.chunks)
        if chunks:
            prefix, row.num_cached = self._prefixes.get(chunks, self._cache.max_capacity, row.request.problem_id)
            self._cache.put(place, prefix)
        self._guide.start(row)
        self._rows[place] = row
        self._filters = None

    def _prefill(self, token_ids: tuple[int, ...], after: Prefix | None) -> Prefix:
        return prefill(self._model, token_ids, after)

    def _forward(self) -> torch.Tensor:
        assert self._cache is not None
        inputs = [(row.next_input, row.position) if row else (0, 0) for row in self._rows]
        return next_logits(self._model, self._cache, inputs)[:, : self._vocabulary]

    def _append(self, projection: Projection) -> None:
        for row, logits in zip(self._rows, projection.logits, strict=True):
            if row is not None and row.asked_ids and not row.token_ids:
                known = logits.log_softmax(-1)
                row.asked_logprobs = tuple(
                    together(known[one].item() for one in asked if one < len(known)) for asked in row.asked_ids
                )
        settled = projection.settled or {}
        for place, (row, drawn) in enumerate(zip(self._rows, self._draw(projection).to_host(), strict=True)):
            if row is not None and place in settled:
                self.num_generated_tokens += bool(row.token_ids)
            elif row is not None:
                row.append(*drawn)
                self._end(row)
                self.num_generated_tokens += 1
                if row.draws_differently_now:
                    self._filters = None
        if settled and self._cache is not None:
            self._cache.move(settled)

    def _draw(self, projection: Projection) -> Draw:
        logits = projection.logits
        if self._filters is None:
            decodings = [at_token(row.request.decoding, len(row.token_ids)) if row else None for row in self._rows]
            self._filters = Filters.of(decodings, logits.device)
        # Drawn here, while a GPU is still busy with the forward pass.
        noise = np.ones((len(self._rows), noise_size(logits.shape[-1])), dtype=np.float32)
        for row, is_random, out in zip(self._rows, self._filters.random, noise, strict=True):
            if row is not None and is_random:
                fill_with_exponentials(out, row.noise)
        return draw(
            logits,
            self._filters,
            torch.from_numpy(noise).to(logits.device),
            projection.reference,
            confidences_for(logits, [None if row is None else row.floor for row in self._rows]),
            allowed=projection.allowed,
        )


def inputs_of(chunks: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
    """Return the chunks without the last token of all, which is the row's first input, each cut one token earlier.

    So what was computed for one row is the beginning of what a row that goes on from there needs, and it is computed
    in the same parts whether it was found or not: its bits depend on nothing else.
    """
    shifted: list[tuple[int, ...]] = []
    held: tuple[int, ...] = ()
    for chunk in chunks:
        whole = held + chunk
        shifted.append(whole[:-1])
        held = whole[-1:]
    return tuple(chunk for chunk in shifted if chunk)


def prefill(model: Any, token_ids: tuple[int, ...], after: Prefix | None = None) -> Prefix:
    """Compute the keys and values of these tokens alone, behind those of `after`: they depend on nothing else."""
    cache = DynamicCache(config=model.config)
    num_before = after.num_tokens if after else 0
    for number, (keys, values) in enumerate(after.layers if after else ()):
        cache.update(keys, values, number)
        if cache.layers[number].is_sliding:  # it has the last tokens alone, and must know where they stand
            cache.layers[number].cumulative_length = num_before
    inputs = torch.tensor([token_ids], device=model.device)
    model.base_model(input_ids=inputs, past_key_values=cache, use_cache=True)
    layers = [(layer.keys, layer.values) for layer in cache.layers if layer.keys is not None]
    return Prefix(num_before + len(token_ids), layers)


def next_logits(model: Any, cache: RowCache, inputs: list[tuple[int, int]]) -> torch.Tensor:
    """Read one token per row of `cache`, given as (token id, position); return `[num_rows, logits]`, float32."""
    token_ids, positions = torch.tensor(inputs, device=model.device).unbind(1)
    cache.point(positions, 1 + max(position for _, position in inputs))
    output = model(
        input_ids=token_ids.unsqueeze(1),
        position_ids=positions.unsqueeze(1),
        attention_mask=cache.visible(model.dtype),
        past_key_values=cache,
        use_cache=True,
    )
    return output.logits[:, -1].float()
