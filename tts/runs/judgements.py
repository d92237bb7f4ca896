"""scores.jsonl, selections.jsonl, verdicts.jsonl: what judging derived, one line a problem in each."""

from __future__ import annotations

from typing import Any, Generic

from tts.runs import records
from tts.runs.files import AppendFile, File, Files
from tts.types import Answer, Judged, Score, Verdict


class StoredJudgements(Generic[File]):
    """Reads back what was derived. `scored`: whether the selector has a scorer, so that its scores are a part."""

    def __init__(self, folder: Files[File], *, scored: bool) -> None:
        names = ("scores", "selections", "verdicts") if scored else ("selections", "verdicts")
        self._files = {name: folder[f"{name}.jsonl"] for name in names}
        self._offsets = {
            name: {record["problem_id"]: offset for offset, record in file.records()}
            for name, file in self._files.items()
        }

    def read(self, problem_id: str) -> Judged | None:
        """Return what is stored of one problem, or None where any part of it is missing."""
        offsets = [self._offsets[name].get(problem_id) for name in self._files]
        parts = {
            name: file.read(offset)
            for (name, file), offset in zip(self._files.items(), offsets, strict=True)
            if offset is not None
        }
        return None if None in offsets else _judged(parts)


class DerivedFiles(StoredJudgements[AppendFile]):
    """Reads back what an earlier sitting derived; writes what is new."""

    def write(self, problem_id: str, judged: Judged) -> None:
        """Append the lines of one problem that are not there yet."""
        parts: dict[str, dict[str, Any]] = {
            "scores": {"scores": judged.scores},
            "selections": {"selection": judged.selection, "answers": judged.answers, "classes": judged.classes},
            "verdicts": {"verdict": judged.verdict, "verdicts": judged.verdicts},
        }
        for name, file in self._files.items():
            if problem_id not in self._offsets[name]:
                file.append({"problem_id": problem_id, **parts[name]})


def _judged(parts: dict[str, dict[str, Any]]) -> Judged:
    selections, verdicts = parts["selections"], parts["verdicts"]
    scores = parts.get("scores", {"scores": []})["scores"]
    return Judged(
        answers=records.optional(Answer, selections["answers"]),
        classes=tuple(selections["classes"]),
        scores=tuple(records.plain(Score, score) for score in scores),
        selection=records.selection(selections["selection"]),
        verdicts=tuple(records.plain(Verdict, verdict) for verdict in verdicts["verdicts"]),
        verdict=records.plain(Verdict, verdicts["verdict"]),
    )
