"""What the engine tells its workers, in vLLM's `additional_config`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from tts.plugins.esamp.settings import ESampSettings
from tts.plugins.override.settings import OverrideSettings

KEY = "tts"
"""Where the options stand in `additional_config`."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What runs inside a worker: one of the plugins, or neither."""

    esamp: ESampSettings | None = None
    self_certainty: bool = False
    confidence_window: int | None = None
    override: OverrideSettings | None = None

    def to_config(self) -> dict[str, Any]:
        """Return what `additional_config` must hold."""
        esamp = None if self.esamp is None else self.esamp.model_dump(mode="json")
        override = {} if self.override is None else {"override": self.override.model_dump(mode="json")}
        measured = {"self_certainty": self.self_certainty, "confidence_window": self.confidence_window}
        return {KEY: {"esamp": esamp, **override, **measured}}

    def hashed_config(self) -> dict[str, Any]:
        """Return what of `to_config` decides what vLLM compiles: the layer that hands its states out, if any."""
        return {} if self.esamp is None else {KEY: {"layer": self.esamp.layer}}

    @property
    def measures(self) -> bool:
        """Whether the workers look at the logits of every token."""
        return self.self_certainty or self.confidence_window is not None

    @classmethod
    def from_config(cls, additional_config: Mapping[str, Any] | None) -> Self:
        """Read them back. Raises RecipeError or ValueError naming what is wrong."""
        values = (additional_config or {}).get(KEY, {})
        unknown = set(values) - {"esamp", "override", "self_certainty", "confidence_window"}
        if unknown:
            known = "esamp, override, self_certainty and confidence_window"
            raise ValueError(f"`{KEY}` in additional_config must hold {known}, got {sorted(unknown)}")
        esamp, override = values.get("esamp"), values.get("override")
        return cls(
            esamp=None if esamp is None else ESampSettings.from_dict(esamp),
            self_certainty=bool(values.get("self_certainty", False)),
            confidence_window=values.get("confidence_window"),
            override=None if override is None else OverrideSettings.from_dict(override, "override"),
        )
