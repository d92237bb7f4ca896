"""What one run drew, given to another that chooses among the same candidates: drawn once, and paid once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tts.errors import RunWriteError
from tts.recipe import Recipe
from tts.runs.call_log import FILE as CALLS
from tts.runs.call_log import SCORER_FILE as SCORER_CALLS
from tts.runs.folder import RunFolder

OWN = frozenset({"opening", "statistics", "sandbox"})
"""What run.json says of the session that drew: it is not told of another run."""


def lend(source: Path, to: Path, recipe: Recipe, *, scored: bool) -> None:
    """Give the new run folder `to` all that the complete one at `source` drew; what was given before stays.

    `recipe` differs from the other's in later stages alone. `scored`: they have one scorer, whose calls are given, too.
    A death in between loses nothing: candidates.jsonl comes last, and a folder without it is given everything anew.
    Raises RunFolderError where the folder belongs to another, RunWriteError where it cannot be written.
    """
    if (to / "candidates.jsonl").exists():
        return
    job = json.loads((source / "run.json").read_bytes())
    names = ["problems.jsonl", CALLS, *([SCORER_CALLS] if scored else []), "superseded.jsonl", "candidates.jsonl"]
    with RunFolder(to) as folder:
        kept = {name: value for name, value in job.items() if name not in OWN}
        folder.write_job(**{**kept, "name": recipe.name, "recipe": recipe.resolved(), "recipe_hash": recipe.hash()})
        try:
            for name in names:
                if (source / name).exists():
                    shutil.copyfile(source / name, to / f"{name}.partial")
                    (to / f"{name}.partial").replace(to / name)
        except OSError as error:
            raise RunWriteError(f"cannot copy the candidates of {source} to {to}: {error.strerror}") from error
