"""The engine `ray`: replicas of any other engine, behind the protocol that every engine has."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, PrivateAttr, model_validator

from tts.components.component import Component
from tts.components.slot import Slot
from tts.engines.ray import cluster
from tts.engines.ray.look import HOST_AND_PORT
from tts.engines.ray.places import Places, linger_seconds
from tts.engines.ray.replica import Call
from tts.errors import EngineError, EngineLoadError, plural
from tts.protocols import MeasuresWhenAsked, PluginHost, SendsAgain
from tts.types import Message, Plugin, PluginReport
from tts.version import __version__

logger = logging.getLogger(__name__)


class RayEngine(Component):
    """Runs replicas of another engine as Ray actors, on one machine or many, under one driver.

    A problem's calls stay on one replica. One that dies or hangs is replaced and its calls are made again, of an ESamp
    group all; a problem that kills three or more becomes errors. Every node needs the same `tts` installed. Where
    many candidates a second are drawn, or the machines know nothing of each other: `tts solve --shard`.
    """

    engine: Annotated[Any, Slot("engines", inside=True)]
    """The engine of which each replica has one: name and keys, as it would stand in this one's place."""

    num_replicas: int = Field(ge=1)
    """How many replicas."""

    gpus_per_replica: float = Field(default=0.0, ge=0)
    """GPUs of each; a replica sees no others. Several replicas share one below 1."""

    cpus_per_replica: float = Field(default=1.0, gt=0)
    """CPUs of each; it computes with as many threads."""

    address: str = "local"
    """The cluster: `local` starts one on this machine for the run, `auto` joins the one that the environment variable
    RAY_ADDRESS names, HOST:PORT that one."""

    hang_seconds: float = Field(default=120.0, gt=0)
    """A replica that has work and ends no step for so long is given up."""

    start_seconds: float = Field(default=1800.0, gt=0)
    """The longest that a replica may take until its model is loaded."""

    circumstances: ClassVar[frozenset[str]] = frozenset(
        {"num_replicas", "gpus_per_replica", "cpus_per_replica", "address", "hang_seconds", "start_seconds"}
    )

    _places: Places | None = PrivateAttr(default=None)
    _cluster: cluster.RayCluster | None = PrivateAttr(default=None)
    _plugin: Plugin | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if isinstance(self.engine, RayEngine) or not hasattr(self.engine, "step"):
            raise ValueError("`engine` must be one that computes itself, and not another `ray`")
        if isinstance(self.engine, SendsAgain):
            raise ValueError("`engine` must be one that computes itself: several servers are all its `base_url`")
        for name in ("gpus_per_replica", "cpus_per_replica"):
            if (value := getattr(self, name)) > 1 and value != int(value):
                raise ValueError(f"`{name}` must be a whole number above 1, got {value:g}")
        if self.address not in ("local", "auto") and not HOST_AND_PORT.fullmatch(self.address):
            raise ValueError(f"`address` must be `local`, `auto` or HOST:PORT, got {self.address!r}")
        threads = getattr(self.engine, "num_threads", None)
        if threads is not None and threads != max(1, int(self.cpus_per_replica)):
            raise ValueError(
                f"`engine.num_threads` must be `cpus_per_replica`, got {threads} and {self.cpus_per_replica:g}: "
                "leave it out"
            )
        return self

    def capabilities(self) -> frozenset[str]:
        """Return what one replica can do."""
        told = self._places.hello if self._places is not None else None
        return self.engine.capabilities() if told is None else told.capabilities

    def measure(self, capabilities: frozenset[str]) -> None:
        """Fill the fields behind these, where the replicas' engine measures them when it is asked."""
        if isinstance(self.engine, MeasuresWhenAsked):
            self.engine.measure(capabilities)

    def host(self, plugin: Plugin) -> None:
        """Run `plugin` in every replica from the next `open` on. Raises EngineLoadError where that is another thing."""
        if not isinstance(self.engine, PluginHost):
            raise EngineLoadError(f"the replicas' engine runs no plugin, got `{plugin.name}`")
        if plugin.settings.get("scope") == "shared" and self.num_replicas > 1:
            raise EngineLoadError(
                "`scope: shared` must have one replica, as each has a distiller of its own: set `num_replicas: 1`, or "
                "leave `scope` out"
            )
        self.engine.host(plugin)
        self._plugin = plugin

    def plugin_report(self) -> PluginReport | None:
        """Return what the plugin did in the replicas that are there now; None without one."""
        if self._plugin is None or self._places is None or self._cluster is None:
            return None
        return _together(self._plugin.name, self._cluster.reports(), self._places.num_replaced)

    def check(self) -> None:
        """Raise where Ray, or what the replicas' engine needs of this machine, is missing."""
        cluster.require()
        if self.address == "local":
            self.engine.check()

    def open(self) -> None:
        """Join or start the cluster and load the replicas. Raises EngineError where it has no room, or one cannot."""
        self.close()
        linger = linger_seconds(self.num_replicas)
        self._cluster = cluster.RayCluster(
            self.engine,
            address=self.address,
            cpus=self.cpus_per_replica,
            gpus=self.gpus_per_replica,
            linger_seconds=linger,
        )
        try:
            self._cluster.open(self.num_replicas)
            self._places = Places(
                self._cluster,
                self.num_replicas,
                hang_seconds=self.hang_seconds,
                start_seconds=self.start_seconds,
                versions={"tts-toolkit": __version__},
                told=logger.warning,
            )
            self._places.open()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the replicas, and the cluster where it was started here."""
        places, self._places = self._cluster, None
        self._cluster = None
        if places is not None:
            places.close()

    @property
    def thinking_tags(self) -> tuple[str, str] | None:
        """What opens and closes a thinking section."""
        hello = self._opened.hello
        return None if hello is None else hello.thinking_tags

    def render(self, messages: tuple[Message, ...]) -> tuple[str, int]:
        """Return the prompt as a replica's model will read it, and its number of tokens."""
        rendered: tuple[str, int] = self.engine.render(messages)
        return rendered

    @property
    def num_free(self) -> int:
        """How many more requests the replicas want."""
        return self._opened.num_free

    @property
    def num_generated_tokens(self) -> int:
        """Tokens generated since `open`, as last told; those that a replica took to its death are among them."""
        return self._opened.num_tokens

    def add(self, request: Call) -> None:
        """Take one request."""
        self._opened.add(request)

    def step(self, patience_seconds: float = 0.1) -> list[Any]:
        """Return what finished, groups whole; wait for it at most so long. Raises EngineError where none goes on."""
        return self._opened.step(patience_seconds)

    def cancel(self, problem_id: str, key: str) -> None:
        """Stop one request; `step` returns what it has."""
        self._opened.cancel((problem_id, key))

    @property
    def _opened(self) -> Places:
        places = self._places  # read once: pydantic looks private attributes up slowly
        if places is None:
            raise EngineError("the ray engine must be opened before it is used")
        return places


def _together(name: str, reports: Sequence[PluginReport], num_replaced: int) -> PluginReport:
    """Return one report of several replicas': counts are sums, other figures means over those that have them."""
    figures: dict[str, Any] = {"replicas": len(reports)}
    for figure in dict.fromkeys(one for report in reports for one in report.figures):
        values = [value for report in reports if (value := report.figures.get(figure)) is not None]
        if all(isinstance(value, bool) for value in values):
            figures[figure] = all(values) if values else None
        else:
            total = sum(values)
            figures[figure] = None if not values else total if isinstance(total, int) else total / len(values)
    warnings = list(dict.fromkeys(warning for report in reports for warning in report.warnings))
    if num_replaced:
        warnings.append(f"{plural(num_replaced, 'replica')} had to be replaced; what they did is not in these figures")
    return PluginReport(name, figures, tuple(warnings))
