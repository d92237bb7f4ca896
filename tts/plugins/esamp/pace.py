"""How far a distiller moves that is trained after every m-th decoding step, on the rows of the last m.

The paper trains after each, with Adam. A batch of m steps' rows has 1/√m of one step's noise, which bears √m times the
rate (the usual rule for larger batches), from the first update to the last. More than that, as long as the way is far,
learns sooner at a hidden size of 576, but makes the loss jump at 896 (RESULTS.md, «What ESamp's distiller learns, and
when»).

At Adam's usual β₁ = 0.9 the first moment remembers about 10 updates, which would be 10·m steps. 1 − 0.1·√m makes it
10·√m. At m = 1 all this is Adam as it comes; the paper names no decay rates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """`learning_rate` is the paper's, of one decoding step; `train_every` is m."""

    learning_rate: float
    train_every: int = 1

    @property
    def betas(self) -> tuple[float, float]:
        """Adam's decay rates."""
        return max(0.0, 1 - 0.1 * math.sqrt(self.train_every)), 0.999

    @property
    def rate(self) -> float:
        """Adam's learning rate at every update."""
        return self.learning_rate * math.sqrt(self.train_every)
