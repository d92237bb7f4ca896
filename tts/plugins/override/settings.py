"""What can be set about OverRIDE."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tts.plugins.settings import PluginSettings


class OverrideSettings(PluginSettings):
    """The heads' constants; the defaults are the source's, but for the scope, which is `shared` there."""

    beta: float = Field(default=0.8, ge=0)
    """λ of the source: a sample's logits are lowered by this times what the head of the one before it adds. 0 trains
    the heads but changes no token."""

    scope: Literal["prompt", "shared"] = "prompt"
    """prompt: each problem has heads of its own, fresh at its start; shared: one set for all that is never reset, so
    that a candidate depends on the problems before its own."""

    num_heads: int = Field(default=9, ge=1)
    """How many samples of a problem have a head, the first ones; the sample behind the last of them is still held off,
    all later ones are plain. A head takes memory of 3 · 4 · rank bytes a token of the vocabulary."""

    rank: int = Field(default=16, ge=1)
    """The rank of a head: hidden size → rank → vocabulary."""

    learning_rate: float = Field(default=1e-3, gt=0)
    """Adam's learning rate."""

    num_slots: int = Field(default=2, ge=1)
    """How many sets of heads there is memory for: the most problems in flight. One is enough for `scope: shared`."""

    @property
    def num_sets(self) -> int:
        """How many sets of heads there are."""
        return 1 if self.scope == "shared" else self.num_slots

    @property
    def most_groups(self) -> int | None:
        """How many problems there are heads for at once; None: for all."""
        return None if self.scope == "shared" else self.num_slots
