"""What commands write: JSON lines on stdout for programs. (The table for people is in `display`.)"""

from __future__ import annotations

import shlex
import sys
from typing import Any

from rich.console import Console

from tts.pipeline.judge import FAILED, SELECTION_FAILED
from tts.pipeline.outcomes import Outcome
from tts.runs import records
from tts.types import RowError

PLAIN: dict[str, Any] = {"markup": False, "highlight": False, "soft_wrap": True}
"""How rich prints a line as it is."""


def command() -> str:
    """Return the command line that is running, as it would be typed."""
    return shlex.join(["tts", *sys.argv[1:]])


def write_json(content: object) -> None:
    """Write it to stdout as a line of JSON, and flush it."""
    sys.stdout.buffer.write(records.dumps(content))
    sys.stdout.buffer.flush()


def write_outcome(outcome: Outcome, stderr: Console, **before: object) -> None:
    """Write one outcome for programs, `before` being its first keys; a row's error is told on `stderr`, too."""
    write_json({**before, **record(outcome)})
    if isinstance(outcome, RowError):
        stderr.print(f"tts: line {outcome.line}: {outcome.message}", **PLAIN)


def record(outcome: Outcome) -> dict[str, Any]:
    """Return the JSON object for one outcome. `error` is null exactly where the problem was answered in full."""
    if isinstance(outcome, RowError):
        why = {"type": outcome.error_type, "message": outcome.message}
        return {"id": outcome.problem_id, "line": outcome.line, "error": why}
    solution = outcome.solution
    failed = solution.verdict.reason in (FAILED, SELECTION_FAILED)
    error = {"type": solution.verdict.reason if failed else "candidates_missing", "message": solution.error}
    return {
        "id": solution.problem_id,
        "answer": solution.selection.answer,
        "text": solution.text,
        "verdict": solution.verdict,
        "selection": solution.selection,
        "counts": solution.counts,
        "usage": solution.usage,
        "error": error if solution.error else None,
        "metadata": solution.metadata,
    }
