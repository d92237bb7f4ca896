"""The run folder: append-only JSONL files, one writer, resumable after any crash. The only file that writes results.

run.json          the job: resolved recipe, its hash, versions, host; written anew when a later stage changes, and
                  when the latest session knows its plugin's figures, its sandbox and what its engine could do
problems.jsonl    one input row a line, in order: {"problem", "reference"} or {"error"}; {"end"} once all are read
candidates.jsonl  one candidate a line, appended as it arrives: the primary artefact
calls.jsonl       where searches draw: one call's reply a line, and where each search ended (see `call_log`)
scorer_calls.jsonl   the same of scorers that ask models: dear, so kept when the selector changes
scores.jsonl selections.jsonl verdicts.jsonl    one line a problem; derived, can be deleted and recomputed
summary.json      the headline figures
sessions.jsonl    one line per session: when it began and ended, on which host. All that is not repeatable is here.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tts.errors import RunFolderError, RunWriteError
from tts.runs import records
from tts.runs.files import AppendFile, Files, StoredFile, read_whole, require_same, write_whole
from tts.runs.records import CandidateKey, InputLine, Session
from tts.types import Spent

DERIVED = ("scores.jsonl", "selections.jsonl", "verdicts.jsonl")
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Job:
    """What run.json says of a run; more than this is noted there, for people.

    `recipe` is the resolved one, `problems` where the rows came from, `limit` how many of them at most, `shuffle`
    whether in an order of their own, and `ids` which ones (none: all); of N shards of these, `shard` (I, N) is the one
    that the run has; `statistics` is what plugins told of it. `num_parameters` is how many parameters of each engine
    one token passes through, as far as that is known. `lender` is the folder, beside the run's own, of the run whose
    candidates it has been given (`tts.runs.lending`).
    """

    name: str
    recipe: dict[str, Any]
    problems: str | tuple[str, ...]
    limit: int | None
    shuffle: bool = False
    ids: tuple[str, ...] = ()
    shard: tuple[int, int] | None = None
    statistics: dict[str, dict[str, Any]] = field(default_factory=dict)
    opening: dict[str, Spent] = field(default_factory=dict)
    num_parameters: dict[str, int] = field(default_factory=dict)
    lender: str | None = None

    def __post_init__(self) -> None:
        """Refuse a shard that is none of so many."""
        if self.shard is not None and not 0 <= self.shard[0] < self.shard[1]:
            raise ValueError(f"`shard` must be a number from 0 on and how many there are, got {list(self.shard)}")


def read_job(path: Path) -> Job | None:
    """Return the run.json of the folder `path`, or None where there is none yet."""
    return read_whole(path / "run.json", Job, FORMAT)


def has_candidates(path: Path) -> bool:
    """Tell whether anything was drawn into the folder `path`, be it only what is to be drawn anew."""
    return _has_any(path, "candidates.jsonl", "superseded.jsonl")


def has_replies(path: Path) -> bool:
    """Tell whether engines replied to anything for the folder `path`: a search may not have handed in a candidate."""
    return has_candidates(path) or _has_any(path, "calls.jsonl")


def _has_any(path: Path, *names: str) -> bool:
    files = (path / name for name in names)
    return any(file.exists() and file.stat().st_size > 0 for file in files)


def input_lines(file: StoredFile) -> Iterator[tuple[int, InputLine]]:
    """Yield (byte offset, line) of problems.jsonl. Raises RunFolderError where a problem's id is there twice."""
    seen: set[str] = set()
    for number, (offset, line) in enumerate(file.records(InputLine), start=1):
        if line.problem is not None:
            if line.problem.id in seen:
                raise RunFolderError(
                    f"{file.path}:{number} holds the problem {line.problem.id!r} again. "
                    "The file was changed from outside"
                )
            seen.add(line.problem.id)
        yield offset, line


def candidate_places(file: StoredFile) -> dict[str, dict[int, int]]:
    """Return where each candidate begins in candidates.jsonl: problem id → index → byte offset.

    Raises RunFolderError where a candidate is there twice.
    """
    places: dict[str, dict[int, int]] = {}
    for number, (offset, key) in enumerate(file.records(CandidateKey), start=1):
        of_problem = places.setdefault(key.problem_id, {})
        if of_problem.setdefault(key.index, offset) != offset:
            raise RunFolderError(
                f"{file.path}:{number} holds candidate {key.index} of problem {key.problem_id!r} again. "
                f"{records.CHANGED}"
            )
    return places


