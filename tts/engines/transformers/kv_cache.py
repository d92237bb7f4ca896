"""The memory of attention: one fixed block of rows, written in place, and the prompts that candidates share."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from transformers.cache_utils import Cache, DynamicLayer

BLOCK = 64
"""Lengths are rounded up to this many tokens; padding by whole blocks leaves the result of attention bit-identical."""

Prefix = list[tuple[torch.Tensor, torch.Tensor]]
"""Keys and values of one prompt, per layer, each `[1, heads, tokens, dim]`."""


def rounded_up(num_tokens: int) -> int:
    """Return the smallest multiple of `BLOCK` that holds `num_tokens`."""
    return -(-num_tokens // BLOCK) * BLOCK


@dataclass(frozen=True, slots=True)
class KVBudget:
    """How many rows of how many tokens fit the memory bound. One row's share is kept for shared prompts."""

    num_bytes: int
    bytes_per_token: int
    batch_size: int

    def tokens_per_row(self, num_rows: int) -> int:
        """Return the longest row, in tokens, when `num_rows` rows are held."""
        return self.num_bytes // ((num_rows + 1) * self.bytes_per_token) // BLOCK * BLOCK

    def rows_for(self, num_tokens: int) -> int:
        """Return how many rows are decoded together when one needs `num_tokens`: `batch_size`, a half, a quarter, …

        It depends on the length alone, never on what else is in flight, so a request is always computed in a batch of
        the same shape. 0: not even one row fits.
        """
        num_rows = self.batch_size
        while num_rows and self.tokens_per_row(num_rows) < num_tokens:
            num_rows //= 2
        return num_rows

    def sizes(self, num_tokens: int) -> list[int]:
        """Return every number of rows that requests of up to `num_tokens` are decoded in, the largest first."""
        halved = [self.batch_size >> times for times in range(self.batch_size.bit_length())]
        return [size for size in halved if self.rows_for(num_tokens) <= size <= self.rows_for(1)]


class RowLayer(DynamicLayer):  # type: ignore[misc]  # transformers is not type-checked
    """One layer's keys and values, `[num_rows, heads, capacity, dim]`; each row has its own length."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, cache: RowCache) -> None:
        super().__init__()
        self.keys, self.values = keys, values
        self.cache = cache
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: object, **__: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write one new token per row at its row's position; return all that attention may look at."""
        rows, positions, length = self.cache.rows, self.cache.positions, self.cache.length
        self.keys[rows, :, positions] = key_states[:, :, 0]
        self.values[rows, :, positions] = value_states[:, :, 0]
        return self.keys[:, :, :length], self.values[:, :, :length]

    def grow(self, capacity: int) -> None:
        """Make room for `capacity` tokens a row; what is stored stays."""
        self.keys = _grown(self.keys, capacity)
        self.values = _grown(self.values, capacity)

    def get_seq_length(self) -> int:
        """Return the padded length: what a model sees as its past, the new token included."""
        return self.cache.length


class RowCache(Cache):  # type: ignore[misc]  # as above
    """The keys and values of all rows in flight, in the form that every model of transformers reads."""

    def __init__(self, like: Prefix, num_rows: int, max_capacity: int) -> None:
        self.num_rows, self.max_capacity = num_rows, max_capacity
        self.capacity = self.length = 0
        self.rows = torch.arange(num_rows, device=like[0][0].device)
        self.positions = torch.zeros_like(self.rows)
        super().__init__(
            layers=[RowLayer(_empty(keys, num_rows), _empty(values, num_rows), self) for keys, values in like]
        )

    def point(self, positions: torch.Tensor, longest: int) -> None:
        """Set where each row's next token goes (`positions`, `[num_rows]`); `longest` is the largest plus one."""
        self.reserve(longest)
        self.positions, self.length = positions, rounded_up(longest)

    def reserve(self, num_tokens: int) -> None:
        """Grow, at least by half, until a row holds `num_tokens`; layer by layer, so that only one exists twice."""
        if num_tokens <= self.capacity:
            return
        self.capacity = min(rounded_up(max(num_tokens, self.capacity * 3 // 2)), self.max_capacity)
        for layer in self.layers:
            layer.grow(self.capacity)

    def put(self, row: int, prefix: Prefix) -> None:
        """Copy a prompt's keys and values to the beginning of `row`."""
        num_tokens = prefix[0][0].shape[2]
        self.reserve(num_tokens)
        for layer, (keys, values) in zip(self.layers, prefix, strict=True):
            layer.keys[row, :, :num_tokens] = keys[0]
            layer.values[row, :, :num_tokens] = values[0]

    def move(self, sources: Mapping[int, int]) -> None:
        """Let rows have what others have: each what its source had before any of this."""
        moved = {row: source for row, source in sources.items() if row != source}
        if not moved:
            return
        rows, of = (torch.tensor([*places], device=self.rows.device) for places in (moved, moved.values()))
        for layer in self.layers:
            layer.keys[rows, :, : self.length] = layer.keys[of, :, : self.length]
            layer.values[rows, :, : self.length] = layer.values[of, :, : self.length]


Chunks = tuple[tuple[int, ...], ...]
"""The tokens of a prompt, and of what stands behind it already, in the parts in which they are computed."""


class Prefixes:
    """The prompts and beginnings of answers computed last, so that rows share the work; the oldest goes first.

    `compute` returns the keys and values of a chunk behind those that are given, these included.
    """

    def __init__(self, compute: Callable[[tuple[int, ...], Prefix | None], Prefix]) -> None:
        self._compute = compute
        self._stored: OrderedDict[Chunks, Prefix] = OrderedDict()
        self._users: dict[Chunks, set[str]] = {}

    def get(self, chunks: Chunks, max_tokens: int, user: str = "") -> tuple[Prefix, int]:
        """Return keys and values of all chunks, and how many tokens of them were found.

        Then all that is stored holds at most `max_tokens` together. It is kept for the `user` until `forget`.
        """
        found = next((end for end in range(len(chunks), 0, -1) if chunks[:end] in self._stored), 0)
        prefix = self._stored[chunks[:found]] if found else None
        if found:
            self._stored.move_to_end(chunks[:found])
        for end in range(found, len(chunks)):
            self._shrink(max_tokens - sum(map(len, chunks[: end + 1])))
            prefix = self._stored[chunks[: end + 1]] = self._compute(chunks[end], prefix)
        for end in range(1, len(chunks) + 1):
            if chunks[:end] in self._stored:
                self._users.setdefault(chunks[:end], set()).add(user)
        assert prefix is not None, "there is at least one chunk"
        return prefix, sum(map(len, chunks[:found]))

    def forget(self, user: str) -> None:
        """Let go of what this user alone had asked for."""
        for chunks in [chunks for chunks, users in self._users.items() if user in users]:
            self._users[chunks].discard(user)
            if not self._users[chunks]:
                del self._users[chunks], self._stored[chunks]

    def _shrink(self, max_tokens: int) -> None:
        while self._stored and sum(len(chunk) for chunks in self._stored for chunk in chunks) > max_tokens:
            chunks, _ = self._stored.popitem(last=False)
            self._users.pop(chunks, None)


def _empty(like: torch.Tensor, num_rows: int) -> torch.Tensor:
    return like.new_zeros(num_rows, like.shape[1], 0, like.shape[3])


def _grown(stored: torch.Tensor, capacity: int) -> torch.Tensor:
    # Zeros, not empty memory: what lies behind a row's end gets weight 0, and 0 times NaN would still be NaN.
    grown = stored.new_zeros(*stored.shape[:2], capacity, stored.shape[3])
    grown[:, :, : stored.shape[2]] = stored
    return grown
