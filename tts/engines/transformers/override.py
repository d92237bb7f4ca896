"""Hosts OverRIDE: shows the core what the model's head gets, its logits, and what was drawn from them.

The tokens of a pass are known when the next one begins: then the heads learn from them, before they guide.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from tts.engines.transformers import taps
from tts.engines.transformers.guide import Projection, Rows
from tts.engines.transformers.parties import Parties, name_of
from tts.engines.transformers.row import Row
from tts.plugins.override.core import OverrideCore
from tts.plugins.override.settings import OverrideSettings
from tts.types import PluginReport


class OverrideGuide:
    """Lets the core of OverRIDE guide the rows whose requests bring `guidance`.

    A problem begins only while a set of heads is free for it.
    """

    def __init__(self, settings: OverrideSettings, model: Any, vocabulary: int, batch_size: int) -> None:
        self._settings = settings
        head = taps.head_of(model)
        self._hook = head.register_forward_pre_hook(self._before_head)
        hidden_size = model.config.get_text_config(decoder=True).hidden_size
        self._core = OverrideCore(settings, hidden_size, vocabulary, batch_size, model.device)
        self._parties = Parties(settings.most_groups)
        self._h_last: torch.Tensor | None = None
        self._drawn: list[tuple[Row, int] | None] = []  # each place's row in the last pass, and which token it drew

    def add(self, row: Row) -> None:
        """Let a guided request belong to the party of its group."""
        self._parties.add(row)

    def may_start(self, row: Row) -> bool:
        """Tell whether the row needs no heads, or its problem has them, or they are free for it."""
        party = self._parties.of(row)
        if party is None or self._settings.scope == "shared":
            return True
        return self._parties.may_begin(party) and self._core.has_room(party.key)

    def start(self, row: Row) -> None:
        """Let a guided request join its problem."""
        party, guidance = self._parties.of(row), row.request.guidance
        if party is not None and guidance is not None:
            self._core.join(name_of(row.request), party.key, group_size=guidance.group_size, beta=guidance.beta)
            party.has_begun = True

    def end(self, row: Row) -> None:
        """Learn the row's last token with those of its pass, and let it leave."""
        self._learn()
        if self._parties.end(row) is not None:
            self._core.leave(name_of(row.request))

    def project(self, rows: Rows, decode: Callable[[], torch.Tensor]) -> Projection:
        """Return the logits, lowered by what the heads add."""
        self._learn()
        logits = decode()
        assert self._h_last is not None
        named = [None if row is None or row.request.guidance is None else name_of(row.request) for row in rows]
        self._drawn = [None if row is None else (row, len(row.token_ids)) for row in rows]
        return Projection(self._core.fuse(named, self._h_last, logits))

    def report(self) -> PluginReport:
        """Return the run's figures, and what is wrong with them."""
        return PluginReport("override", self._core.statistics(), tuple(self._core.warnings()))

    def release(self) -> None:
        """Let go of the model."""
        self._hook.remove()

    def _learn(self) -> None:
        """Learn from the tokens of the last pass, once."""
        if self._drawn and self._h_last is not None:
            tokens = [0 if drawn is None else drawn[0].token_ids[drawn[1]] for drawn in self._drawn]
            self._drawn = []
            self._core.learn(torch.tensor(tokens, device=self._h_last.device))

    def _before_head(self, _head: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        self._h_last = inputs[0][:, -1]
