"""What can be set about ESamp."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from tts.plugins.settings import PluginSettings

PAPER: Mapping[str, Any] = {"start": "paper", "input_norm": "none", "learning_rate": 4e-4, "train_every": 1}
"""What `preset: paper` stands for."""

MAX_BETA = 100.0
"""Far beyond any use: at 10 a text is nonsense, and at 1e30 nothing but the sign of the distiller's error is left."""


class ESampSettings(PluginSettings):
    """The algorithm's constants. Defaults are the paper's but for `start`, `input_norm` and, on a CPU, `train_every`.

    What each of these costs or gains stands beside it; losses are ‖h^L − ĥ‖² on recorded states of three models, see
    RESULTS.md («What ESamp's distiller learns, and when»). That more problems are solved so was not shown.
    """

    preset: Literal["none", "paper"] = "none"
    """paper: ESamp word for word as published, which is `start: paper`, `input_norm: none`, `learning_rate: 4e-4` and
    `train_every: 1`; other values for these are refused then."""

    beta: float = Field(default=0.25, ge=0, le=MAX_BETA)
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

    start: Literal["mean", "paper"] = "mean"
    """What a prediction starts from. mean: the mean of the h^L that the distiller's candidates had so far; only the
    deviation from it is learnt, so its loss is at or below that mean's from the first tokens on. paper: h¹ itself, as
    published; the loss is 1.3 to 3 times that mean's for the first 16 tokens, and as published throughout
    (`preset: paper`) still above it after 128 in five of nine cases."""

    learning_rate: float = Field(default=4e-4, gt=0)
    """Adam's learning rate (the paper's; decay rates 0.9 and 0.999, of which it says nothing) for training on the rows
    of one decoding step; on those of m steps it is √m times this. Gradients are clipped at norm 0.5."""

    input_norm: Literal["rms", "none"] = "rms"
    """rms: the distiller's input is scaled to a root mean square of 1; none: as it is, as published. With
    rms the loss is lower: by up to a quarter on Qwen2.5-Coder-0.5B, by 3 to 16 % on SmolLM2."""

    train_every: int | None = Field(default=None, ge=1)
    """Train a distiller after every m-th of its decoding steps, on the rows of the last m: no row is left out, but each
    is learned from up to m - 1 steps late. null: after each on CUDA, as published; after every fourth on a CPU, where
    training is what ESamp costs. Four cost 0 to 9 % of loss."""

    guide_first_token: bool = False
    """Whether the first token of a completion is guided, too, and its row trained on."""

    control: Literal["none", "noise", "subtract", "vocabulary", "untrained", "mean"] = "none"
    """For comparison: noise (a random direction, as long as the distiller's error), subtract (β times the prediction
    is subtracted from the reference), vocabulary (the distiller learns the next-token distribution), untrained, mean
    (away from the mean of the h^L that the candidates had so far: no distiller)."""

    kl_every: int = Field(default=16, ge=0)
    """Measure KL(mixed ‖ the model's own) on every m-th decoding step, which takes a second projection; 0: never."""

    target_kl: float | None = Field(default=None, gt=0)
    """Guide each group so hard that KL(mixed ‖ the model's own) at temperature 1 is about this, nats a token: β then
    follows from what the group's rows are like (at most 1), looked at in some of its first steps and each `kl_every`-th
    one, and `beta` holds until that is known. Right within about a half, and before `keep_entropy`; it makes arms and
    models comparable. null: β is `beta`, as published."""

    keep_entropy: bool = False
    """Take out that guidance makes the model colder: the mixed logits are divided by the temperature (between 1/4 and
    4) at which they are as sharp as the model's own, row by row, at the request's temperature and before its filters.
    Costs a second projection in every step. Not in the paper."""

    num_slots: int = Field(default=8, ge=1)
    """How many distillers there is memory for: the most problems in flight. One is enough for `scope: shared`."""

    @model_validator(mode="before")
    @classmethod
    def _as_published(cls, values: Any) -> Any:
        return {**PAPER, **values} if isinstance(values, Mapping) and values.get("preset") == "paper" else values

    @model_validator(mode="after")
    def _is_as_published(self) -> Self:
        other = [f"`{key}: {getattr(self, key)}`" for key, value in PAPER.items() if getattr(self, key) != value]
        if self.preset == "paper" and other:
            raise ValueError(f"`preset: paper` is the published form: leave it out, or {' and '.join(other)}")
        return self

    def steps_per_training(self, device_type: str) -> int:
        """Return `train_every` on such a device (`cpu`, `cuda`)."""
        return self.train_every or (1 if device_type == "cuda" else 4)

    @property
    def most_groups(self) -> int | None:
        """How many problems there are distillers for at once; None: for all."""
        return None if self.scope == "shared" else self.num_slots

    @property
    def num_distillers(self) -> int:
        """How many slots the bank has."""
        return 1 if self.scope == "shared" else self.num_slots
