"""The recipe itself: what one job is, checked and frozen; its resolved form, hash, and differences to another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Self, cast

from pydantic import Field, PrivateAttr

from tts.components.component import Component, Section
from tts.components.slot import PathText, Slot, slots_of
from tts.protocols import AskingRewardEngine, Engine, GuidingSampler, Sampler, Selector, Task

SEPARATE: Final = "separate_process"
"""A key of every engine: whether it works in a process of its own."""
LATER_STAGES: Final = ("selector", "task.verifier", "task.task.verifier")


class Recipe(Section):
    """One job: which problems, which prompt, which model, how to draw candidates, and how to choose one."""

    description: str = ""
    """What this recipe is for, in one line."""

    problems: PathText | None = None
    """A data set's name or the path of a JSONL file; left out: standard input. A path that begins with `./` or `../`
    is taken from the recipe's own folder."""

    task: Annotated[Task, Slot("tasks")]
    """The prompt and the verifier that go with this kind of problem."""

    engine: Annotated[Engine, Slot("engines")]
    """The model, and what runs it."""

    sampler: Annotated[Sampler, Slot("samplers")]
    """Which candidates to draw."""

    selector: Annotated[Selector, Slot("selectors")]
    """Which candidate to hand in."""

    seed: int = Field(default=0, ge=0, lt=2**63)
    """All randomness derives from this number, the problem's id and the candidate's index."""

    _name: str = PrivateAttr(default="")
    _source: str = PrivateAttr(default="")

    @property
    def name(self) -> str:
        """The file's name without its ending; "" for a recipe that was not read from a file."""
        return self._name

    @property
    def source(self) -> str:
        """The file it was read from; "" where there was none."""
        return self._source

    def named(self, name: str, source: str = "") -> Self:
        """Return the same recipe under another name."""
        copy = self.model_copy()
        copy._name, copy._source = name, source
        return copy

    def engines(self) -> dict[str, Engine]:
        """Return every engine by its place in the recipe (`sampler.reward`); one at two places stands once."""
        found: dict[str, Any] = {"engine": self.engine}
        for path, slot, component in slots_of("", self):
            if slot.kind == "engines" and not slot.inside and all(component is not engine for engine in found.values()):
                found[path] = component
        return found

    def needed_of_engines(self) -> Iterator[tuple[str, str, Engine]]:
        """Yield (place, capability, engine) of every slot that needs a capability of the engine in it.

        What an engine asks that names none is the recipe's own.
        """
        for place, slot, component in slots_of("", self):
            if slot.needs:
                yield place, slot.needs, cast("Engine", component)
            if isinstance(component, AskingRewardEngine) and component.engine is None:
                yield "engine", "ask_tokens", self.engine

    def resolved(self) -> dict[str, Any]:
        """Return every key of every section, defaults included, in a fixed order: plain data, ready for JSON."""
        return self.model_dump(mode="json")

    def hash(self) -> str:
        """Return the SHA-256 of the resolved recipe: the same for the same job, whatever its name and description."""
        job = {key: value for key, value in self.resolved().items() if key != "description"}
        canonical = json.dumps(job, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Difference:
    """One key that two resolved recipes disagree on. A key that one of them lacks has the value None there."""

    path: str
    old: Any
    new: Any

    def __str__(self) -> str:
        old, new = (json.dumps(value, ensure_ascii=False) for value in (self.old, self.new))
        return f"{self.path}: {old} → {new}"


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[Difference]:
    """Return where two resolved recipes differ, by dotted key; descriptions do not count.

    Of a section that names another component, only the name is listed.
    """
    return [difference for difference in _differences("", old, new) if difference.path != "description"]


def _differences(path: str, old: Any, new: Any) -> Iterator[Difference]:
    if isinstance(old, dict) and isinstance(new, dict):
        renamed = old.get("name") != new.get("name")
        for key in ["name"] if renamed else dict.fromkeys([*old, *new]):
            yield from _differences(f"{path}.{key}" if path else key, old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _differences(f"{path}.{index}", before, after)
    elif old != new or type(old) is not type(new):
        yield Difference(path, old, new)


def changes_no_candidate(found: Sequence[Difference], recipe: Recipe) -> bool:
    """Tell whether a run of one recipe may go on by the other, `recipe`: no candidate is distributed otherwise.

    Later stages may differ, the place of the problems, and an engine's circumstances; these not where candidates of
    different problems share a distiller, whose order they change.
    """
    sampler = recipe.sampler
    shared = isinstance(sampler, GuidingSampler) and sampler.plugin.settings.get("scope") == "shared"
    return all(
        only_later_stages([one]) or one.path == "problems" or (_is_circumstance(one.path, recipe) and not shared)
        for one in found
    )


def _is_circumstance(path: str, recipe: Recipe) -> bool:
    """Tell whether the key at a dotted path is one of the circumstances of the engine, or of one within it."""
    part: Any = recipe
    for key in path.split("."):
        if isinstance(part, Component) and key in (*part.circumstances, SEPARATE):
            return True
        part = part[int(key)] if isinstance(part, tuple) and key.isdecimal() else getattr(part, key, None)
    return False


def only_later_stages(found: Sequence[Difference]) -> bool:
    """Tell whether the candidates drawn by one recipe serve the other: it differs in selector and verifier alone."""
    return all(f"{difference.path}.".startswith(tuple(f"{stage}." for stage in LATER_STAGES)) for difference in found)
