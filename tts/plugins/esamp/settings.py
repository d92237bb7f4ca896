"""What can be set about ESamp: one frozen record, checked, that travels to worker processes as a plain dict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, ValidationError

from tts.components.component import Section
from tts.errors import RecipeError, nearest


class ESampSettings(Section):
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

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], name: str = "esamp") -> Self:
        """Build from what `model_dump` returned, or from what a user wrote; `name` stands before keys in errors.

        Raises RecipeError with one line for each mistake.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            lines, valid = [], list(cls.model_fields)
            for details in error.errors(include_url=False):
                key, wanted = ".".join(map(str, details["loc"])), details["msg"].removeprefix("Input should be ")
                said = f"`{name}.{key}` must be {wanted}, got {details['input']!r}"
                if details["type"] == "extra_forbidden":
                    said = f"`{name}.{key}` is no setting of {name}.{nearest(key, valid)}"
                    said += f" The settings are: {', '.join(valid)}"
                lines.append(said)
            raise RecipeError("\n".join(lines)) from error

    @property
    def num_distillers(self) -> int:
        """How many slots the bank has."""
        return 1 if self.scope == "shared" else self.num_slots
