"""What the engines that load a Hugging Face model themselves share: its name in the recipe, its prompts, its plugin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PrivateAttr

from tts.components.component import Component
from tts.components.slot import PathText
from tts.engines.prompts import Prompts
from tts.errors import EngineError
from tts.models.pretrained import load_tokenizer, resolve, share_cores
from tts.plugins.esamp.settings import ESampSettings
from tts.plugins.settings import PluginSettings
from tts.types import ConfidenceFloor, Plugin

Tag = Annotated[str, Field(min_length=1)]


class StoredModel(Component):
    """A model that is loaded from a folder, a file or the hub, and its prompts."""

    model: PathText = Field(min_length=1)
    """A Hugging Face id, a folder, a .gguf file, or `package://NAME/FILE.gguf` for a file of an installed package."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format. auto: the stored one, but float32 on CPUs that have no bfloat16 instructions."""

    _prompts: Prompts | None = PrivateAttr(default=None)

    def _prompts_of(self, template_arguments: Mapping[str, Any], source: str | None = None) -> Prompts:
        """Return what renders messages; loads the tokenizer of `source` (None: of `model`) once."""
        if self._prompts is None:
            share_cores()
            self._prompts = Prompts(load_tokenizer(source or resolve(self.model)), template_arguments)
        return self._prompts


class LocalModel(StoredModel):
    """A causal language model that runs here; one of the plugins that it `hosts` can run inside it."""

    hosts: ClassVar[Mapping[str, type[PluginSettings]]] = {"esamp": ESampSettings}
    """The plugins by name, and what can be set about each."""

    confidence_window: int | None = Field(default=None, ge=1)
    """Measure every candidate's confidence (see the scorer `confidence`), over windows of so many tokens. null: only
    where a scorer asks for it, and then over 2048. Where a sampler sets a floor (`deepconf`), its window is used."""

    _asked: frozenset[str] = PrivateAttr(default=frozenset())
    _plugin: PluginSettings | None = PrivateAttr(default=None)

    def host(self, plugin: Plugin) -> None:
        """Run a plugin from the next `open` on. Raises EngineError for an unknown one, RecipeError for its settings."""
        if plugin.name not in self.hosts:
            names = ", ".join(self.hosts)
            raise EngineError(f"the plugin must be one that this engine hosts ({names}), got {plugin.name!r}")
        self._plugin = self.hosts[plugin.name].from_dict(plugin.settings, "sampler")

    @property
    def plugin(self) -> PluginSettings | None:
        """The settings of the plugin that is hosted; None where there is none."""
        return self._plugin

    @property
    def _esamp(self) -> ESampSettings | None:
        """The settings of ESamp where that is hosted."""
        return self._plugin if isinstance(self._plugin, ESampSettings) else None

    def measure(self, capabilities: frozenset[str]) -> None:
        """Measure what these need, from the next `open` on; of those that cost something, there is `confidence`."""
        self._asked = capabilities

    @property
    def measured_window(self) -> int | None:
        """The window over which confidence is measured; None: it is not."""
        return self.confidence_window or (ConfidenceFloor().window if "confidence" in self._asked else None)
