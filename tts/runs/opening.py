"""Opening what is there: run folders, folders that `tts bench` wrote, and files of candidates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tts.errors import UsageError, shown
from tts.runs.candidate_file import CandidateFile
from tts.runs.files import read_whole
from tts.runs.stored import Stored, StoredRun

FORMAT = 1
PLAN = "bench.json"


def run_folders(paths: Sequence[Path]) -> Iterator[tuple[Path, str, tuple[str, ...]]]:
    """Yield the run folders that `paths` name: itself, or those in a folder that `tts bench` wrote, in its order.

    Beside each: the line that it is a point of, and what is missing there, in sentences.
    """
    for path in paths:
        plan = read_plan(path)
        if plan is None:
            yield path, "", ()
            continue
        begun = [arm.name for arm in plan.arms if (path / arm.name / "run.json").exists()]
        waiting = [arm.name for arm in plan.arms if arm.name not in begun]
        notes = (f"{path}: of its recipes, {', '.join(waiting)} was never begun",) if waiting else ()
        for arm in plan.arms:
            if arm.name in begun:
                yield path / arm.name, arm.line, notes if arm.name == begun[0] else ()


def open_stored(paths: Sequence[Path], problems: str | None = None, overrides: Sequence[str] = ()) -> list[Stored]:
    """Open run folders, folders that `tts bench` wrote, and files of candidates, for which `problems` is needed.

    Of a run, `problems` corrects the references (see `StoredRun`).
    """
    opened: list[Stored] = []
    try:
        for given in paths:
            if read_plan(given) is not None and not any(run_folders([given])):
                raise UsageError(f"{given} is a benchmark in which nothing was drawn: give what it compares")
        for path, line, notes in run_folders(paths):
            is_file = path.exists() and not path.is_dir()
            opened.append(CandidateFile(path, problems, overrides) if is_file else StoredRun(path, overrides, problems))
            opened[-1].notes, opened[-1].line = (*opened[-1].notes, *notes), line
    except BaseException:
        for run in opened:
            run.close()
        raise
    return opened


@dataclass(frozen=True, slots=True)
class StoredArm:
    """One run of a benchmark: a recipe, resolved; its folder is called `name`.

    `line` is what the runs of one recipe have in common that were made each for its number of candidates.
    """

    name: str
    recipe: dict[str, Any]
    line: str = ""

    def __post_init__(self) -> None:
        """Refuse a name that is no folder's beside bench.json."""
        if self.name in ("", ".", "..") or len(self.name) > 200 or not self.name.isprintable() or "/" in self.name:
            raise ValueError(f"an arm's `name` must be that of a folder, got {shown(self.name)}")


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """What bench.json says of a benchmark (see `tts.bench.settings`)."""

    arms: tuple[StoredArm, ...]
    ks: tuple[int, ...]
    problems: str | tuple[str, ...] | None
    limit: int | None
    stored: tuple[str, ...]
    stored_problems: str | None
    embeddings: str
    perplexity: str | None
    turns: int
    judged_by: tuple[str, ...] = ()
    baseline: str | None = None
    axis: str = ""

    def __post_init__(self) -> None:
        """Refuse a number of turns in which nothing is drawn."""
        if self.turns < 1:
            raise ValueError(f"`turns` must be at least 1, got {self.turns}")


def read_plan(path: Path) -> StoredPlan | None:
    """Return the bench.json of the folder `path`, None where there is none. Raises RunFolderError."""
    return read_whole(path / PLAN, StoredPlan, FORMAT)
