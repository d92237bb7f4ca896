"""A benchmark: several recipes over the same problems, each in a run folder of its own below one folder.

bench.json        what was asked: the arms' names and resolved recipes, the problems, the values of k
<arm>/            a run folder, as `tts solve` writes it; <arm>-k4/ where a recipe has a run for each k
report.json       what was found; report.html shows it
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tts.bench.settings import BenchArm, BenchSettings
from tts.errors import RunFolderError
from tts.recipe import rebuild_recipe
from tts.report.data import Report
from tts.runs import records
from tts.runs.files import write_whole
from tts.runs.folder import StoredFolder
from tts.runs.opening import FORMAT, PLAN, StoredPlan, read_plan
from tts.runs.records import InputLine
from tts.types import InputRow

REPORT = "report.json"
PAGE = "report.html"


class BenchFolder:
    """The folder of a benchmark. Making one reads nothing and writes nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def settings(self) -> BenchSettings | None:
        """Return what the folder's benchmark is; None where the folder is new. Raises RunFolderError for any other."""
        stored = read_plan(self.path)
        if stored is None:
            self._refuse_foreign()
            return None
        where = str(self.path / PLAN)
        arms = tuple(
            BenchArm(
                arm.name, rebuild_recipe(arm.recipe, name=arm.line or arm.name, purpose="bench", where=where), arm.line
            )
            for arm in stored.arms
        )
        return BenchSettings(**{**records.as_dict(stored), "arms": arms})

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

    def write_settings(self, settings: BenchSettings) -> None:
        """Write bench.json, whole or not at all."""
        arms = [
            {"name": arm.name, "recipe": arm.recipe.resolved()} | ({"line": arm.line} if arm.line else {})
            for arm in settings.arms
        ]
        kept = {name: getattr(settings, name) for name in StoredPlan.__slots__}
        content = {"format": FORMAT, **kept, "arms": arms}
        write_whole(self.path / PLAN, records.pretty(content))

    def write_report(self, report: Report, command: str) -> None:
        """Write report.json and report.html, each whole or not at all; the page says which command made it."""
        from tts.report.page import write_page

        write_whole(self.path / REPORT, records.dumps(report))
        write_page(report, self.path / PAGE, command)

    def rows_of(self, name: str) -> Iterator[InputRow]:
        """Yield the input of an arm that has read it to its end, for another arm."""
        folder = StoredFolder(self.arm(name))
        try:
            for _, line in folder["problems.jsonl"].records(InputLine):
                if line.row is not None:
                    yield line.row
        finally:
            folder.close()
