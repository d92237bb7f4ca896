"""Particle filtering (Puri et al. 2025, arXiv 2502.01618): a particle weighs the odds of its reward."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import accumulate
from typing import ClassVar, Literal

from tts.protocols import Calls
from tts.samplers.steps import Path, StepSearch
from tts.types import Problem


class ParticleFilter(StepSearch):
    """Grows all particles by a step and draws the next ones among them, with replacement, until all are over.

    Particles that are over keep their weight and may be copied. The weights are those of the last step alone.
    """

    label: ClassVar[str] = "particle_filter"
    of_odds: ClassVar[bool] = True

    resampling: Literal["multinomial", "systematic"] = "multinomial"
    """How the next particles are drawn; `systematic` (one random offset for all) varies less."""

    async def search(self, problem: Problem, calls: Calls) -> None:
        """Grow and resample until all are over."""
        del problem
        particles = [Path()] * self.num_candidates
        while any(path.finish_reason is None for path in particles):
            grown = [calls.branch(self.grow, path) for path in particles]
            told = [await one for one in grown]
            weights = [odds(path.value) for path in told]
            draw = systematic if self.resampling == "systematic" else multinomial
            particles = [told[place] for place in draw(calls.rng, weights, len(told))]
        self.emit(calls, particles)


def odds(reward: float) -> float:
    """Return r / (1 - r), which a softmax over log-odds is a share of; finite for 0 and 1."""
    reward = min(max(reward, 1e-6), 1 - 1e-6)
    return reward / (1 - reward)


def multinomial(rng: random.Random, weights: Sequence[float], number: int) -> list[int]:
    """Return `number` places, each drawn by weight."""
    return rng.choices(range(len(weights)), weights, k=number)


def systematic(rng: random.Random, weights: Sequence[float], number: int) -> list[int]:
    """Return `number` places at equal distances along the weights, from one random offset."""
    return evenly(weights, number, rng.random())


def evenly(weights: Sequence[float], number: int, offset: float) -> list[int]:
    """Return the places that `number` points meet, `offset` (of one distance, in [0, 1)) the first of them."""
    ends, total = list(accumulate(weights)), sum(weights)
    places, place = [], 0
    for point in range(number):
        at = (point + offset) / number * total
        while ends[place] <= at and place + 1 < len(ends):
            place += 1
        places.append(place)
    return places
