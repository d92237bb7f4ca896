"""Samplers from outside: one that draws cold and hot in turn, and one that searches: it lets the model think again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from tts import Calls, Component, Decoding, Order, Piece, Problem, Request


class Alternating(Component):
    """Draws even candidates at the temperature `cold`, odd ones at `hot`."""

    requires: ClassVar[frozenset[str]] = frozenset()
    interacting: ClassVar[bool] = False

    num_candidates: int = Field(default=8, ge=1)
    """How many candidates to draw for each problem."""

    max_tokens: int = Field(default=256, ge=1)
    """The most tokens a candidate may have."""

    cold: float = Field(default=0.3, ge=0)
    """The temperature of candidates 0, 2, …"""

    hot: float = Field(default=1.2, ge=0)
    """The temperature of candidates 1, 3, …"""

    def requests(self, order: Order) -> Iterator[Request]:
        """Yield one request per index in `order.indices`, in that order."""
        for index, seed in zip(order.indices, order.seeds, strict=True):
            decoding = Decoding(max_tokens=self.max_tokens, temperature=self.hot if index % 2 else self.cold)
            yield Request(order.problem.id, str(index), order.messages, decoding, seed, "alternating")


class SecondThoughts(Component):
    """Lets every answer go on behind «But is that right?», until one says what the answer before it said."""

    label: ClassVar[str] = "second_thoughts"
    requires: ClassVar[frozenset[str]] = frozenset({"prefix"})
    interacting: ClassVar[bool] = True

    num_candidates: int = Field(default=4, ge=1)
    """The most candidates that are handed in; each but the first is the one before it, thought over."""

    max_tokens: int = Field(default=256, ge=1)
    """The most tokens of each thought."""

    doubt: str = "\n\nBut is that right? "
    """What makes the model think again."""

    @property
    def most_calls(self) -> int:
        """Return the calls of all thoughts, and the looks at their answers."""
        return 2 * self.num_candidates

    @property
    def most_tokens(self) -> int:
        """Return the tokens of all thoughts."""
        return self.num_candidates * self.max_tokens

    async def search(self, problem: Problem, calls: Calls) -> None:
        """Think until two answers in a row agree."""
        del problem
        written: tuple[Piece, ...] = ()
        seen: list[tuple[Piece, ...]] = []
        for index in range(self.num_candidates):
            thought = await calls.generate(Decoding(max_tokens=self.max_tokens), written)
            written = (*written, thought.piece)
            calls.emit(index, written, thought.finish_reason)
            seen.append(written)
            nodes = (await calls.classes(seen[-2:])).nodes
            if len(nodes) == 2 and nodes[0] is not None and nodes[0] == nodes[1]:
                break
            written = (*written, Piece(self.doubt))
