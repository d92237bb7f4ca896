"""An answer that grows step by step, each rewarded as it is written: what all step-level searches rest on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from tts.components.slot import Slot
from tts.errors import CallError
from tts.protocols import AskingRewardEngine, Calls, RewardEngine
from tts.samplers.searching import WritesOn
from tts.types import FinishReason, Written


@dataclass(frozen=True, slots=True)
class Path:
    """What is written so far, and the reward of each step; `finish_reason` None where it goes on."""

    written: Written = ()
    rewards: tuple[float, ...] = ()
    finish_reason: FinishReason | None = None
    error: str = ""

    @property
    def value(self) -> float:
        """The reward of the last step; 0 before the first. One that failed is worse than any other."""
        if self.finish_reason == "error":
            return -inf
        return self.rewards[-1] if self.rewards else 0.0

    @property
    def learned(self) -> tuple[float, ...]:
        """What its last step taught: its reward, or nothing where it failed."""
        return () if self.finish_reason == "error" else (self.value,)


class StepSearch(WritesOn):
    """The keys of step-level searches. A step ends at the `delimiter`, or where the answer does.

    What one call of a step fails for makes its path an error; the others go on.
    """

    of_odds: ClassVar[bool] = False
    """Whether it reads rewards as probabilities; else any numbers will do."""

    reward: Annotated[RewardEngine | AskingRewardEngine, Slot("engines", needs="rewards")]
    """The reward model: an engine with the capability `rewards`."""

    max_tokens: int = Field(default=512, ge=1)
    """The most tokens of one step; the answer is cut there where it is no whole step by then."""

    max_steps: int = Field(default=40, ge=1)
    """The most steps of one answer; the last one runs to its end."""

    delimiter: str = Field(default="\n\n", min_length=1)
    """What ends a step."""

    @model_validator(mode="after")
    def _reward_is_a_probability(self) -> Self:
        if self.of_odds and "raw_rewards" in self.reward.capabilities():
            raise ValueError("`reward` must give probabilities to this search: leave `activation` out")
        return self

    @property
    def most_calls(self) -> int:
        """Return the calls of all steps of all paths: each is drawn, begun in a branch, and rewarded."""
        return 3 * self.num_candidates * self.max_steps + self.num_candidates

    @property
    def most_tokens(self) -> int:
        """Return the tokens of all steps of all paths."""
        return self.num_candidates * self.max_steps * self.max_tokens

    async def grow(self, calls: Calls, path: Path) -> Path:
        """Return the path with one more step and its reward; a path that is over comes back as it is."""
        if path.finish_reason is not None:
            return path
        is_last = len(path.rewards) + 1 >= self.max_steps
        stop = self.stop if is_last else (*self.stop, self.delimiter)
        try:
            step = await calls.generate(replace(self.decoding(), stop=stop), path.written)
            written = (*path.written, step.piece)
            rewards = await calls.rewards(self.reward, written)
            if self.of_odds and not 0 <= rewards.values[-1] <= 1:
                raise CallError(f"`reward` must give probabilities to this search, got {rewards.values[-1]:g}")
        except CallError as error:
            return replace(path, finish_reason="error", error=str(error))
        goes_on = step.stop == self.delimiter and not is_last
        # an engine that rates all at once says one number of every step: each keeps what was said when it was the last
        return Path(written, (*path.rewards, rewards.values[-1]), None if goes_on else step.finish_reason)

    def emit(self, calls: Calls, paths: Sequence[Path]) -> None:
        """Hand in the paths as candidates; one that is cut off is truncated."""
        for index, path in enumerate(paths[: self.num_candidates]):
            calls.emit(index, path.written, path.finish_reason or "length", path.rewards, error=path.error)


def whole_groups(num_candidates: int, beam_width: int) -> None:
    """Raise ValueError unless the candidates are whole groups of `beam_width`: fewer would plant no tree."""
    if num_candidates % beam_width:
        raise ValueError(f"`num_candidates` must be a multiple of beam_width, {beam_width}, got {num_candidates}")
