"""What a benchmark is to be: from the command line, or from the folder that it goes on in."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, count
from pathlib import Path

from tts.errors import RunFolderError, UsageError
from tts.problems.sources import Specs
from tts.protocols import SearchingSampler
from tts.recipe import (
    Difference,
    Recipe,
    changes_no_candidate,
    differences,
    load_recipe,
    only_later_stages,
    rebuild_recipe,
)
from tts.report.spread import AUTO
from tts.runs import job
from tts.runs.candidate_file import JUDGING

RESERVED = frozenset(
    f"{name}{end}" for name in ("bench.json", "report.json", "report.html") for end in ("", ".partial")
)
"""Names of files in a benchmark's folder."""


@dataclass(frozen=True, slots=True)
class BenchArm:
    """One recipe of a benchmark, under a name that no other arm has; its run folder is called so."""

    name: str
    recipe: Recipe


@dataclass(frozen=True, slots=True)
class BenchSettings:
    """What the command line says (what is empty, 0 or None is not said), and what `resolve` makes of that.

    `problems` None: each recipe's own; `ks` empty: powers of two. `stored` are the runs and files that are taken as
    they are, `stored_problems` what goes with such a file, `judged_by` the overrides by which they are judged. In each
    of the `turns` every arm draws its share of the problems. All others are compared with `baseline` alone (None: with
    each other). `arms` is what `recipes`, `overrides` and `seeds` come to.
    """

    recipes: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    candidates: bool = True
    arms: tuple[BenchArm, ...] = ()
    ks: tuple[int, ...] = ()
    problems: Specs | None = None
    limit: int | None = None
    stored: tuple[str, ...] = ()
    stored_problems: str | None = None
    judged_by: tuple[str, ...] = ()
    embeddings: str = ""
    perplexity: str | None = None
    turns: int = 0
    baseline: str | None = None

    @property
    def names_nothing(self) -> bool:
        """Whether neither recipes nor stored candidates are named."""
        return not self.recipes and not self.stored


def resolve(asked: BenchSettings, stored: BenchSettings | None, path: Path) -> BenchSettings:
    """Return what the benchmark in the folder at `path` is: what is asked, over what the folder holds (None: nothing).

    Raises RecipeError, UsageError, and RunFolderError where anything but other figures is asked for than what the
    folder holds.
    """
    return _new(asked) if stored is None else _again(asked, stored, path)


def _new(asked: BenchSettings) -> BenchSettings:
    names = (job.DEFAULT_RECIPE,) if asked.names_nothing else asked.recipes
    arms = _arms(asked, names, max(asked.ks, default=None))
    if not arms and isinstance(asked.problems, tuple):
        raise UsageError(f"PROBLEMS must be one file beside --from, got {len(asked.problems)}: join them")
    if not arms:
        _refuse_drawing(asked)
    return replace(
        asked,
        arms=arms,
        judged_by=_judging(asked),
        turns=asked.turns or 1,
        stored_problems=asked.stored_problems
        or (asked.problems if not arms and isinstance(asked.problems, str) else None),
        embeddings=asked.embeddings or AUTO,
    )


def _judging(asked: BenchSettings) -> tuple[str, ...]:
    """Return the overrides that say how stored candidates are judged; those of a drawn arm say that, too.

    Raises UsageError where nothing is drawn and one says how to draw.
    """
    if not asked.stored:
        return ()
    judging = tuple(one for one in asked.overrides if one.partition("=")[0].partition(".")[0] in JUDGING)
    if not asked.recipes and judging != asked.overrides:
        other = next(one for one in asked.overrides if one not in judging)
        raise UsageError(
            f"`--set {other}` must go with a --recipe: stored candidates are judged, not drawn; set "
            f"{' or '.join(JUDGING)}"
        )
    return judging


def _again(asked: BenchSettings, stored: BenchSettings, path: Path) -> BenchSettings:
    if asked.stored and asked.stored != stored.stored:
        raise RunFolderError(f"{path} is a benchmark of other stored runs: choose another --run DIR")
    if asked.problems not in (None, stored.problems) or asked.limit not in (None, stored.limit):
        raise RunFolderError(f"{path} is a benchmark on other problems: choose another --run DIR")
    most = max((arm.recipe.sampler.num_candidates for arm in stored.arms), default=None)
    if most is not None and max(asked.ks, default=0) > most:
        raise RunFolderError(
            f"{path} has {most} candidates a problem, got --k {max(asked.ks)}: choose another --run DIR"
        )
    if asked.stored_problems not in (None, stored.stored_problems):
        raise RunFolderError(f"{path} is a benchmark on other --problems: choose another --run DIR")
    if not stored.arms:
        _refuse_drawing(asked)
    if asked.seeds and not asked.recipes:
        raise UsageError("`--seed` must go with a --recipe: the folder's recipes have theirs")
    judged_by = _judging(replace(asked, stored=stored.stored, recipes=tuple(arm.name for arm in stored.arms)))
    if asked.recipes:
        arms = _arms(asked, asked.recipes, most)
    else:
        arms = tuple(
            BenchArm(arm.name, rebuild_recipe(arm.recipe.resolved(), asked.overrides, name=arm.name, purpose="bench"))
            for arm in stored.arms
        )
    _refuse_changes(stored.arms, arms, path)
    return replace(
        stored,
        arms=tuple(_changed(before, after) for before, after in zip(stored.arms, arms, strict=True)),
        candidates=asked.candidates,
        ks=asked.ks or stored.ks,
        judged_by=judged_by or stored.judged_by,
        turns=asked.turns or stored.turns,
        embeddings=asked.embeddings or stored.embeddings,
        perplexity=asked.perplexity or stored.perplexity,
        baseline=asked.baseline or stored.baseline,
    )


