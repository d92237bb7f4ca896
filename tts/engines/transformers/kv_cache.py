"""The memory of attention: one fixed block of rows, written in place, and the prompts that candidates share.

How it works. A layer that looks at all tokens keeps them in order. One that looks at a window of the last W alone keeps
a ring of R tokens, W rounded up to whole blocks: the token at position p lies in place p mod R, over the one that is R
older. In what order the keys lie makes no difference to attention; which of them a row may see is in the mask, which is
therefore another one for each kind of layer (`visible_mask`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from transformers.cache_utils import Cache, DynamicLayer

BLOCK = 64
"""Lengths are rounded up to this many tokens; padding by whole blocks leaves the result of attention bit-identical."""


class Prefix(NamedTuple):
    """Keys and values of a prompt of `num_tokens`, per layer, each `[1, heads, tokens, dim]`.

    A layer with a window may have its last tokens alone, one less than the window.
    """

    num_tokens: int
    layers: list[tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True, slots=True)
class LayerMemory:
    """What a layer keeps of a token: `keys` and `values` are one token's, `[1, heads, 1, dim]`.

    It looks at the last `window` tokens, the newest included; None: at all. `kind` is what the model's configuration
    calls such a layer; None: the configuration has one kind alone, without a name.
    """

    keys: torch.Tensor
    values: torch.Tensor
    window: int | None = None
    kind: str | None = None

    @property
    def num_bytes(self) -> int:
        """The memory of one token."""
        return sum(part.numel() * part.element_size() for part in (self.keys, self.values))

    @property
    def ring(self) -> int | None:
        """How many tokens are kept; None: all."""
        return None if self.window is None else rounded_up(self.window)


def rounded_up(num_tokens: int) -> int:
    """Return the smallest multiple of `BLOCK` that holds `num_tokens`."""
    return -(-num_tokens // BLOCK) * BLOCK


@dataclass(frozen=True, slots=True)
class KVBudget:
    """How many rows of how many tokens fit the memory bound. As many tokens as one row has are kept for shared prompts.

    `rings` are (tokens, bytes): that many of the `bytes_per_token` are kept of so many tokens of a row at most. (Shared
    prompts are counted whole.)
    """

    num_bytes: int
    bytes_per_token: int
    batch_size: int
    rings: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, num_bytes: int, batch_size: int, layers: Sequence[LayerMemory]) -> KVBudget:
        """Return the budget of a model with these layers."""
        rings = tuple((layer.ring, layer.num_bytes) for layer in layers if layer.ring is not None)
        return cls(num_bytes, sum(layer.num_bytes for layer in layers), batch_size, rings)

    def tokens_per_row(self, num_rows: int) -> int:
        """Return the longest row, in tokens, when `num_rows` rows are held."""
        in_rings = sum(num_bytes for _, num_bytes in self.rings)

        def needed(num_blocks: int) -> int:
            num_tokens = num_blocks * BLOCK
            kept = sum(min(num_tokens, ring) * num_bytes for ring, num_bytes in self.rings)
            row = num_tokens * (self.bytes_per_token - in_rings) + kept
            return num_rows * row + num_tokens * self.bytes_per_token

        longest = self.num_bytes // (self.bytes_per_token * BLOCK)
        return BLOCK * (bisect_right(range(longest + 1), self.num_bytes, key=needed) - 1)

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

    def __init__(self, memory: LayerMemory, cache: RowCache) -> None:
        super().__init__()
        self.keys, self.values = _empty(memory.keys, cache.num_rows), _empty(memory.values, cache.num_rows)
        self.ring = memory.ring
        self.cache = cache
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: object, **__: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write one new token per row at its row's position; return all that attention may look at."""
        rows, places, length = self.cache.rows, self.cache.places[self.ring], self.cache.kept(self.ring)
        self.keys[rows, :, places] = key_states[:, :, 0]
        self.values[rows, :, places] = value_states[:, :, 0]
        return self.keys[:, :, :length], self.values[:, :, :length]

    def put(self, row: int, num_tokens: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Copy the last of the first `num_tokens` tokens to `row`."""
        places = torch.arange(num_tokens - keys.shape[2], num_tokens, device=keys.device)
        if self.ring is not None:
            places %= self.ring
        self.keys[row].index_copy_(1, places, keys[0])
        self.values[row].index_copy_(1, places, values[0])

    def grow(self, capacity: int) -> None:
        """Make room for `capacity` tokens a row; what is stored stays."""
        capacity = capacity if self.ring is None else min(capacity, self.ring)
        if capacity > self.keys.shape[2]:
            self.keys = _grown(self.keys, capacity)
            self.values = _grown(self.values, capacity)

    def get_seq_length(self) -> int:
        """Return the padded length: what a model sees as its past, the new token included."""
        return self.cache.length


class RowCache(Cache):  # type: ignore[misc]  # as above
    """The keys and values of all rows in flight, in the form that every model of transformers reads."""

    def __init__(self, like: Sequence[LayerMemory], num_rows: int, max_capacity: int) -> None:
        self.num_rows, self.max_capacity = num_rows, max_capacity
        self.capacity = self.length = 0
        self.rows = torch.arange(num_rows, device=like[0].keys.device)
        self.positions = torch.zeros_like(self.rows)
        self.windows = {layer.kind: layer.window for layer in like}
        self.places = {layer.ring: self.positions for layer in like}
        super().__init__(layers=[RowLayer(memory, self) for memory in like])

    def point(self, positions: torch.Tensor, longest: int) -> None:
        """Set where each row's next token goes (`positions`, `[num_rows]`); `longest` is the largest plus one."""
        self.reserve(longest)
        self.positions, self.length = positions, rounded_up(longest)
        self.places = {ring: positions if ring is None else positions % ring for ring in self.places}

    def kept(self, ring: int | None) -> int:
        """Return how many tokens a layer with such a ring shows of each row, padding included."""
        return self.length if ring is None else min(self.length, ring)

    def visible(self, dtype: torch.dtype) -> torch.Tensor | dict[str, torch.Tensor]:
        """Return the masks of the tokens to which the cache points, as models take them.

        That is one for each kind of layer by its name, or one for all; a model without windows takes that, too.
        """
        masks = {
            kind: visible_mask(self.positions, self.length, dtype, window) for kind, window in self.windows.items()
        }
        if None in masks or all(window is None for window in self.windows.values()):
            return next(iter(masks.values()))
        return {kind: mask for kind, mask in masks.items() if kind is not None}

    def reserve(self, num_tokens: int) -> None:
        """Grow, at least by half, until a row holds `num_tokens`; layer by layer, so that only one exists twice."""
        if num_tokens <= self.capacity:
            return
        self.capacity = min(rounded_up(max(num_tokens, self.capacity * 3 // 2)), self.max_capacity)
        for layer in self.layers:
            layer.grow(self.capacity)

    def put(self, row: int, prefix: Prefix) -> None:
        """Copy a prompt's keys and values to the beginning of `row`."""
        self.reserve(prefix.num_tokens)
        for layer, (keys, values) in zip(self.layers, prefix.layers, strict=True):
            layer.put(row, prefix.num_tokens, keys, values)

    def move(self, sources: Mapping[int, int]) -> None:
        """Let rows have what others have: each what its source had before any of this."""
        moved = {row: source for row, source in sources.items() if row != source}
        if not moved:
            return
        rows, of = (torch.tensor([*places], device=self.rows.device) for places in (moved, moved.values()))
        for layer in self.layers:
            layer.keys[rows, :, : self.length] = layer.keys[of, :, : self.length]
            layer.values[rows, :, : self.length] = layer.values[of, :, : self.length]


def visible_mask(positions: torch.Tensor, length: int, dtype: torch.dtype, window: int | None = None) -> torch.Tensor:
    """Return what is added to the attention scores, `[num_rows, 1, 1, kept]`: 0 where a row's newest token may look.

    Rows stand at `positions` `[num_rows]`, and `length` is the longest row's padded length. It may look at itself and
    the tokens before it, with a `window` at so many in all, of which the ring holds its size at most.
    """
    ring = None if window is None else rounded_up(window)
    places = torch.arange(length if ring is None else min(length, ring), device=positions.device)
    age = positions.unsqueeze(1) - places
    if ring is None:
        hidden = age < 0
    else:
        age %= ring
        hidden = (age >= window) | (age > positions.unsqueeze(1))
    mask = torch.zeros(hidden.shape, dtype=dtype, device=positions.device)
    return mask.masked_fill_(hidden, torch.finfo(dtype).min)[:, None, None, :]


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
