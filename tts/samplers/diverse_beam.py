"""Diverse beam search: Vijayakumar et al. 2016, arXiv 1610.02424."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import model_validator

from tts.plugins.beam.settings import DiverseBeamSettings
from tts.samplers.beam import Beam


class DiverseBeam(DiverseBeamSettings, Beam):
    """Beam search in groups; a later group is held off the tokens that earlier ones have just taken.

    Candidates come group by group, in each by their scores. Differs from the source: scores are those of the model
    alone, the penalty acts in choosing.
    """

    label: ClassVar[str] = "diverse_beam"
    settings: ClassVar[type[DiverseBeamSettings]] = DiverseBeamSettings

    @model_validator(mode="after")
    def _whole_groups(self) -> Self:
        if self.num_candidates % self.num_groups:
            raise ValueError(
                f"`num_candidates` must be a multiple of num_groups, {self.num_groups}, got {self.num_candidates}"
            )
        return self
