"""Greedy decoding: the most likely token at every step."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, field_validator

from tts.samplers.independent import IndependentSampler


class Greedy(IndependentSampler):
    """One candidate, of the most likely tokens. The filters always keep those, so here they change nothing."""

    label: ClassVar[str] = "greedy"

    num_candidates: int = Field(default=1, ge=1)
    """How many candidates to draw for each problem: 1, because greedy decoding writes the same text every time."""

    @field_validator("num_candidates")
    @classmethod
    def _only_one(cls, num_candidates: int) -> int:
        if num_candidates > 1:
            raise ValueError("must be 1: greedy decoding writes the same text every time. For more use `temperature`")
        return num_candidates

    def sampling_temperature(self) -> float:
        """Return 0."""
        return 0.0
