"""Takes the input in: rows go to problems.jsonl as fast as they arrive; the pipeline reads them back from there.

So an interrupted run has its whole input (also what came through a pipe), memory does not grow with the number of
problems, and the progress display soon knows how many there are.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from tts.errors import RunFolderError
from tts.runs import records
from tts.runs.files import AppendFile
from tts.runs.folder import input_lines
from tts.runs.records import InputLine
from tts.types import InputRow


@dataclass(frozen=True, slots=True)
class Turn:
    """Session `number` (from 0) of `total` in which a run is drawn; it ends where its share of the rows does."""

    number: int
    total: int

    def end(self, num_rows: int) -> int:
        """Return how many of all rows are drawn once this turn and those before it are over."""
        return -(-num_rows * (self.number + 1) // self.total)


class Intake(threading.Thread):
    """Copies `rows` to `file` in the background. Rows that are there already must come again as they were.

    `rows` None: nothing more comes, the stored rows are all. Reading may begin before `start`. A `turn` hands out its
    rows, and those of the turns before it, once the input is read to its end.
    """

    def __init__(
        self, rows: Iterable[InputRow] | None, file: AppendFile, stop: threading.Event, turn: Turn | None = None
    ) -> None:
        super().__init__(name="tts-intake", daemon=True)
        self.finished = rows is None
        self._rows = rows
        self._file = file
        self._stop_requested = stop
        self._changed = threading.Condition()
        self._error: Exception | None = None
        self._num_lines = 0
        self.num_rows = 0
        for _, stored in input_lines(file):
            self._num_lines += 1
            self.num_rows += stored.row is not None
        self._reader = file.path.open("rb")
        self._num_taken = 0
        self._num_rows_taken = 0
        self._turn = turn

    @property
    def complete(self) -> bool:
        """Whether the file holds the whole input, so that a later run need not read it again."""
        return self.finished and self._error is None and not self._stop_requested.is_set()

    def run(self) -> None:
        """Copy the rows (`start` calls this in the thread)."""
        try:
            self._copy()
        except Exception as error:
            self._error = error
        with self._changed:
            self.finished = True
            self._changed.notify_all()

    def _copy(self) -> None:
        num_stored = self.num_rows
        stored = (line.row for _, line in self._file.records(InputLine) if line.row is not None)
        number = 0
        for number, row in enumerate(self._rows or (), start=1):
            if self._stop_requested.is_set():
                return
            if number <= num_stored:
                self._compare(number, row, next(stored))
            else:
                self._append(records.input_line(row), 1)
        if self._stop_requested.is_set():
            return
        if self._rows is not None and number < num_stored:
            raise RunFolderError(
                f"the input ends after row {number}, and {self._file.path} holds {num_stored} rows. "
                "Give the same problems again, or choose another --run DIR."
            )
        if number >= num_stored:
            self._mark_end(number)

    def _compare(self, number: int, row: InputRow, stored: InputRow) -> None:
        if records.dumps(replace(row, line=0)) != records.dumps(replace(stored, line=0)):
            raise RunFolderError(
                f"row {number} of the input is not the one that {self._file.path} holds. "
                "Give the same problems again, or choose another --run DIR."
            )

    def _mark_end(self, number: int) -> None:
        ends = [line.end for _, line in self._file.records(InputLine) if line.end is not None]
        if number not in ends[-1:]:
            self._append({"end": number}, 0)

    def _append(self, record: dict[str, Any], num_rows: int) -> None:
        self._file.append(record)
        with self._changed:
            self._num_lines += 1
            self.num_rows += num_rows
            self._changed.notify_all()

    def take(self, wait_seconds: float) -> InputRow | None:
        """Return the next row, waiting up to `wait_seconds` for it; None where there is none yet, or none at all.

        Raises what reading the input raised, once the rows before it are taken.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._num_ready() or self.finished, wait_seconds)
            num_ready = self._num_ready()
        for _ in range(num_ready):
            self._num_taken += 1
            line = records.loads(self._reader.readline(), InputLine, lambda: f"{self._file.path}:{self._num_taken}")
            if line.row is not None:
                self._num_rows_taken += 1
                return line.row
        if self.finished and self._error is not None:
            raise self._error
        return None

    @property
    def exhausted(self) -> bool:
        """Whether every row has been taken and no more can come."""
        return self.finished and not self._num_ready() and self._error is None

    def _num_ready(self) -> int:
        """Return how many lines may be read now; one that marks the end is among them."""
        if self._turn is None or (self.finished and self._num_rows_taken < self._turn.end(self.num_rows)):
            return self._num_lines - self._num_taken
        return 0

    def close(self) -> None:
        """Wait for the copying to end (it looks at the stop event between rows) and close the reader."""
        if self.is_alive():
            self.join(timeout=1.0)
        self._reader.close()
