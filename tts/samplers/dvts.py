"""Diverse verifier tree search: independent trees, greedy in each (Beeching et al. 2024)."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, model_validator

from tts.protocols import Calls
from tts.samplers.steps import Path, StepSearch, whole_groups
from tts.types import Problem


class DVTS(StepSearch):
    """Plants `num_candidates / beam_width` trees; in each the best child goes on, the last children are handed in."""

    label: ClassVar[str] = "dvts"

    beam_width: int = Field(default=4, ge=1)
    """How many children are drawn at each step of a tree."""

    @model_validator(mode="after")
    def _whole_trees(self) -> Self:
        whole_groups(self.num_candidates, self.beam_width)
        return self

    async def search(self, problem: Problem, calls: Calls) -> None:
        """Let every tree grow by itself."""
        del problem
        trees = [calls.branch(self._tree) for _ in range(self.num_candidates // self.beam_width)]
        self.emit(calls, [path for tree in trees for path in await tree])

    async def _tree(self, calls: Calls) -> list[Path]:
        best = Path()
        while True:
            grown = [calls.branch(self.grow, best) for _ in range(self.beam_width)]
            children = sorted([await one for one in grown], key=lambda path: -path.value)
            best = children[0]
            if best.finish_reason is not None:
                return children
