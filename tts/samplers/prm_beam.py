"""Beam search under a process reward model (Snell et al. 2024, arXiv 2408.03314)."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, model_validator

from tts.protocols import Calls
from tts.samplers.steps import Path, StepSearch, whole_groups
from tts.types import Problem


class PRMBeam(StepSearch):
    """Grows `num_candidates` paths by a step, keeps the best, and grows copies of these, until all are over.

    Paths that are over leave the beam. Candidates come in the order of their last reward.
    """

    label: ClassVar[str] = "prm_beam"

    beam_width: int = Field(default=4, ge=1)
    """How many children a survivor has: `num_candidates / beam_width` paths survive a step."""

    @model_validator(mode="after")
    def _whole_beams(self) -> Self:
        whole_groups(self.num_candidates, self.beam_width)
        return self

    async def search(self, problem: Problem, calls: Calls) -> None:
        """Grow until enough paths are over, or none goes on."""
        del problem
        beams, over = [Path()] * self.num_candidates, list[Path]()
        while beams and len(over) < self.num_candidates:
            grown = [calls.branch(self.grow, path) for path in beams]
            told = [await one for one in grown]
            over += [path for path in told if path.finish_reason is not None]
            alive = [path for path in told if path.finish_reason is None]
            kept = sorted(alive, key=lambda path: -path.value)[: self.num_candidates // self.beam_width]
            beams = (kept * self.num_candidates)[: self.num_candidates]
        self.emit(calls, sorted(over, key=lambda path: -path.value))
