"""What a benchmark is to be: from the command line, or from the folder that it goes on in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, count
from pathlib import Path

from tts.errors import RecipeError, RunFolderError, UsageError
from tts.problems.sources import Specs
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
    """One run of a benchmark: a recipe, under a name that no other has; its folder is called so.

    Where candidates influence each other a recipe has a run for each k, and these the same `line`, the recipe's name.
    """

    name: str
    recipe: Recipe
    line: str = ""

    @property
    def called(self) -> str:
        """What to call its recipe."""
        return self.line or self.name

    def scores_like(self, other: BenchArm) -> bool:
        """Whether both have the same scorer, so that what it was told about the same candidates serves both."""
        one, two = self.recipe.resolved(), other.recipe.resolved()
        return bool(one["selector"].get("scorer") == two["selector"].get("scorer") and one["task"] == two["task"])


@dataclass(frozen=True, slots=True)
class BenchSettings:
    """What the command line says (what is empty, 0 or None is not said), and what `resolve` makes of that.

    `problems` None: each recipe's own; `ks` empty: powers of two. `stored` are the runs and files that are taken as
    they are, `stored_problems` what goes with such a file, `judged_by` the overrides by which they are judged. In each
    of the `turns` every arm draws its share of the problems. All others are compared with `baseline` alone (None: with
    each other). `arms` is what `recipes`, `overrides`, `seeds` and `ks` come to; `without` says of which k there is no
    run, a sentence each. `axis` is what accuracy is held against ("": as fits the arms).
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
    axis: str = ""
    without: tuple[str, ...] = ()

    @property
    def names_nothing(self) -> bool:
        """Whether neither recipes nor stored candidates are named."""
        return not self.recipes and not self.stored

    @property
    def course(self) -> tuple[tuple[BenchArm, BenchArm | None], ...]:
        """The arms in the order of the work, each with the one whose candidates it takes; None: it draws.

        Of those that would draw the same candidates one does, and goes before the others; one that measures confidence,
        which costs something and so is measured only where a scorer asks for it, if there is one. Where another has the
        same scorer, too, what that was told is taken with them.
        """
        groups: list[list[BenchArm]] = []
        for arm in self.arms:
            own = next((group for group in groups if _draws_the_same(group[0], arm)), None)
            if own is None:
                groups.append([arm])
            else:
                own.append(arm)
        drawing = [max(group, key=_measures_confidence) for group in groups]
        found: list[tuple[BenchArm, BenchArm | None]] = [(arm, None) for arm in self.arms if arm in drawing]
        for group, first in zip(groups, drawing, strict=True):
            done = [first]
            for arm in [arm for arm in group if arm is not first]:
                found.append((arm, next((one for one in done if one.scores_like(arm)), first)))
                done.append(arm)
        return tuple(found)


def _draws_the_same(first: BenchArm, second: BenchArm) -> bool:
    return only_later_stages(differences(first.recipe.resolved(), second.recipe.resolved()))


def _measures_confidence(arm: BenchArm) -> bool:
    scorer = arm.recipe.selector.scorer
    return scorer is not None and "confidence" in scorer.requires


def resolve(asked: BenchSettings, stored: BenchSettings | None, path: Path) -> BenchSettings:
    """Return what the benchmark in the folder at `path` is: what is asked, over what the folder holds (None: nothing).

    Raises RecipeError, UsageError, and RunFolderError where anything but other figures is asked for than what the
    folder holds.
    """
    return _new(asked) if stored is None else _again(asked, stored, path)


