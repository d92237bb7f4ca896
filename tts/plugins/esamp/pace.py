"""How far a distiller moves that is trained after every m-th decoding step, on the rows of the last m.

The paper trains after each, with Adam. To learn as much from an m-th of the updates each must go further: m times at
first, while the way is far, and √m times in the long run, where m times would be unstable. Adam's first moment forgets
√m times as quickly. At m = 1 all this is the paper's.

How it works. Adam moves a weight by about its learning rate at each update, whatever the gradient's size. So with one
update in m steps a distiller gets an m-th as far.

- At first the gradient keeps its direction, and m times the rate makes up for that.
- Later updates jitter around a target that itself moves. A batch of m steps' rows has 1/√m of one step's noise, which
  bears √m times the rate (the usual rule for larger batches) and no more.
- In between, the factor falls as 1/√t: it is m until step FAR, m·√(FAR/t) then, and √m from step m·FAR on.
- At the paper's β₁ = 0.9 the first moment remembers about 10 updates, which would be 10·m steps. 1 − 0.1·√m makes it
  10·√m: √m times as many steps as the paper's, though fewer updates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

FAR = 64
"""After this many decoding steps an update begins to go less than m times as far."""


@dataclass(frozen=True, slots=True)
class Pace:
    """`learning_rate` is per decoding step, `train_every` is m."""

    learning_rate: float
    train_every: int = 1

    @property
    def betas(self) -> tuple[float, float]:
        """Adam's decay rates."""
        return max(0.0, 1 - 0.1 * math.sqrt(self.train_every)), 0.999

    def rate(self, num_updates: torch.Tensor) -> torch.Tensor:
        """Return Adam's learning rate at a distiller's u-th update: m·√(FAR / (m·u)) times, within √m and m times."""
        m = self.train_every
        return self.learning_rate * (m * FAR / num_updates).sqrt().clamp(math.sqrt(m), m)
