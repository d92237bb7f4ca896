"""What the engine tells its workers, in vLLM's `additional_config`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from tts.plugins.esamp.settings import ESampSettings

KEY = "tts"
"""Where the options stand in `additional_config`."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What runs inside a worker. `esamp` None: no ESamp."""

    esamp: ESampSettings | None = None
    self_certainty: bool = False

    def to_config(self) -> dict[str, Any]:
        """Return what `additional_config` must hold."""
        esamp = None if self.esamp is None else self.esamp.model_dump(mode="json")
        return {KEY: {"esamp": esamp, "self_certainty": self.self_certainty}}

    @classmethod
    def from_config(cls, additional_config: Mapping[str, Any] | None) -> Self:
        """Read them back. Raises RecipeError or ValueError naming what is wrong."""
        values = (additional_config or {}).get(KEY, {})
        unknown = set(values) - {"esamp", "self_certainty"}
        if unknown:
            raise ValueError(f"`{KEY}` in additional_config must hold esamp and self_certainty, got {sorted(unknown)}")
        esamp = values.get("esamp")
        return cls(
            esamp=None if esamp is None else ESampSettings.from_dict(esamp),
            self_certainty=bool(values.get("self_certainty", False)),
        )