def _new(asked: BenchSettings) -> BenchSettings:
    names = (job.DEFAULT_RECIPE,) if asked.names_nothing else asked.recipes
    arms, without = _arms(asked, names, asked.ks, max(asked.ks, default=None))
    if not arms and isinstance(asked.problems, tuple):
        raise UsageError(f"PROBLEMS must be one file beside --from, got {len(asked.problems)}: join them")
    if not arms:
        _refuse_drawing(asked)
    return replace(
        asked,
        arms=arms,
        without=without,
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
        arms, _ = _arms(asked, asked.recipes, _ks_of(stored), most)
    else:
        arms = tuple(
            replace(
                arm,
                recipe=rebuild_recipe(
                    arm.recipe.resolved(), asked.overrides, name=arm.line or arm.name, purpose="bench"
                ),
            )
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
        axis=asked.axis or stored.axis,
    )


def _ks_of(stored: BenchSettings) -> tuple[int, ...]:
    """Return the ks for which a stored benchmark made runs; () where it was not asked for any."""
    return tuple(sorted({arm.recipe.sampler.num_candidates for arm in stored.arms if arm.line}))


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


def _arms(
    asked: BenchSettings, names: tuple[str, ...], ks: tuple[int, ...], most: int | None
) -> tuple[tuple[BenchArm, ...], tuple[str, ...]]:
    """Return the runs of each recipe, and of which k there is none.

    Candidates that know nothing of each other are drawn once, `most` of them unless an override says otherwise (None:
    the recipe's own number). Where they influence each other there is a run for each of `ks` that the sampler can take.
    Raises UsageError where an arm would draw fewer, or two arms are the same.
    """
    if len(asked.seeds) not in (0, 1, len(names)):
        raise UsageError(
            f"`--seed` must come once, or once for each of {len(names)} recipes, got it {len(asked.seeds)} times"
        )
    seeds = [[f"seed={seed}"] for seed in asked.seeds] or [[]]
    without: list[str] = []
    made = [
        _runs(name, [*asked.overrides, *seeds[place % len(seeds)]], ks, most, without)
        for place, name in enumerate(names)
    ]

    called = _folder_names([runs[0][1].name for runs in made])
    flat = [
        (recipe, name if k else "", f"{name}-k{k}" if k else name)
        for name, runs in zip(called, made, strict=True)
        for k, recipe in runs
    ]
    folders = _folder_names([folder for _, _, folder in flat])
    arms = tuple(BenchArm(folder, recipe, line) for folder, (recipe, line, _) in zip(folders, flat, strict=True))

    for arm in arms:
        number = arm.recipe.sampler.num_candidates
        if most is not None and not arm.line and number < most:
            raise UsageError(f"`--k` must be at most sampler.num_candidates, got {most}, but {number} in {arm.name}")
    for first, second in combinations(arms, 2):
        if not differences(first.recipe.resolved(), second.recipe.resolved()):
            raise UsageError(
                f"two arms must differ, got {first.name} and {second.name} with the same engine, sampler, selector and "
                "seed; for a second sample give each its own --seed, as in --seed 0 --seed 1"
            )
    return arms, tuple(without)


def _runs(
    name: str, overrides: Sequence[str], ks: tuple[int, ...], most: int | None, without: list[str]
) -> list[tuple[int, Recipe]]:
    """Return the recipe for the one run of a sampler, at 0, or for each k of one whose candidates influence each other.

    `without` takes a sentence for each k that there is no run of. Raises RecipeError where there is none at all.
    """
    refused: dict[int, RecipeError] = {}
    try:
        drawn = [] if most is None else [f"sampler.num_candidates={most}"]
        recipe = load_recipe(name, [*drawn, *overrides], purpose="bench")
        if not ks or not recipe.sampler.interacting:
            return [(0, recipe)]
    except RecipeError as error:  # so many it may not take; it is wrong where it takes no other number, either
        refused[0] = error
    runs: list[tuple[int, Recipe]] = []
    for k in ks:
        try:
            runs.append((k, load_recipe(name, [*overrides, f"sampler.num_candidates={k}"], purpose="bench")))
        except RecipeError as error:
            refused[k] = error
    if not runs or not runs[0][1].sampler.interacting:
        raise next(iter(refused.values()))
    for k in ks:
        if k in refused:
            why = str(refused[k]).strip().splitlines()[-1].removeprefix(f"--set sampler.num_candidates={k}: ")
            without.append(f"{runs[0][1].name}: no run at k = {k}, which its sampler cannot take: {why}")
    return runs
