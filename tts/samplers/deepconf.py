"""DeepConf online: give up what falls below the first candidates' confidence (Fu et al. 2025, arXiv 2508.15260)."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from pydantic import Field

from tts.errors import CallError
from tts.protocols import Calls
from tts.samplers.one_by_one import OneByOne, answer_of
from tts.samplers.stopping import agreed, quantile
from tts.types import Completion, ConfidenceFloor, Decoding, Problem, Written


class DeepConf(OneByOne):
    """Draws `warmup` whole candidates, then others that are abandoned when their confidence falls below a floor.

    The floor is the (1 - `keep`) quantile of the first ones' least confidences. It stops once the leading answer has
    `consensus` of the weight, a candidate's being its least confidence; abandoned ones have none. Differs from the
    source: all whole candidates vote, the first ones below the floor, too, as `confidence_vote` with `keep: 1` lets
    them; what is drawn ahead of a decision costs tokens and changes no result.
    """

    label: ClassVar[str] = "deepconf"

    warmup: int = Field(default=16, ge=1)
    """How many candidates are drawn whole, all at once; all of them where `num_candidates` is no more."""

    keep: float = Field(default=0.1, gt=0, le=1)
    """The share of the first candidates that reach the floor: 0.1 is the paper's «low», 0.9 its «high»."""

    consensus: float = Field(default=0.95, gt=0.5, le=1)
    """Stop when the leading answer has this share of the weight."""

    confidence_window: int = Field(default=ConfidenceFloor().window, ge=1)
    """Over how many tokens in a row confidence is measured; a shorter candidate is never abandoned."""

    confidence_top_k: int = Field(default=ConfidenceFloor().top_k, ge=1)
    """Over how many of the likeliest tokens the confidence of one token is measured."""

    @property
    def requires(self) -> frozenset[str]:
        """The filters', and that the engine gives up what falls below a floor."""
        return super().requires | {"floor"}

    async def search(self, problem: Problem, calls: Calls) -> None:
        """Draw the first ones, then the others until one answer has the weight."""
        del problem
        seen: list[Written] = []
        least: list[float | None] = []
        warmup = min(self.warmup, self.num_candidates)
        async for one in self.completions(calls, self._above(0.0), range(warmup), warmup):
            seen.append(answer_of(one))
            least.append(least_of(one))
        known = [value for value in least if value is not None]
        if not known:
            raise CallError("none of the first candidates tells its confidence, so there is no floor for the others")
        if agreed(await calls.classes(seen), least, self.consensus):
            return
        above = self._above(quantile(known, self.keep))
        async for one in self.completions(calls, above, range(warmup, self.num_candidates), self.window):
            seen.append(answer_of(one))
            least.append(least_of(one))
            if seen[-1] and agreed(await calls.classes(seen), least, self.consensus):
                return

    def _above(self, threshold: float) -> Decoding:
        floor = ConfidenceFloor(self.confidence_window, self.confidence_top_k, threshold)
        return replace(self.decoding(), floor=floor)


def least_of(completion: Completion | None) -> float | None:
    """Return the least confidence that an engine noted; None where it noted none."""
    return None if completion is None else completion.engine_stats.get("least_confidence")
