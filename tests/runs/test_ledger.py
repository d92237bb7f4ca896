"""What a run has been charged for, from the lines of its folder."""

from __future__ import annotations

from pathlib import Path

from tts.runs.folder import RunFolder
from tts.runs.ledger import added, ledger, superseded
from tts.types import Candidate, Spent


def candidate(problem_id: str, index: int, num_tokens: int) -> Candidate:
    return Candidate(problem_id, index, "x", None, "stop", 7, num_tokens, None, None, None, 0, "temperature")


def test_a_ledger_is_the_sum_over_the_lines() -> None:
    lines = [candidate("a", 0, 5), candidate("a", 1, 6)]
    assert ledger(lines) == {"engine": Spent(2, 14, 11)}
    assert ledger([]) == {"engine": Spent(0, 0, 0)}
    assert added([ledger(lines[:1]), ledger(lines[1:]), {"judge": Spent(1, 2, 3)}]) == {
        "engine": Spent(2, 14, 11),
        "judge": Spent(1, 2, 3),
    }


def test_what_was_drawn_anew_was_paid_for_too(tmp_path: Path) -> None:
    assert superseded(tmp_path) == {}
    with RunFolder(tmp_path) as folder:
        folder["candidates.jsonl"].append(candidate("a", 0, 5), candidate("a", 1, 6), candidate("b", 0, 9))
        folder.set_aside(lambda key: (key.problem_id, key.index) == ("a", 1))
    again = superseded(tmp_path)
    assert set(again) == {"a"}
    assert ledger([candidate("a", 0, 5), *again["a"]]) == {"engine": Spent(2, 14, 11)}
