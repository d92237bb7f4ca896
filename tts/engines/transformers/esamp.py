"""Hosts ESamp: says who waits for a distiller, shows the hidden states to the core, and reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from tts.engines.filters import at_token
from tts.engines.transformers import taps
from tts.engines.transformers.guide import Projection, Rows
from tts.engines.transformers.parties import Parties, name_of
from tts.engines.transformers.row import Row
from tts.plugins.esamp import core
from tts.plugins.esamp.core import ESampCore
from tts.plugins.esamp.fusion import fuse, q_of
from tts.plugins.esamp.settings import ESampSettings
from tts.plugins.esamp.sharpness import measured_beside, with_entropy_of
from tts.types import PluginReport

NOBODY = core.StepRow("", 0, 1)
"""An empty row, as the core sees it."""


class ESampGuide:
    """Lets the core of ESamp guide the rows whose requests bring `guidance`.

    A group begins only while a distiller is free for it, so at most `num_slots` problems are in flight. Requests of
    groups that have begun, and unguided ones, may pass those that wait for a distiller.
    """

    def __init__(self, settings: ESampSettings, model: Any, vocabulary: int, batch_size: int) -> None:
        self._settings, self._head = settings, taps.Head.of(model, vocabulary)
        if settings.control == "vocabulary" and self._head.cap is not None:
            raise taps.unfit(model, "whose logits are capped, which `control: vocabulary` does not follow")
        if settings.target_kl is not None and self._head.cap is not None:
            raise taps.unfit(model, "whose logits are capped, which `target_kl` does not follow")
        weight = self._head.weight(vocabulary) if settings.control == "vocabulary" else None
        self._core = ESampCore(settings, self._head.d, batch_size, device=model.device, head=weight)
        self._taps = taps.Taps(model, settings.layer, self._mix)
        self._seats: list[core.StepRow] = []
        self._h_last: torch.Tensor | None = None
        self._h_mixed: torch.Tensor | None = None
        self._num_steered_steps = 0
        self._temperatures: list[float] = []
        self._on_device, self._device = torch.empty(0, 1), model.device
        self._parties = Parties(settings.most_groups)

    def add(self, row: Row) -> None:
        """Let a guided request belong to the party of its group."""
        self._parties.add(row)

    def may_start(self, row: Row) -> bool:
        """Tell whether the row needs no distiller, or its group has one, or one is free for it."""
        party = self._parties.of(row)
        if party is None or self._settings.scope == "shared":
            return True
        return self._parties.may_begin(party) and self._core.has_room(party.key)

    def start(self, row: Row) -> None:
        """Let a guided request join its group."""
        party, guidance = self._parties.of(row), row.request.guidance
        if party is None or guidance is None:
            return
        joined = self._core.join(
            name_of(row.request), party.key, group_size=guidance.group_size, beta=guidance.beta, seed=row.request.seed
        )
        assert joined, "`may_start` was asked first"
        party.has_begun = True

    def end(self, row: Row) -> None:
        """Let a guided request leave its group, and note its novelty, KL and number of guided tokens."""
        if self._parties.end(row) is not None:
            name = name_of(row.request)
            self._core.leave(name)
            row.statistics = self._core.request_statistics(name)

    def project(self, rows: Rows, decode: Callable[[], torch.Tensor]) -> Projection:
        """Return the logits of the mixed hidden states and, where the filters judge them, the model's own."""
        self._seats = [seat_of(row) if row is not None else NOBODY for row in rows]
        logits = decode()
        if not any(map(self._is_steered, rows)):
            return Projection(logits)
        assert self._h_last is not None
        assert self._h_mixed is not None
        if self._head.cap is not None:
            logits, own = self._fused(logits), logits
        reference = None
        if self._needs_reference():
            reference = self._reference(logits) if self._head.cap is None else own
            temperature = self._temperature(rows)
            self._core.measure_strength(logits, reference)
            if self._settings.keep_entropy:
                moved = (self._h_mixed != self._h_last).any(-1, keepdim=True)
                logits = with_entropy_of(reference, logits, temperature, moved)
            self._core.record(measured_beside(logits, reference, temperature))
        return Projection(logits, reference if self._settings.filter == "reference" else None)

    def report(self) -> PluginReport:
        """Return the run's figures, and what is wrong with them."""
        statistics = self._core.statistics()
        return PluginReport("esamp", statistics.to_dict(), tuple(statistics.warnings(self._settings)))

    def release(self) -> None:
        """Let go of the model."""
        self._taps.remove()

    def _mix(self, h_first: torch.Tensor, h_last: torch.Tensor) -> torch.Tensor:
        self._h_last, self._h_mixed = h_last, self._core.step(self._seats, h_first, h_last)
        return self._h_mixed if self._head.cap is None else h_last

    def _fused(self, reference: torch.Tensor) -> torch.Tensor:
        """Return the model's capped logits, mixed with those of q."""
        assert self._h_last is not None
        assert self._h_mixed is not None
        beta = self._core.betas(len(reference)).to(reference.device)
        q = q_of(self._h_last, self._h_mixed, beta).to(self._h_last.dtype)
        return fuse(reference, self._head.logits(q)[:, : reference.shape[-1]], beta)

    def _is_steered(self, row: Row | None) -> bool:
        """Tell whether the row's logits may differ from the model's own."""
        if row is None or row.request.guidance is None or row.request.guidance.beta == 0:
            return False
        return bool(row.token_ids) or self._settings.guide_first_token

    def _needs_reference(self) -> bool:
        """Tell whether this steered step needs the second projection."""
        every, step = self._settings.kl_every, self._num_steered_steps
        self._num_steered_steps += 1
        always = self._settings.filter == "reference" or self._settings.keep_entropy or self._core.measures_strength
        return always or (every > 0 and step % every == 0)

    def _temperature(self, rows: Rows) -> torch.Tensor:
        """Return the rows' temperatures `[num_rows, 1]`, 1 where that is 0; sent to the device when they change."""
        now = [at_token(row.request.decoding, len(row.token_ids)) if row else None for row in rows]
        given = [(one.first_token or one).temperature or 1.0 if one else 1.0 for one in now]
        if given != self._temperatures:
            self._temperatures = given
            self._on_device = torch.tensor(given, device=self._device).unsqueeze(1)
        return self._on_device

    def _reference(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the logits that the model had without guidance, as many as in `logits`."""
        assert self._h_last is not None
        return self._head.logits(self._h_last)[:, : logits.shape[-1]]


def seat_of(row: Row) -> core.StepRow:
    """Return what the core must know of a row; its first pass reads the last token of the prompt."""
    return core.StepRow(name_of(row.request), row.position, row.num_read)
