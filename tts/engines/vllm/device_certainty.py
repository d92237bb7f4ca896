"""How sure the model is, measured on the device alone: sums and floors of the requests of a runner that runs ahead."""

from __future__ import annotations

import math

import torch

from tts.engines.confidence import ROUNDING, confidence_figures, token_confidences
from tts.engines.vllm.members import StepRows


class DeviceCertainties:
    """As `certainty.Certainties`, by member: each one's self-certainty, confidences, and where it fell below its floor.

    Confidences take a line of `max_tokens` numbers for each member, once a request has a floor.
    """

    def __init__(self, num_members: int, max_tokens: int, device: torch.device) -> None:
        self._shape, self._device = (num_members + 1, max_tokens + 1), device
        self._confidences: torch.Tensor | None = None
        with torch.inference_mode(False):  # so that they can be changed in that mode and out of it
            self.sums = torch.zeros(num_members + 1, 2, dtype=torch.float64, device=device)
            self.fell_at = torch.full((num_members + 1,), -1, device=device)

    def enter(self, member: int, *, has_floor: bool) -> None:
        """Begin anew with a member."""
        self.sums[member].zero_()
        self.fell_at[member] = -1
        if has_floor and self._confidences is None:
            with torch.inference_mode(False):  # as above
                self._confidences = torch.zeros(self._shape, device=self._device)

    def add_self_certainty(self, rows: StepRows, logits: torch.Tensor) -> None:
        """Take the raw logits of the rows `[num_rows, vocabulary]`, float32."""
        value = (logits.logsumexp(-1) - logits.mean(-1) - math.log(logits.shape[-1])).double()
        new = rows.of_core.new
        self.sums.index_add_(0, rows.of_core.member, torch.stack([torch.where(new, value, 0.0), new.double()], dim=1))

    def fallen(self, rows: StepRows, logits: torch.Tensor, top_ks: list[int], longest: int) -> torch.Tensor:
        """Take raw logits as above; return which rows are below their floor now `[num_rows]`.

        `top_ks` are those of all floors that there are, `longest` their longest window; each must be known on the host.
        """
        assert self._confidences is not None
        known, member, number = rows.known, rows.of_core.member, rows.number
        confidence = torch.zeros_like(logits[:, 0])
        for top_k in top_ks:
            is_meant = known("floor_top_k") == top_k
            confidence = torch.where(is_meant, token_confidences(logits, top_k), confidence)
        measured = rows.of_core.live & (known("floor_top_k") > 0)
        # A row that is not measured, or was before, writes behind the last token of nobody.
        writes = measured & rows.of_core.new
        line = torch.where(writes, member, self._shape[0] - 1)
        place = torch.where(writes, number, self._shape[1] - 1)
        self._confidences.view(-1).index_copy_(0, line * self._shape[1] + place, confidence)
        back = torch.arange(longest, device=logits.device)
        window = known("floor_window").unsqueeze(1)
        places = member.unsqueeze(1) * self._shape[1] + (number.unsqueeze(1) - back).clamp(min=0)
        latest = self._confidences.take(places)
        mean = torch.where(back < window, latest, 0.0).sum(1) / window.squeeze(1).clamp(min=1)
        threshold = known("floor_threshold")
        fallen = (
            measured & (threshold > 0) & (number + 1 >= known("floor_window")) & (mean < threshold * (1 - ROUNDING))
        )
        fell_at = self.fell_at.index_select(0, member)
        self.fell_at.index_copy_(0, member, torch.where(fallen & (fell_at < 0), number, fell_at))
        return fallen

    def lines(self, members: torch.Tensor, num_tokens: int) -> torch.Tensor:
        """Return what was measured of these members, on the device `[num_members, 3 + num_tokens]`, float64."""
        parts = [self.sums.index_select(0, members), self.fell_at.index_select(0, members).double().unsqueeze(1)]
        if self._confidences is not None:
            parts.append(self._confidences[:, :num_tokens].index_select(0, members).double())
        return torch.cat(parts, dim=1)

    @staticmethod
    def figures(line: list[float], num_tokens: int, window: int | None) -> dict[str, float]:
        """Return a request's figures, given its line; `window`: over which its confidence is measured, if it is."""
        total, count, fell_at, *confidences = line
        found = {"self_certainty": total / count} if count and math.isfinite(total) else {}
        if window is not None:
            found |= confidence_figures(confidences[:num_tokens], window)
        if 0 <= fell_at < num_tokens:
            found["abandoned"] = 1.0
        return found
