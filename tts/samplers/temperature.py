"""Temperature sampling (Ackley, Hinton & Sejnowski 1985), with any of the filters."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, model_validator

from tts.samplers.independent import IndependentSampler


class Temperature(IndependentSampler):
    """Draws each token from softmax(logits / temperature), then filtered if asked."""

    label: ClassVar[str] = "temperature"

    temperature: float = Field(default=0.7, ge=0)
    """Below 1 the likely tokens become likelier, above 1 the unlikely ones; 0 always takes the most likely."""

    @model_validator(mode="after")
    def _no_copies(self) -> Self:
        if self.repeats and self.num_candidates > 1:
            raise ValueError(
                f"`temperature` must be above 0 to draw {self.num_candidates} candidates, got 0, which writes the same "
                "text every time. Raise it, or set num_candidates to 1"
            )
        return self

    def sampling_temperature(self) -> float:
        """Return `temperature`."""
        return self.temperature
