"""Hosts contrastive decoding: a second, smaller model reads what the rows hold, and its logits are what to avoid.

How it works. The amateur is a model of transformers like the engine's own, decoded row by row beside it: it has keys
and values of its own, at the same places, reads the same tokens at the same positions in every pass, and learns of a
row when it first stands in a place. Nothing of it reaches the decoder but the fused logits and the tokens that the
expert finds plausible.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from tts.engines.transformers.decoder import inputs_of, next_logits, prefill
from tts.engines.transformers.guide import Projection, Rows, Unguided
from tts.engines.transformers.kv_cache import KVBudget, Prefixes, RowCache
from tts.engines.transformers.loading import Loaded
from tts.engines.transformers.row import Row
from tts.errors import EngineError
from tts.plugins.contrastive.plausibility import plausible
from tts.plugins.contrastive.settings import ContrastiveSettings
from tts.plugins.esamp.fusion import fuse, kl_divergence
from tts.types import PluginReport

KL_EVERY = 16
"""On every so manieth pass it is measured how far the distribution that is drawn from is from the expert's."""


class Contrastive(Unguided):
    """Lets an amateur's logits push those of the rows whose requests bring `guidance`; others stay bit for bit.

    `budget` says how long rows get, the amateur's keys and values included.
    """

    def __init__(self, settings: ContrastiveSettings, amateur: Loaded, vocabulary: int, budget: KVBudget) -> None:
        self._settings, self._amateur, self._vocabulary, self._budget = settings, amateur, vocabulary, budget
        self._cache: RowCache | None = None
        self._held: list[Row | None] = []
        self._prefixes = Prefixes(lambda token_ids, after: prefill(amateur.model, token_ids, after))
        self._num_guided = self._num_passes = self._num_measured = 0
        device = amateur.model.device
        self._kl, self._kept = torch.zeros((), device=device), torch.zeros((), device=device)

    def project(self, rows: Rows, decode: Callable[[], torch.Tensor]) -> Projection:
        """Return the fused logits, and which of them may be drawn."""
        expert = decode()
        betas = [0.0 if row is None or row.request.guidance is None else row.request.guidance.beta for row in rows]
        guided = [row is not None and row.request.guidance is not None for row in rows]
        if not any(guided):
            return Projection(expert)
        amateur = self._logits(rows)
        fused = fuse(expert, amateur, torch.tensor(betas, device=expert.device).unsqueeze(1))
        is_guided = torch.tensor(guided, device=expert.device).unsqueeze(1)
        allowed = plausible(expert, self._settings.alpha) | ~is_guided
        if self._num_passes % KL_EVERY == 0:
            kl = kl_divergence(fused.masked_fill(~allowed, -torch.inf), expert)
            self._kl += (kl * is_guided[:, 0]).sum()
            self._kept += (allowed.sum(-1) * is_guided[:, 0]).sum()
            self._num_measured += sum(guided)
        self._num_passes += 1
        self._num_guided += sum(guided)
        return Projection(fused, allowed=allowed)

    def report(self) -> PluginReport:
        """Return how many tokens were guided, how far from the expert's own, and among how many they were drawn."""
        measured = max(1, self._num_measured)
        figures = {
            "rows_guided": float(self._num_guided),
            "mean_kl": self._kl.item() / measured if self._num_measured else None,
            "mean_plausible_tokens": self._kept.item() / measured if self._num_measured else None,
        }
        warnings = () if self._num_guided else ("contrastive decoding guided no token: no completion was drawn",)
        return PluginReport("contrastive", figures, warnings)

    def release(self) -> None:
        """Let go of the amateur's memory."""
        self._cache, self._held = None, []

    def _logits(self, rows: Rows) -> torch.Tensor:
        """Return the amateur's logits `[num_rows, vocabulary]`; those of rows that are not guided mean nothing."""
        if self._cache is None or len(self._held) != len(rows):
            self._cache = None  # frees the old memory before the new is taken
            capacity = self._budget.tokens_per_row(len(rows))
            self._cache, self._held = RowCache(self._amateur.layers, len(rows), capacity), [None] * len(rows)
        inputs = [(0, 0)] * len(rows)
        for place, row in enumerate(rows):
            if row is None or row.request.guidance is None:
                continue
            if self._held[place] is not row:
                self._held[place] = row
                chunks = inputs_of(row.chunks)
                if chunks:
                    self._cache.put(place, self._prefixes.get(chunks, self._cache.max_capacity)[0])
            inputs[place] = (row.next_input, row.position)
        return next_logits(self._amateur.model, self._cache, inputs)[:, : self._vocabulary]


def check_vocabularies(expert: dict[str, int], amateur: dict[str, int], name: str) -> None:
    """Raise EngineError unless both tokenizers have the same tokens under the same ids."""
    if expert == amateur:
        return
    token = min(expert.items() ^ amateur.items(), key=lambda one: (one[1], one[0]))[0]
    raise EngineError(
        f"`sampler.amateur` must have the vocabulary of the engine's model, got {name!r}, in which the token {token!r} "
        f"has the id {amateur.get(token)}, not {expert.get(token)}. Use a smaller model of the same family"
    )
