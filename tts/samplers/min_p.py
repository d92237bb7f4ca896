"""Min-p sampling: Nguyen et al. 2024, «Turning Up the Heat: Min-p Sampling for Creative and Coherent LLM Outputs»."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from tts.samplers.temperature import Temperature


class MinP(Temperature):
    """Keeps the tokens at least `min_p` times as likely as the most likely one: few where the model is sure of itself,
    many where it is not, which allows higher temperatures.

    The temperature is applied first, so `min_p` compares the probabilities at that temperature.
    """

    label: ClassVar[str] = "min_p"

    temperature: float = Field(default=1.0, ge=0)
    """Below 1 the likely tokens become likelier, above 1 the unlikely ones; 0 always takes the most likely."""

    min_p: float = Field(default=0.1, gt=0, lt=1)
    """Keep only tokens at least this times as likely as the most likely one; the source advises 0.05 to 0.1."""