class StoredFolder(Files[StoredFile]):
    """One run's folder, for reading alone: it takes no lock and changes nothing."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, StoredFile)


class RunFolder(Files[AppendFile]):
    """One run's folder, locked for this process while it is open."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, AppendFile)
        self._writing_job = threading.Lock()  # what the engine and the sandbox tell comes from several threads
        try:
            path.mkdir(parents=True, exist_ok=True)
            _refuse_foreign(path)
            self._lock = _lock(path)
        except OSError as error:
            raise RunFolderError(
                f"cannot use the run folder {path}: {error.strerror}. Choose another with --run DIR."
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write_job(self, **entries: Any) -> None:
        """Write these entries of run.json, whole or not at all; the others stay as they are."""
        file = self.path / "run.json"
        with self._writing_job:
            old = json.loads(file.read_bytes()) if file.exists() else {"format": FORMAT}
            self._replace("run.json", {**old, **entries})

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Write summary.json, whole or not at all."""
        self._replace("summary.json", summary)

    def _replace(self, name: str, content: dict[str, Any]) -> None:
        require_same(self.path / "lock", self._lock)
        write_whole(self.path / name, records.pretty(content))

    def note_session(self, session: Session) -> None:
        """Append a session to sessions.jsonl; what does not apply to it is left out."""
        require_same(self.path / "lock", self._lock)
        entries = records.as_dict(session).items()
        self["sessions.jsonl"].append({name: value for name, value in entries if value is not None})

    def forget_derived(self) -> None:
        """Delete what is derived from the candidates, so that it is computed anew."""
        self.forget(*DERIVED, "summary.json")

    def forget(self, *names: str) -> None:
        """Delete files."""
        for name in names:
            if name in self._files:
                self._files.pop(name).close()
            try:
                (self.path / name).unlink(missing_ok=True)
            except OSError as error:
                raise RunWriteError(f"cannot replace {self.path / name}: {error.strerror}") from error

    def recorded(self) -> dict[str, dict[int, int]]:
        """Return where each recorded candidate begins in candidates.jsonl: problem id → index → byte offset."""
        return candidate_places(self["candidates.jsonl"])

    def set_aside(self, unwanted: Callable[[CandidateKey], bool]) -> int:
        """Move the candidates that are to be drawn anew to superseded.jsonl; return how many there were.

        Crash-safe: the new candidates.jsonl takes the place of the old one in one step, last.
        """
        old, aside, kept = self["candidates.jsonl"], self["superseded.jsonl"], self.path / "candidates.jsonl.partial"
        moved = {offset for offset, key in old.records(CandidateKey) if unwanted(key)}
        if moved:
            crashed = kept.exists()  # an earlier attempt may have got as far as the lines set aside
            lines = []
            with kept.open("wb") as out:
                for offset, line in old.lines():
                    if offset in moved:
                        lines.append(line)
                    else:
                        out.write(line)
            if not crashed or [line for _, line in aside.lines()][-len(lines) :] != lines:
                aside.append_lines(b"".join(lines))
            self._files.pop("candidates.jsonl").close()
            kept.replace(old.path)
            self.forget_derived()
        return len(moved)

    def close(self) -> None:
        """Close the files and give the lock back."""
        super().close()
        if self._lock >= 0:
            os.ftruncate(self._lock, 0)
            os.close(self._lock)
            self._lock = -1


def _refuse_foreign(path: Path) -> None:
    """Refuse a folder that holds something, and no run."""
    names = {file.name for file in path.iterdir()}
    foreign = sorted(names - {"lock", "run.json.partial"})
    if foreign and "run.json" not in names:
        raise RunFolderError(f"{path} is no run folder and not empty (it holds {foreign[0]}): choose another --run DIR")


def _lock(path: Path) -> int:
    """Lock the folder until the process ends, however it ends; return the descriptor that holds the lock."""
    descriptor = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
        os.close(descriptor)
        raise RunFolderError(
            f"{path} is being written by {holder or 'another process'}. Wait for it, or choose another --run DIR."
        ) from error
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"process {os.getpid()} on {os.uname().nodename}\n".encode())
    return descriptor
