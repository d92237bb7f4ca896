"""What one request may ask of what runs inside vLLM: its keys in `extra_args` (over HTTP: `vllm_xargs`), checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, ValidationError, field_validator

from tts.components.component import Section
from tts.errors import nearest
from tts.plugins.esamp.settings import MAX_BETA
from tts.types import ConfidenceFloor

AGAINST_A_FLOOR = {
    "ignore_eos": False,
    "min_tokens": 0,
    "allowed_token_ids": None,
    "structured_outputs": None,
    "thinking_token_budget": None,
}
"""vLLM's parameters that may keep a request from ending, and what they are where they do not."""


HIGHEST_TEMPERATURE = 1e6
"""All tokens are equally likely long before."""

NUMBERS = (
    "esamp_beta",
    "esamp_group_size",
    "top_n_sigma",
    "first_token_temperature",
    "first_token_top_k",
    "high_temperature",
    "floor_threshold",
    "floor_window",
    "floor_top_k",
)
"""The keys whose values are numbers."""


class RequestValues(Section):
    """The values of one request. Keys of other plugins are none of our business and are left alone.

    Numbers may come as text (`"0.25"`), as clients often send them.
    """

    esamp_beta: float | None = Field(default=None, ge=0, le=MAX_BETA)
    """How strongly ESamp guides this request; absent: as the engine was set up; 0: not at all, but it is trained on."""

    esamp_group: str | None = Field(default=None, min_length=1)
    """Requests with the same key share a distiller. A key must not be used again for another problem. Absent: the `n`
    completions of one request share one."""

    esamp_group_size: int | None = Field(default=None, ge=1)
    """How many requests the group will have in all; absent: it ends whenever none of them is in flight."""

    top_n_sigma: float = Field(default=0.0, ge=0)
    """Keep only tokens whose logit is within this many standard deviations of the largest; 0 keeps all."""

    first_token_temperature: float | None = Field(default=None, gt=0, le=HIGHEST_TEMPERATURE)
    """The temperature of the first token alone."""

    first_token_top_k: int = Field(default=16, ge=1)
    """With `first_token_temperature`: draw the first token among this many most likely ones."""

    high_temperature: float | None = Field(default=None, gt=0, le=HIGHEST_TEMPERATURE)
    """Takes the place of `temperature` where that is above what vLLM allows."""

    floor_threshold: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """End the request as soon as the mean confidence of `floor_window` tokens in a row is below this; absent: never."""

    floor_window: int = Field(default=ConfidenceFloor().window, ge=1)
    """With `floor_threshold`: over how many tokens the mean is."""

    floor_top_k: int = Field(default=ConfidenceFloor().top_k, ge=1)
    """With `floor_threshold`: over how many of the likeliest tokens a token's confidence is measured."""

    tts_id: str | None = Field(default=None, min_length=1)
    """The name under which to ask for this request's figures; absent: vLLM's own."""

    @field_validator(*NUMBERS, mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        """Read a number from a text; `true` is none, though Python takes it for 1."""
        if isinstance(value, bool):
            raise ValueError("must be a number")
        if not isinstance(value, str):
            return value
        try:
            return int(value) if value.strip().lstrip("+-").isdecimal() else float(value)
        except ValueError:
            return value  # which then is refused as the text it is

    @property
    def floor(self) -> ConfidenceFloor | None:
        """The floor, if there is one."""
        if self.floor_threshold is None:
            return None
        return ConfidenceFloor(self.floor_window, self.floor_top_k, self.floor_threshold)

    @classmethod
    def of(cls, extra_args: Mapping[str, Any] | None) -> Self:
        """Read them. Raises ValueError with one line that names the key, the value and what is allowed."""
        prefixes = ("esamp_", "tts_", "first_token_", "floor_")
        given = (extra_args or {}).items()
        ours = {key: value for key, value in given if key in cls.model_fields or key.startswith(prefixes)}
        try:
            return cls.model_validate(ours)
        except ValidationError as error:
            details = error.errors(include_url=False)[0]
            key = str(details["loc"][0])
            if details["type"] == "extra_forbidden":
                valid = list(cls.model_fields)
                raise ValueError(f"`{key}` is no key.{nearest(key, valid)} The keys are: {', '.join(valid)}") from None
            wanted = details["msg"].removeprefix("Input should be ").removeprefix("Value error, must be ")
            raise ValueError(f"`{key}` must be {wanted}, got {details['input']!r}") from None


def values_of(params: Any) -> RequestValues:
    """Return the values in vLLM's parameters of a request. Raises ValueError where they are wrong (see `of`), or where
    a parameter contradicts them."""
    values = RequestValues.of(params.extra_args)
    for name, neutral in AGAINST_A_FLOOR.items():
        given = getattr(params, name, neutral)
        if values.floor is not None and given != neutral:
            raise ValueError(
                f"`{name}` must be left out where there is a `floor_threshold`, below which the request must end, "
                f"got {given!r}"
            )
    return values
