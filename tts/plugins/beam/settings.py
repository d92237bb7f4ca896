"""What can be set about beam search."""

from __future__ import annotations

from pydantic import Field

from tts.plugins.settings import PluginSettings


class BeamSettings(PluginSettings):
    """How finished texts are compared. How many beams there are is how many candidates a problem has."""

    length_penalty: float = Field(default=1.0)
    """A finished text's score is its log-probability divided by its number of tokens (the end token counts) to the
    power of this: 0 prefers short texts, 1 compares the mean log-probability of a token, more prefers long ones."""


class DiverseBeamSettings(BeamSettings):
    """Groups of beams, each of which leaves alone what the groups before it chose."""

    num_groups: int = Field(default=4, ge=1)
    """How many groups the beams form; `num_candidates` must be a multiple of it. 1 is plain beam search."""

    diversity_penalty: float = Field(default=0.5, ge=0)
    """λ: how much a token's log-probability is lowered for every beam of an earlier group that took it at this step,
    in choosing alone. With 0 all groups find the same."""
