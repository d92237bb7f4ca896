"""scores.jsonl, selections.jsonl, verdicts.jsonl: what judging derived, one line a problem in each."""

from __future__ import annotations

from typing import Any, Generic

from tts.errors import RunFolderError
from tts.runs.files import AppendFile, File, Files
from tts.runs.records import Scores, Selections, Verdicts
from tts.types import Judged

LINES: dict[str, type[Scores | Selections | Verdicts]] = {
    "scores.jsonl": Scores,
    "selections.jsonl": Selections,
    "verdicts.jsonl": Verdicts,
}


class StoredJudgements(Generic[File]):
    """Reads back what was derived. `scored`: whether the selector has a scorer, so that its scores are a part."""

    def __init__(self, folder: Files[File], *, scored: bool) -> None:
        self._path = folder.path
        self._files = {name: folder[name] for name in LINES if scored or name != "scores.jsonl"}
        self._offsets: dict[str, dict[str, int]] = {name: {} for name in self._files}
        self._num_verdicts: dict[str, int] = {}
        for name, file in self._files.items():
            for offset, line in file.records(LINES[name]):
                self._offsets[name][line.problem_id] = offset
                if isinstance(line, Verdicts):
                    self._num_verdicts[line.problem_id] = len(line.verdicts)

    def is_of(self, problem_id: str, num_candidates: int) -> bool:
        """Tell whether nothing is stored of a problem, or something of as many candidates."""
        return self._num_verdicts.get(problem_id, num_candidates) == num_candidates

    def has(self, problem_id: str) -> bool:
        """Tell whether all that is derived of a problem is stored."""
        return all(problem_id in offsets for offsets in self._offsets.values())

    def read(self, problem_id: str) -> Judged | None:
        """Return what is stored of one problem, or None where any part of it is missing."""
        if not self.has(problem_id):
            return None
        at = {name: offsets[problem_id] for name, offsets in self._offsets.items()}
        selected = self._files["selections.jsonl"].read(at["selections.jsonl"], Selections)
        graded = self._files["verdicts.jsonl"].read(at["verdicts.jsonl"], Verdicts)
        scored = self._files["scores.jsonl"].read(at["scores.jsonl"], Scores).scores if "scores.jsonl" in at else ()
        lengths = {
            len(part) for part in (selected.answers, selected.classes, graded.verdicts, scored or graded.verdicts)
        }
        if len(lengths) > 1:
            raise RunFolderError(
                f"{self._path}: the lines of problem {problem_id!r} in {', '.join(at)} do not go together. The files "
                "were changed from outside: delete them, and what is derived is computed anew"
            )
        return Judged(
            selected.answers,
            selected.classes,
            scored,
            selected.selection,
            graded.verdicts,
            graded.verdict,
            selected.links,
        )


class DerivedFiles(StoredJudgements[AppendFile]):
    """Reads back what an earlier session derived; writes what is new."""

    def write(self, problem_id: str, judged: Judged) -> None:
        """Append the lines of one problem that are not there yet."""
        lines: dict[str, Any] = {
            "scores.jsonl": Scores(problem_id, judged.scores),
            "selections.jsonl": Selections(
                problem_id, judged.selection, judged.answers, judged.nodes, judged.links
            ).as_line(),
            "verdicts.jsonl": Verdicts(problem_id, judged.verdict, judged.verdicts),
        }
        for name, file in self._files.items():
            if problem_id not in self._offsets[name]:
                file.append(lines[name])
