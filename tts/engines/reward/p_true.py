"""P(True): a model's own probability that an answer is right (Kadavath et al. 2022, arXiv 2207.05221)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from tts.engines.reward.asking import Asking


class PTrue(Asking):
    """Asks whether the answer is correct so far: p(yes) / (p(yes) + p(no)) of the first token.

    Differs from the source, which offers the choices (A) and (B): here «Yes» and «No», as the generative verifiers of
    Zhang et al. 2024 (arXiv 2408.15240).
    """

    label: ClassVar[str] = "p_true"

    prompt: str = (
        "{problem}\n\nHere is a solution; it may not be finished yet:\n\n{answer}\n\n"
        "Is this solution correct so far? Answer with Yes or No."
    )
    """The question. `{problem}` is what was sent to draw the answer, `{answer}` what is rated."""

    yes: str = Field(default="Yes", min_length=1)
    """What the model says of a right answer; one token."""

    no: str = Field(default="No", min_length=1)
    """What it says of a wrong one; one token."""

    @property
    def tokens(self) -> tuple[str, ...]:
        """`yes` and `no`."""
        return (self.yes, self.no)

    def value(self, logprobs: Sequence[float]) -> float:
        """Return the share of `yes`."""
        yes, no = logprobs
        return 1 / (1 + math.exp(no - yes)) if no < yes else math.exp(yes - no) / (1 + math.exp(yes - no))
