"""What one run drew, given to another that chooses among the same candidates: drawn once, and paid once."""

from __future__ import annotations

import filecmp
import json
import shutil
from pathlib import Path

from tts.errors import RunWriteError
from tts.recipe import Recipe
from tts.runs.call_log import FILE as CALLS
from tts.runs.call_log import SCORER_FILE as SCORER_CALLS
from tts.runs.folder import RunFolder, read_job

OWN = frozenset({"opening", "statistics", "sandbox"})
"""What run.json says of the session that drew: it is not told of another run."""


def lend(source: Path, to: Path, recipe: Recipe, *, scored: bool) -> None:
    """Give the run folder `to` all that the complete one at `source` drew, anew where that drew failed ones again.

    What its own scorer asked stays. `recipe` differs from the other's in later stages alone. `scored`: they have one
    scorer, whose calls are given, too. A death in between loses nothing: candidates.jsonl comes last, and a folder with
    none, or with others, is given everything anew. Raises RunFolderError where the folder belongs to another,
    RunWriteError where it cannot be written.
    """
    again = (to / "candidates.jsonl").exists()
    if again:
        before = read_job(to)
        lent = before is not None and before.lender is not None
        if not lent or filecmp.cmp(source / "candidates.jsonl", to / "candidates.jsonl", shallow=False):
            return
    job = json.loads((source / "run.json").read_bytes())
    asked = [SCORER_CALLS] if scored and not again else []
    names = ["problems.jsonl", CALLS, *asked, "superseded.jsonl", "candidates.jsonl"]
    with RunFolder(to) as folder:
        kept = {name: value for name, value in job.items() if name not in OWN}
        own = {"name": recipe.name, "recipe": recipe.resolved(), "recipe_hash": recipe.hash(), "lender": source.name}
        folder.write_job(**{**kept, **own})
        folder.forget_derived()
        try:
            for name in names:
                if (source / name).exists():
                    shutil.copyfile(source / name, to / f"{name}.partial")
                    (to / f"{name}.partial").replace(to / name)
        except OSError as error:
            raise RunWriteError(f"cannot copy the candidates of {source} to {to}: {error.strerror}") from error
