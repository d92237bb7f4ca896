"""What can be set about ESamp."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tts.plugins.settings import PluginSettings


class ESampSettings(PluginSettings):
    """The algorithm's constants. Defaults are the paper's but for three, with which the distiller learns more cheaply.

    `input_norm` is not in the paper, whose `learning_rate` is 4e-4 and `train_every` 1. The paper's own: none, 4e-4, 1.
    """

    beta: float = Field(default=0.25, ge=0)
    """How far decoding moves away from what the distiller predicts; 0 trains the distiller but changes no token."""

    scope: Literal["prompt", "shared"] = "prompt"
    """prompt: each problem has a distiller of its own, fresh at its start (mathematics); shared: one for all (code)."""

    filter: Literal["fused", "reference"] = "fused"
    """What the filters (min_p, top_k, top_p) judge: the mixed logits, or the model's own; then mixing acts within what
    they kept, at the cost of a second projection."""

    layer: int = Field(default=1, ge=1)
    """After which layer of the model the distiller's input is taken; 1 is the first."""

    width: int = Field(default=384, ge=1)
    """Hidden width of the distiller's two blocks."""

    learning_rate: float = Field(default=6e-4, gt=0)
    """Adam's learning rate per decoding step: training on the rows of m steps moves m times as far at first and √m
    times in the long run. Gradients are clipped at norm 0.5. The paper's is 4e-4, with `train_every` 1."""

    input_norm: Literal["rms", "none"] = "rms"
    """rms: the distiller's input is scaled to a root mean square of 1, with which it learns faster; none: as it is."""

    train_every: int = Field(default=4, ge=1)
    """Train a distiller after every m-th of its decoding steps, on the rows of the last m: no row is left out, but each
    is learned from up to m - 1 steps late. The paper trains after each. On a CPU training is what ESamp costs; with 4
    at 6e-4 the loss is on average no higher than with 1 at 4e-4 at any stage of the first 500 tokens
    (`benchmarks/esamp_core.py`)."""

    guide_first_token: bool = False
    """Whether the first token of a completion is guided, too, and its row trained on."""

    control: Literal["none", "noise", "subtract", "vocabulary", "untrained"] = "none"
    """For comparison: noise (a random direction, as long as the distiller's error), subtract (β times the prediction
    is subtracted from the reference), vocabulary (the distiller learns the next-token distribution), untrained."""

    kl_every: int = Field(default=16, ge=0)
    """Measure KL(mixed ‖ the model's own) on every m-th decoding step, which takes a second projection; 0: never."""

    num_slots: int = Field(default=8, ge=1)
    """How many distillers there is memory for: the most problems in flight. One is enough for `scope: shared`."""

    @property
    def num_distillers(self) -> int:
        """How many slots the bank has."""
        return 1 if self.scope == "shared" else self.num_slots
