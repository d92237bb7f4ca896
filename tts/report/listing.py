"""What there is to say of a run without reading it whole: state, score and cost, for lists of runs."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from tts.errors import RunFolderError
from tts.metrics.intervals import Estimate
from tts.runs import records
from tts.runs.files import StoredFile
from tts.runs.folder import read_job
from tts.runs.records import Session

END = b'{"end":'
"""How the line of problems.jsonl begins that is no row."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One run.

    `state` is `finished`, `interrupted`, `nothing drawn`, or who is writing it. `accuracy` and `pass_at_1` are None
    unless it is finished and graded. `seconds` (of drawing) are those of sessions that ended in good order; `began` is
    None where there was none. `tokens` are all that engines wrote, as summary.json says; of a run that is not finished,
    those that the sampler's engine wrote in such sessions.
    """

    run: str
    recipe: str
    state: str
    problems: int
    candidates: int
    accuracy: Estimate | None
    pass_at_1: Estimate | None
    tokens: int
    seconds: float
    began: str | None


@dataclass(frozen=True, slots=True)
class _Summary:
    """What of summary.json is looked at."""

    num_candidates: int
    accuracy: Estimate | None = None
    pass_at_1: Estimate | None = None
    completion_tokens: int = 0


def listed(path: Path) -> Listed:
    """Return what a run folder's small files say, and how many lines its large ones have.

    Raises RunFolderError where one of the small files is damaged.
    """
    job = read_job(path)
    if job is None:
        raise RunFolderError(f"{path} is no run folder: it has no run.json")
    files = {name: StoredFile(path / f"{name}.jsonl") for name in ("problems", "candidates", "sessions")}
    try:
        num_problems = sum(not line.startswith(END) for _, line in files["problems"].lines())
        num_candidates = sum(1 for _ in files["candidates"].lines())
        sessions = [session for _, session in files["sessions"].records(Session)]
    finally:
        for file in files.values():
            file.close()
    summary, place = _Summary(num_candidates=-1), path / "summary.json"
    if place.exists():
        summary = records.loads(place.read_bytes(), _Summary, lambda: str(place))
    finished = bool(sessions) and sessions[-1].complete and summary.num_candidates == num_candidates
    began = min((session.began for session in sessions), default=None)
    return Listed(
        run=str(path),
        recipe=job.name,
        state=_writer(path) or ("finished" if finished else "interrupted" if num_candidates else "nothing drawn"),
        problems=num_problems,
        candidates=num_candidates,
        accuracy=summary.accuracy if finished else None,
        pass_at_1=summary.pass_at_1 if finished else None,
        tokens=summary.completion_tokens if finished else sum(session.num_tokens for session in sessions),
        seconds=sum(session.drawing_seconds for session in sessions),
        began=None if began is None else time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(began)),
    )


def _writer(path: Path) -> str:
    """Return who writes the folder; "" for nobody, as far as can be told without taking its lock.

    A writer notes itself in the lock file and takes that out at its end; one that was killed here is not alive.
    """
    try:
        noted = (path / "lock").read_text(errors="replace").split()
    except OSError:
        return ""
    if len(noted) != 4 or noted[0] != "process" or not noted[1].isdecimal():
        return ""
    if noted[3] != os.uname().nodename:
        return f"running or killed on {noted[3]}"
    try:
        os.kill(int(noted[1]), 0)
    except ProcessLookupError:
        return ""
    except (PermissionError, OverflowError):
        pass
    return "running"
