"""FIRE: Chen et al. 2024, «Flaming-hot Initiation with Regular Execution Sampling for Large Language Models»."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from tts.samplers.temperature import Temperature


class Fire(Temperature):
    """Draws the first token at a very high temperature among the few most likely ones, and the others as usual.

    The candidates then begin differently, and each goes on as the model would. With a greedy rest (`temperature: 0`)
    nothing but the first token differs.
    """

    label: ClassVar[str] = "fire"

    first_token_temperature: float = Field(default=30.0, gt=0)
    """The temperature of the first token; the source's is 30, nearly uniform over `first_token_top_k` tokens."""
