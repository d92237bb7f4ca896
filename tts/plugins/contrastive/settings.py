"""What can be set about contrastive decoding."""

from __future__ import annotations

from pydantic import Field

from tts.components.slot import PathText
from tts.plugins.settings import PluginSettings


class ContrastiveSettings(PluginSettings):
    """The smaller model, how far decoding moves away from it, and which tokens may be drawn at all."""

    amateur: PathText = Field(min_length=1)
    """The smaller model, named as the engine's `model` is. It must have the same vocabulary: it reads the same tokens.
    """

    beta: float = Field(default=0.5, ge=0)
    """The logits drawn from are (1 + β)·expert − β·amateur; 0: the expert's."""

    alpha: float = Field(default=0.1, ge=0, le=1)
    """The plausibility constraint: only tokens that the expert finds at least this times as likely as its likeliest one
    are drawn; judged on its own logits, before the temperature. 0: all."""
