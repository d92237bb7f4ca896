"""A judge's expected score on an ordered scale (G-Eval, Liu et al. 2023, arXiv 2303.16634)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from tts.engines.reward.asking import Asking

SCALES = {"1-5": tuple("12345"), "A-T": tuple("TSRQPONMLKJIHGFEDCBA")}
"""From the worst to the best."""


class ExpectedScore(Asking):
    """Asks for a mark; the reward is its expectation over the scale's tokens alone, renormalised, in [0, 1].

    So there are as many rewards as probabilities, not as marks: ties are rare.
    """

    label: ClassVar[str] = "expected_score"

    prompt: str = (
        "{problem}\n\nHere is a solution; it may not be finished yet:\n\n{answer}\n\n"
        "How good is this solution so far? Answer with one of {scale} alone: {worst} is the worst, {best} the best."
    )
    """The question. `{problem}` is what was sent to draw the answer, `{answer}` what is rated; `{scale}`, `{worst}` and
    `{best}` are the marks, the worst and the best of them."""

    scale: Literal["1-5", "A-T"] = "1-5"
    """Five digits, of which 5 is the best, or twenty letters, of which A is the best; each is one token."""

    @property
    def tokens(self) -> tuple[str, ...]:
        """The marks, from the worst to the best."""
        return SCALES[self.scale]

    def words(self) -> Mapping[str, str]:
        """`scale`, `worst` and `best`."""
        marks = self.tokens
        return {"scale": ", ".join(sorted(marks)), "worst": marks[0], "best": marks[-1]}

    def value(self, logprobs: Sequence[float]) -> float:
        """Return the expected place on the scale, from 0 (the worst) to 1 (the best)."""
        likeliest = max(logprobs)
        weights = [math.exp(logprob - likeliest) for logprob in logprobs]
        places = [place / (len(weights) - 1) for place in range(len(weights))]
        return math.fsum(map(math.prod, zip(weights, places, strict=True))) / math.fsum(weights)