def _refuse_drawing(asked: BenchSettings) -> None:
    """Refuse what only drawing would heed, where every candidate is drawn already."""
    for option, value in {"--seed": asked.seeds, "--turns": asked.turns, "--limit": asked.limit}.items():
        if value:
            raise UsageError(f"`{option}` must go with a --recipe: stored candidates are drawn already")


def _refuse_changes(old: tuple[BenchArm, ...], new: tuple[BenchArm, ...], path: Path) -> None:
    changes: list[str | Difference] = []
    if [arm.name for arm in old] != [arm.name for arm in new]:
        changes.append(f"recipes: {', '.join(arm.name for arm in old)} → {', '.join(arm.name for arm in new)}")
    for before, after in zip(old, new, strict=False):
        changes += [
            change
            for change in differences(before.recipe.resolved(), after.recipe.resolved())
            if only_later_stages([change]) or not changes_no_candidate([change], after.recipe)
        ]
    if changes:
        told = "\n".join(f"  {change}" for change in changes)
        raise RunFolderError(
            f"{path} holds another benchmark. Changed:\n{told}\nGo on with it as it is (leave out --recipe, --set and "
            "--seed), or choose another --run DIR."
        )


def _folder_names(called: Sequence[str]) -> list[str]:
    """Return a folder's name for each recipe, all different, also where letter case does not count; none is a file's.

    A name that several have is numbered, around those that stand alone.
    """
    whole = ["".join(one if one.isprintable() and one != "/" else "_" for one in name) for name in called]
    plain = [name.encode()[:100].decode(errors="ignore").strip(". ") or "recipe" for name in whole]
    folded = [name.casefold() for name in plain]
    taken = {name for name in folded if folded.count(name) == 1} | RESERVED
    names = []
    for name, key in zip(plain, folded, strict=True):
        alone = folded.count(key) == 1 and key not in RESERVED
        numbered = (f"{name}-{number}" for number in count(1))
        names.append(name if alone else next(one for one in numbered if one.casefold() not in taken))
        taken.add(names[-1].casefold())
    return names


def _changed(before: BenchArm, after: BenchArm) -> BenchArm:
    return after if differences(before.recipe.resolved(), after.recipe.resolved()) else before


def _arms(asked: BenchSettings, names: tuple[str, ...], most: int | None) -> tuple[BenchArm, ...]:
    """Return one arm a recipe, which draws `most` candidates unless an override says otherwise (None: its own number).

    Raises UsageError where an arm would draw fewer, or two arms the same ones.
    """
    if len(asked.seeds) not in (0, 1, len(names)):
        raise UsageError(
            f"`--seed` must come once, or once for each of {len(names)} recipes, got it {len(asked.seeds)} times"
        )
    drawn = [] if most is None else [f"sampler.num_candidates={most}"]
    seeds = [[f"seed={seed}"] for seed in asked.seeds] or [[]]
    recipes = [
        load_recipe(name, [*drawn, *asked.overrides, *seeds[place % len(seeds)]], purpose="bench")
        for place, name in enumerate(names)
    ]

    arms = tuple(map(BenchArm, _folder_names([recipe.name for recipe in recipes]), recipes))

    for arm in arms:
        number = arm.recipe.sampler.num_candidates
        if isinstance(arm.recipe.sampler, SearchingSampler) and arm.recipe.sampler.interacting:
            raise UsageError(
                f"a benchmark reads its lines over k off candidates that know nothing of each other, and those of "
                f"{arm.name} are drawn by a search: solve with it once for each number of candidates "
                f"(tts solve --recipe {shlex.quote(arm.recipe.source)}), and compare what the solutions say of tokens "
                "and accuracy"
            )
        if most is not None and number < most:
            raise UsageError(f"`--k` must be at most sampler.num_candidates, got {most}, but {number} in {arm.name}")
    for first, second in combinations(arms, 2):
        if only_later_stages(differences(first.recipe.resolved(), second.recipe.resolved())):
            raise UsageError(
                f"two arms must not draw the same candidates, got {first.name} and {second.name} with the same engine, "
                "sampler and seed. Every selector is in every arm's report; for a second sample give each its own "
                "--seed, as in --seed 0 --seed 1"
            )
    return arms
