"""What judging derived is written once a problem, and read back whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tts.errors import RunFolderError
from tts.runs.folder import RunFolder, StoredFolder
from tts.runs.judgements import DerivedFiles, StoredJudgements
from tts.types import Answer, Judged, Score, Selection, Verdict

JUDGED = Judged(
    answers=(Answer("4", "boxed"), None),
    nodes=(0, None),
    scores=(Score(0.5), Score(None, "cannot tell")),
    selection=Selection(0, "4", (1.0,), 1, 1),
    verdicts=(Verdict("passed"), Verdict("failed", "no_answer")),
    verdict=Verdict("passed"),
)


def test_what_is_written_is_read_back_with_and_without_scores(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as folder:
        DerivedFiles(folder, scored=True).write("a", JUDGED)
        again = DerivedFiles(folder, scored=True)
        assert again.read("a") == JUDGED
        assert again.read("b") is None
        again.write("a", JUDGED)  # it is there already
    assert (tmp_path / "verdicts.jsonl").read_bytes().count(b"\n") == 1
    without = StoredJudgements(StoredFolder(tmp_path), scored=False).read("a")
    assert without is not None
    assert (without.scores, without.selection) == ((), JUDGED.selection)


def test_a_problem_of_which_a_file_knows_nothing_is_not_known(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as folder:
        DerivedFiles(folder, scored=True).write("a", JUDGED)
    (tmp_path / "scores.jsonl").unlink()
    assert StoredJudgements(StoredFolder(tmp_path), scored=True).read("a") is None


def test_lines_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as folder:
        derived = DerivedFiles(folder, scored=False)
        derived.write("a", JUDGED)
    path = tmp_path / "verdicts.jsonl"
    path.write_text(path.read_text().replace(', {"status": "failed", "reason": "no_answer", "detail": ""}', ""))
    with pytest.raises(RunFolderError, match=r"lines of problem 'a' in selections\.jsonl, verdicts\.jsonl do not go"):
        StoredJudgements(StoredFolder(tmp_path), scored=False).read("a")
