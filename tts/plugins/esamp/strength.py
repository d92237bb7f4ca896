"""How hard to guide so that a token's distribution moves by a given KL on average (`target_kl`), group by group.

How it works. With e = W(h^L − q), KL(new ‖ reference) ≈ β²/2 · Var_p(e), p being the reference's distribution. And
Var_p(e) ≈ c · ‖h^L − q‖², where c depends on the head and on how the difference lies, and changes slowly. c needs the
reference's logits, the length does not: so c is measured on few steps (`is_due`), and

    c ← (1 − a)·c + a · (mean Var_p(e)) / (mean ‖h^L − q‖²)     a = max(1/k, 1/4) at the k-th measurement of the group
    β = min(1, √(2·target / (c · mean ‖h^L − q‖²)))             in every step, from this step's rows

The means are over the group's guided rows, so a group depends on itself alone. One β for a group, not for a row: a row
of which the model is certain, whose variance is almost 0, would be pushed hardest. Before the first measurement β is
the settings'. Nothing is read from the device. The formula is of second order and KL has heavy tails: the target is a
nominal strength, right within about a half.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

MOST_BETA = 1.0
LEAST_WEIGHT = 0.25
FIRST_STEPS = (1, 2, 3, 5, 9)


def is_due(num_steps: int, every: int) -> bool:
    """Tell whether c is measured in a group's so-many-th step, counted from 1: in some of the first, then each m-th."""
    return num_steps in FIRST_STEPS or (every > 0 and num_steps % every == 0)


def variance_of_difference(new: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Return Var_p(new − reference) `[num_rows]`, p being softmax(reference); both are `[num_rows, vocabulary]`.

    Tokens that are ruled out (−∞) add nothing.
    """
    p = reference.float().softmax(-1)
    difference = torch.where(p > 0, new.float() - reference.float(), 0.0)
    mean = (p * difference).sum(-1, keepdim=True)
    return (p * (difference - mean).square()).sum(-1)


class Strengths:
    """Each slot's c, and how far its rows were moved in the latest step."""

    def __init__(self, num_slots: int, target: float, device: torch.device | str = "cpu") -> None:
        self._target = target
        with torch.inference_mode(False):  # so that they can change in that mode and out of it
            self._c, self._num_measured, self._moved = (torch.zeros(num_slots, device=device) for _ in range(3))

    def beta(self, slots: Sequence[int], difference: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
        """Return β of the slots' cells `[S, K, 1]`, 0 where `given` is; the difference h^L − q is `[S, K, d]`."""
        guided = given != 0
        lengths = torch.where(guided, difference.square().sum(-1, keepdim=True), 0.0)  # [S, K, 1]
        new = []
        for slot, length, is_guided, its in zip(slots, lengths, guided, given, strict=True):
            num_guided = is_guided.sum().clamp(min=1)
            wanted = 2 * self._target / (self._c[slot] * length.sum() / num_guided).clamp(min=1e-30)
            beta = torch.where(self._num_measured[slot] > 0, wanted.sqrt().clamp(max=MOST_BETA), its) * is_guided
            self._moved[slot] = (beta.square() * length).sum() / num_guided
            new.append(beta)
        return torch.stack(new)

    def measure(self, slot: int, variance: torch.Tensor) -> None:
        """Take Var_p(new − reference) `[num_rows]` of the guided rows of a slot in the latest step."""
        found = variance.mean() / self._moved[slot].clamp(min=1e-30)
        usable = found.isfinite() & (self._moved[slot] > 0)
        count = self._num_measured[slot] + usable
        weight = (1 / count.clamp(min=1)).clamp(min=LEAST_WEIGHT)
        self._c[slot] = torch.where(usable, self._c[slot] + weight * (found - self._c[slot]), self._c[slot])
        self._num_measured[slot] = count

    def reset(self, slot: int) -> None:
        """Forget what was measured."""
        for of_slots in (self._c, self._num_measured, self._moved):
            of_slots[slot].zero_()
