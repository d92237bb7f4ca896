"""The recipe keys of reward models, whatever runs them."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from tts.engines.local_model import StoredModel
from tts.engines.reward.thinking import ReadsThinking

FormatName = Literal["outcome", "qwen_prm", "math_shepherd", "rlhflow", "skywork_prm"]

OF_FORMATS: dict[str, tuple[FormatName, ...]] = {
    "activation": ("outcome",),
    "rates": ("outcome",),
    "step_tag": ("qwen_prm", "math_shepherd"),
    "good": ("math_shepherd", "rlhflow"),
    "bad": ("math_shepherd", "rlhflow"),
}
"""Keys that mean something in these formats alone."""


class FormatKeys(ReadsThinking):
    """Says how a reward model wants to read answers."""

    format: FormatName
    """How the model was taught to read: `outcome` (a head of one number, read at the conversation's end), or steps, as
    the model's authors do: `qwen_prm` (`<extra_0>` after each step, two classes), `math_shepherd` (a tag after each
    step, + or - next), `rlhflow` (each step a turn, answered by + or -), `skywork_prm` (a head of one number at the end
    of each step)."""

    activation: Literal["none", "sigmoid"] | None = None
    """Whether an outcome is the head's number as it is, or its sigmoid, which searches want. null: sigmoid."""

    rates: Literal["each", "whole"] | None = None
    """What an outcome model reads for several steps: `each`, the answer up to each step, so that n steps are n
    conversations; `whole`: all, once, and each step gets that value. null: each."""

    step_tag: str | None = Field(default=None, min_length=1)
    """What stands after a step, one token. null: `<extra_0>` or `ки`, as the format has it."""

    good: str | None = Field(default=None, min_length=1)
    """The token for a right step. null: +."""

    chat_template_kwargs: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """Arguments for the model's chat template."""

    @model_validator(mode="after")
    def _only_what_applies(self) -> Self:
        for key, formats in OF_FORMATS.items():
            if getattr(self, key, None) is not None and self.format not in formats:
                raise ValueError(f"`{key}` must be left out with `format: {self.format}`, where it means nothing")
        return self

    def capabilities(self) -> frozenset[str]:
        """Return `rewards`; `raw_rewards` says that they may be any number."""
        return frozenset({"rewards", "raw_rewards"} if self.activation == "none" else {"rewards"})


class RewardModelKeys(StoredModel, FormatKeys):
    """Says which reward model is loaded here, and how it wants to read."""

    bad: str | None = Field(default=None, min_length=1)
    """The token for a wrong step. null: -."""

    batch_size: int = Field(default=8, ge=1)
    """The most texts read together."""

    max_model_len: int | None = Field(default=None, ge=2)
    """The most tokens of one text. null: what the model allows."""
