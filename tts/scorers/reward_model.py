"""A candidate's worth by a reward model: one number of its outcome, or of its steps.

Of steps: Lightman et al. 2023, «Let's Verify Step by Step», arXiv 2305.20050 (product, min); Snell et al. 2024, arXiv
2408.03314 (last).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import model_validator

from tts.components.slot import Slot
from tts.errors import CallError
from tts.protocols import AskingRewardEngine, Calls, RewardEngine
from tts.scorers.asking import Asks, whole
from tts.scorers.step_rewards import AGGREGATES
from tts.types import Candidate, Piece, Problem, Rewards, Score


class RewardModel(Asks):
    """Scores a candidate by what a reward model says of its steps.

    The model reads all that was written, thinking included; its own key `thinking: strip` leaves that out. None where
    it could not read a candidate.
    """

    reward: Annotated[RewardEngine | AskingRewardEngine, Slot("engines", needs="rewards")]
    """The reward model."""

    aggregate: Literal["last", "min", "mean", "product"] = "last"
    """What becomes of several rewards: the last step's, the lowest, their mean, or their product, which makes each step
    cost something (0.9 twenty times is 0.12)."""

    delimiter: str = "\n\n"
    """What ends a step. Empty: the answer is one step, which is all that an outcome model needs."""

    squash: Literal["none", "sigmoid"] = "none"
    """sigmoid: a model's raw number x becomes 1 / (1 + e^-x), in [0, 1], before anything else, so that it can weigh a
    vote. Only for a model that gives raw numbers (`activation: none`)."""

    @property
    def raw(self) -> bool:  # type: ignore[override]  # of others it is known without their keys
        """Whether the scores are the model's raw numbers."""
        return self._is_raw_model and self.squash == "none"

    @property
    def _is_raw_model(self) -> bool:
        return "raw_rewards" in self.reward.capabilities()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.squash != "none" and not self._is_raw_model:
            raise ValueError("`squash` must be left out: the rewards of this model are in [0, 1] already")
        if self.raw and self.aggregate == "product":
            raise ValueError(
                "`aggregate: product` must go with rewards in [0, 1], and this model gives raw numbers: use "
                "`squash: sigmoid`, or another aggregate"
            )
        return self

    def most_calls(self, num_candidates: int) -> int:
        """Return one a candidate."""
        return num_candidates

    def most_tokens(self, num_candidates: int) -> int:  # noqa: ARG002 # the protocol's
        """Return 0: it reads."""
        return 0

    async def scores(self, problem: Problem, candidates: Sequence[Candidate], calls: Calls) -> list[Score]:  # noqa: ARG002
        """Return one score per candidate, order kept."""
        asked = [
            calls.at(candidate.index).rewards(
                self.reward, tuple(map(Piece, steps_of(whole(candidate), self.delimiter)))
            )
            for candidate in candidates
        ]
        found = []
        for pending in asked:
            try:
                found.append(self._score(await pending))
            except CallError as error:
                found.append(Score(None, f"the reward model could not tell: {error}"))
        return found

    def _score(self, rewards: Rewards) -> Score:
        if not rewards.values or not all(map(math.isfinite, rewards.values)):
            return Score(None, f"rewards must be finite numbers, got {list(rewards.values)}")
        values = list(rewards.values)
        if self.squash == "sigmoid":
            values = [
                1 / (1 + math.exp(-value)) if value > 0 else math.exp(value) / (1 + math.exp(value)) for value in values
            ]
        return Score(AGGREGATES[self.aggregate](values))


def steps_of(text: str, delimiter: str) -> list[str]:
    """Return the steps of a text, each with what ends it; white space alone is no step. All together are the text."""
    if not delimiter:
        return [text]
    steps: list[str] = []
    *ended, last = text.split(delimiter)
    for part in [*(f"{one}{delimiter}" for one in ended), last]:
        if steps and not (part.strip() and steps[-1].strip()):
            steps[-1] += part
        elif part:
            steps.append(part)
    return steps or [text]
