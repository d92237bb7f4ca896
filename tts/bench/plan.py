"""What a benchmark is to be: from the command line, or from the folder that it goes on in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tts.bench.folder import BenchArm, Plan, arms_of
from tts.errors import RunFolderError, UsageError
from tts.recipe import Difference, differences, rebuild_recipe
from tts.report.spread import AUTO
from tts.runs import job


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says. `embeddings` None: as the plan says, `auto` for a new one."""

    problems: str | None
    recipes: tuple[str, ...]
    ks: tuple[int, ...]
    stored: tuple[str, ...]
    stored_problems: str | None
    overrides: tuple[str, ...]
    seeds: tuple[int, ...]
    limit: int | None
    turns: int | None
    embeddings: str | None
    perplexity: str | None
    candidates: bool

    @property
    def names_nothing(self) -> bool:
        """Whether neither recipes nor stored candidates are named."""
        return not self.recipes and not self.stored


def new_plan(asked: Asked) -> Plan:
    """Return the plan of a new benchmark. Raises UsageError, RecipeError."""
    names = (job.DEFAULT_RECIPE,) if asked.names_nothing else asked.recipes
    if asked.seeds and not names:
        raise UsageError("`--seed` must go with a --recipe: stored candidates are drawn already")
    arms = arms_of(names, asked.overrides, max(asked.ks, default=None), asked.seeds)
    if asked.overrides and not arms:
        raise UsageError("`--set` must go with a --recipe; to judge stored candidates otherwise: tts grade --write")
    return Plan(
        arms=arms,
        ks=asked.ks,
        problems=asked.problems,
        limit=asked.limit,
        turns=asked.turns or 1,
        stored=asked.stored,
        stored_problems=asked.stored_problems or (None if arms else asked.problems),
        embeddings=asked.embeddings or AUTO,
        perplexity=asked.perplexity,
    )


def plan_again(asked: Asked, stored: Plan, path: Path) -> Plan:
    """Return the plan of the folder at `path`, with the figures that are asked for now.

    Raises RunFolderError where anything else is asked for than what the folder holds.
    """
    _refuse_others(asked, stored, path)
    most = max((arm.recipe.sampler.num_candidates for arm in stored.arms), default=None)
    if most is not None and max(asked.ks, default=0) > most:
        raise RunFolderError(
            f"{path} has {most} candidates a problem, got --k {max(asked.ks)}: choose another --run DIR"
        )
    again = arms_of(asked.recipes, asked.overrides, most, asked.seeds) if asked.recipes else _same(asked, stored)
    _refuse_changes(stored.arms, again, path)
    return replace(
        stored,
        ks=asked.ks or stored.ks,
        turns=asked.turns or stored.turns,
        embeddings=asked.embeddings or stored.embeddings,
        perplexity=asked.perplexity or stored.perplexity,
    )


def _refuse_others(asked: Asked, stored: Plan, path: Path) -> None:
    if asked.stored and asked.stored != stored.stored:
        raise RunFolderError(f"{path} is a benchmark of other stored runs: choose another --run DIR")
    if asked.problems not in (None, stored.problems) or asked.limit not in (None, stored.limit):
        raise RunFolderError(f"{path} is a benchmark on other problems: choose another --run DIR")


def _same(asked: Asked, stored: Plan) -> tuple[BenchArm, ...]:
    if asked.seeds:
        raise UsageError("`--seed` must go with a --recipe")
    return tuple(
        BenchArm(arm.name, rebuild_recipe(arm.recipe.resolved(), asked.overrides, name=arm.name, purpose="bench"))
        for arm in stored.arms
    )


def _refuse_changes(old: Sequence[BenchArm], new: Sequence[BenchArm], path: Path) -> None:
    changes: list[str | Difference] = []
    if [arm.name for arm in old] != [arm.name for arm in new]:
        changes.append(f"recipes: {', '.join(arm.name for arm in old)} → {', '.join(arm.name for arm in new)}")
    for before, after in zip(old, new, strict=False):
        changes += differences(before.recipe.resolved(), after.recipe.resolved())
    if changes:
        told = "\n".join(f"  {change}" for change in changes)
        raise RunFolderError(
            f"{path} holds another benchmark. Changed:\n{told}\nGo on with it as it is (leave out --recipe, --set and "
            "--seed), or choose another --run DIR."
        )
