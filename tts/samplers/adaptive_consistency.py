"""Adaptive consistency: draw until the vote is settled (Aggarwal et al. 2023, arXiv 2305.11860)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from tts.protocols import Calls
from tts.samplers.one_by_one import OneByOne
from tts.samplers.stopping import settled
from tts.types import Problem, Written


class AdaptiveConsistency(OneByOne):
    """Draws candidates until the leading answer will stay ahead, at most `num_candidates`.

    It looks at the answers in the order of their indices, however they arrive: what is drawn ahead of a decision costs
    tokens and changes no result. With unequal numbers of candidates a problem's own pass@k is biased; its cost is not.
    """

    label: ClassVar[str] = "adaptive_consistency"

    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Stop when the leader is ahead of the runner-up for good with this probability (Beta criterion)."""

    async def search(self, problem: Problem, calls: Calls) -> None:
        """Draw until it is settled."""
        del problem
        seen: list[Written] = []
        async for drawn in self.drawn(calls):
            seen.append(drawn)
            if settled(await calls.classes(seen), self.confidence):
                break
