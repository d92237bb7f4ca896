"""What one request may ask of what runs inside vLLM: its keys in `extra_args` (over HTTP: `vllm_xargs`), checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, ValidationError

from tts.components.component import Section
from tts.errors import nearest


class RequestValues(Section):
    """The values of one request. Keys of other plugins are none of our business and are left alone."""

    esamp_beta: float | None = Field(default=None, ge=0)
    """How strongly ESamp guides this request; absent: as the engine was set up; 0: not at all, but it is trained on."""

    esamp_group: str | None = Field(default=None, min_length=1)
    """Requests with the same key share a distiller. A key must not be used again for another problem. Absent: the `n`
    completions of one request share one."""

    esamp_group_size: int | None = Field(default=None, ge=1)
    """How many requests the group will have in all; absent: it ends whenever none of them is in flight."""

    top_n_sigma: float = Field(default=0.0, ge=0)
    """Keep only tokens whose logit is within this many standard deviations of the largest; 0 keeps all."""

    first_token_temperature: float | None = Field(default=None, gt=0)
    """The temperature of the first token alone."""

    first_token_top_k: int = Field(default=16, ge=1)
    """With `first_token_temperature`: draw the first token among this many most likely ones."""

    high_temperature: float | None = Field(default=None, gt=0)
    """Takes the place of `temperature` where that is above what vLLM allows."""

    tts_id: str | None = Field(default=None, min_length=1)
    """The name under which to ask for this request's figures; absent: vLLM's own."""

    @classmethod
    def of(cls, extra_args: Mapping[str, Any] | None) -> Self:
        """Read them. Raises ValueError with one line that names the key, the value and what is allowed."""
        prefixes = ("esamp_", "tts_", "first_token_")
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
            wanted = details["msg"].removeprefix("Input should be ")
            raise ValueError(f"`{key}` must be {wanted}, got {details['input']!r}") from None
