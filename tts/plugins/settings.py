"""What can be set about a plugin: one frozen record, checked, that travels to worker processes as a plain dict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import ValidationError

from tts.components.component import Section
from tts.errors import RecipeError, nearest


class PluginSettings(Section):
    """The settings of one plugin; its sampler has the same keys."""

    @property
    def most_groups(self) -> int | None:
        """How many groups of requests there is room for at once; None: for all."""
        return None

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
                if not key:
                    said = f"{name}: {wanted.removeprefix('Value error, ')}"
                if details["type"] == "extra_forbidden":
                    said = f"`{name}.{key}` is no setting of {name}.{nearest(key, valid)}"
                    said += f" The settings are: {', '.join(valid)}"
                lines.append(said)
            raise RecipeError("\n".join(lines)) from error
