"""A benchmark: several recipes over the same problems, each in a run folder of its own below one folder.

bench.json        what was asked: the arms' names and resolved recipes, the problems, the values of k
<arm>/            a run folder, as `tts solve` writes it
report.json       what was found; report.html shows it
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from tts.errors import RunFolderError, UsageError
from tts.recipe import Recipe, differences, load_recipe, only_later_stages, rebuild_recipe
from tts.report.data import Report
from tts.runs import records
from tts.runs.files import write_whole
from tts.runs.folder import StoredFolder
from tts.runs.opening import FORMAT, PLAN, read_plan
from tts.runs.records import InputLine
from tts.types import InputRow

REPORT = "report.json"
PAGE = "report.html"


@dataclass(frozen=True, slots=True)
class BenchArm:
    """One recipe of a benchmark, under a name that no other arm has; its run folder is called so."""

    name: str
    recipe: Recipe


@dataclass(frozen=True, slots=True)
class Plan:
    """What a benchmark is: enough to go on with it. `problems` None: each recipe's own; `ks` empty: powers of two.

    `stored` are the runs and files that are taken as they are, `stored_problems` what goes with such a file. In each of
    the `turns` every arm draws its share of the problems.
    """

    arms: tuple[BenchArm, ...]
    ks: tuple[int, ...]
    problems: str | None
    limit: int | None
    stored: tuple[str, ...]
    stored_problems: str | None
    embeddings: str
    perplexity: str | None
    turns: int

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as bench.json has it."""
        plain = {name: getattr(self, name) for name in self.__slots__ if name != "arms"}
        arms = [{"name": arm.name, "recipe": arm.recipe.resolved()} for arm in self.arms]
        return {"format": FORMAT, "arms": arms, **plain}


def arms_of(
    names: Sequence[str], overrides: Sequence[str], num_candidates: int | None, seeds: Sequence[int]
) -> tuple[BenchArm, ...]:
    """Return one arm a recipe. `num_candidates` goes before the recipes' own, an override before it (None: neither).

    `seeds`: none, one for all, or one each. Raises UsageError where an arm would draw fewer, or two arms the same ones.
    """
    if len(seeds) not in (0, 1, len(names)):
        raise UsageError(
            f"`--seed` must come once, or once for each of {len(names)} recipes, got it {len(seeds)} times"
        )
    drawn = [] if num_candidates is None else [f"sampler.num_candidates={num_candidates}"]
    recipes = [
        load_recipe(name, [*drawn, *overrides, *_seed(seeds, place)], purpose="bench")
        for place, name in enumerate(names)
    ]
    arms = tuple(BenchArm(name, recipe) for name, recipe in zip(_distinct(recipes), recipes, strict=True))
    _refuse_few(arms, num_candidates or 0)
    _refuse_twins(arms)
    return arms


def _refuse_few(arms: Sequence[BenchArm], most: int) -> None:
    for arm in arms:
        drawn = arm.recipe.sampler.num_candidates
        if drawn < most:
            raise UsageError(f"`--k` must be at most sampler.num_candidates, got {most}, but {drawn} in {arm.name}")


def _seed(seeds: Sequence[int], place: int) -> list[str]:
    return [f"seed={seeds[place if len(seeds) > 1 else 0]}"] if seeds else []


def _distinct(recipes: Sequence[Recipe]) -> list[str]:
    """Return the recipes' names, numbered where several have the same."""
    names = [recipe.name for recipe in recipes]
    return [f"{name}-{names[: i + 1].count(name)}" if names.count(name) > 1 else name for i, name in enumerate(names)]


def _refuse_twins(arms: Sequence[BenchArm]) -> None:
    for first, second in combinations(arms, 2):
        if only_later_stages(differences(first.recipe.resolved(), second.recipe.resolved())):
            raise UsageError(
                f"two arms must not draw the same candidates, got {first.name} and {second.name} with the same engine, "
                "sampler and seed. Every selector is in every arm's report; for a second sample give each its own "
                "--seed, as in --seed 0 --seed 1"
            )


class BenchFolder:
    """The folder of a benchmark. Making one reads nothing and writes nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def plan(self) -> Plan | None:
        """Return what the folder's benchmark is; None where the folder is new. Raises RunFolderError for any other."""
        stored = read_plan(self.path)
        if stored is None:
            self._refuse_foreign()
            return None
        where = str(self.path / PLAN)
        arms = tuple(
            BenchArm(arm.name, rebuild_recipe(arm.recipe, name=arm.name, purpose="bench", where=where))
            for arm in stored.arms
        )
        return Plan(**{**records.as_dict(stored), "arms": arms})

    def _refuse_foreign(self) -> None:
        try:
            names = sorted(file.name for file in self.path.iterdir())
        except FileNotFoundError:
            return
        except OSError as error:
            raise RunFolderError(f"cannot use the folder {self.path}: {error.strerror}") from error
        if "run.json" in names:
            raise RunFolderError(f"{self.path} is one run's folder: give it to --from, and another folder to --run")
        if names:
            raise RunFolderError(
                f"{self.path} is no benchmark's folder and not empty (it holds {names[0]}): choose another --run DIR"
            )

    def arm(self, name: str) -> Path:
        """Return an arm's run folder."""
        return self.path / name

    def write_plan(self, plan: Plan) -> None:
        """Write bench.json, whole or not at all."""
        write_whole(self.path / PLAN, (json.dumps(plan.as_dict(), indent=2, ensure_ascii=False) + "\n").encode())

    def write_report(self, report: Report) -> None:
        """Write report.json and report.html, each whole or not at all."""
        from tts.report.page import write_page

        write_whole(self.path / REPORT, records.dumps(report))
        write_page(report, self.path / PAGE)

    def rows_of(self, name: str) -> Iterable[InputRow]:
        """Return the input of an arm that has read it to its end, for another arm."""
        return _rows(self.arm(name))


def _rows(path: Path) -> Iterator[InputRow]:
    folder = StoredFolder(path)
    try:
        for _, line in folder["problems.jsonl"].records(InputLine):
            if line.row is not None:
                yield line.row
    finally:
        folder.close()
