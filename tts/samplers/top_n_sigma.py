"""Top-nσ sampling: Tang et al. 2024, «Top-nσ: Not All Logits Are You Need»."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from tts.samplers.temperature import Temperature


class TopNSigma(Temperature):
    """Keeps the tokens whose logit is within `top_n_sigma` standard deviations of the largest one.

    What it keeps is the same at every temperature, which allows high ones.
    """

    label: ClassVar[str] = "top_n_sigma"

    temperature: float = Field(default=1.0, ge=0)
    """Below 1 the likely tokens become likelier, above 1 the unlikely ones; 0 always takes the most likely."""

    top_n_sigma: float = Field(default=1.0, gt=0)
    """Keep only tokens whose logit is within this many standard deviations of the largest; the source advises 1."""
