"""What a decoder asks whoever guides its rows. Here: nobody."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import torch

from tts.engines.transformers.row import Row
from tts.types import PluginReport

Rows = Sequence[Row | None]
"""The rows of a pass by their places; None: an empty one."""


class Projection(NamedTuple):
    """What the rows of a pass are drawn from, `[num_rows, vocabulary]`; the filters judge `reference` if any.

    Only where `allowed`, of the same shape, may a token be drawn; the filters act among those. Log-probabilities are
    those of `logits` all the same.

    `settled` rows are not drawn: the guide has done with them what is to be done in this pass. By their places it tells
    behind whose keys and values each goes on; its own place where nothing moves.
    """

    logits: torch.Tensor
    reference: torch.Tensor | None = None
    settled: Mapping[int, int] | None = None
    allowed: torch.Tensor | None = None


class Guide(Protocol):
    """Follows the requests through the decoder, and may change the logits of those it knows."""

    def add(self, row: Row) -> None:
        """Learn of a request that will wait for its turn."""

    def may_start(self, row: Row) -> bool:
        """Tell whether a waiting row may be decoded now. Where nothing is decoded, one of those that wait may."""

    def start(self, row: Row) -> None:
        """Learn that `row` is decoded from now on; twice is like once."""

    def end(self, row: Row) -> None:
        """Learn that `row`, started or not, is finished, and give it its `statistics`."""

    def project(self, rows: Rows, decode: Callable[[], torch.Tensor]) -> Projection:
        """Let `decode` run the model on `rows` and return its logits."""

    def report(self) -> PluginReport | None:
        """Return what was done so far; None where nothing guides."""

    def release(self) -> None:
        """Let go of the model."""


class Unguided:
    """The guide where no plugin runs: every row may start, and the logits are the model's own."""

    def add(self, row: Row) -> None:
        """Nothing to learn."""

    def may_start(self, row: Row) -> bool:  # noqa: ARG002  # the protocol's
        """Return True."""
        return True

    def start(self, row: Row) -> None:
        """Nothing to learn."""

    def end(self, row: Row) -> None:
        """Nothing to add."""

    def project(self, rows: Rows, decode: Callable[[], torch.Tensor]) -> Projection:  # noqa: ARG002  # the protocol's
        """Return the model's logits."""
        return Projection(decode())

    def report(self) -> PluginReport | None:
        """Return None."""
        return None

    def release(self) -> None:
        """Nothing to let go of."""
