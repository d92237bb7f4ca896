"""JSONL files that only grow, in whole lines, and files that are replaced whole.

A line is written by one system call, so a killed process leaves at most one torn line, the last; it is cut off when the
file is opened for writing. A complete line that is not JSON is damage from outside and is refused, never skipped.
"""

from __future__ import annotations

import errno
import math
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, Generic, TypeVar

from tts.errors import RunFolderError, RunWriteError
from tts.runs import records
from tts.runs.records import Record

BLOCK = 65536


class StoredFile:
    """A JSONL file of a run folder, for reading alone: the whole lines that it has when it is opened.

    It takes no lock, so it may be read while a run is writing. A file that is not there has no lines.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._block = (0, b"")
        try:
            self._fd = self._open()
            self.size = self._end_of_last_line()
        except OSError as error:
            raise RunFolderError(f"cannot open {path}: {error.strerror}") from error

    def _open(self) -> int:
        try:
            return os.open(self.path, os.O_RDONLY)
        except FileNotFoundError:
            return -1

    def _end_of_last_line(self) -> int:
        """Return the place after the last newline: 0 where there is none."""
        position = os.fstat(self._fd).st_size if self._fd >= 0 else 0
        while position > 0:
            start = max(0, position - BLOCK)
            newline = os.pread(self._fd, position - start, start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            position = start
        return 0

    def line(self, offset: int) -> bytes:
        """Return the line that begins at byte `offset`, with its newline.

        The block that was read last is kept: what belongs together mostly stands together.
        """
        start, block = self._block
        first, end = offset - start, block.find(b"\n", offset - start) if 0 <= offset - start < len(block) else -1
        if end >= 0:
            return block[first : end + 1]
        block, end = b"", -1
        while end < 0:
            more = os.pread(self._fd, max(BLOCK, len(block)), offset + len(block))
            if not more:
                raise RunFolderError(f"{self.path} ends within the record at byte {offset}")
            end = more.find(b"\n") + len(block) if b"\n" in more else -1
            block += more
        self._block = (offset, block)
        return block[: end + 1]

    def last_line(self) -> bytes:
        """Return the last whole line, without its newline; empty where there is none."""
        line, position = b"", self.size - 1
        while position > 0 and b"\n" not in line:
            start = max(0, position - BLOCK)
            line = os.pread(self._fd, position - start, start) + line
            position = start
        return line[line.rfind(b"\n") + 1 :]

    def read(self, offset: int, kind: type[Record]) -> Record:
        """Return the record that begins at byte `offset`. Raises RunFolderError where it is none."""
        return records.loads(self.line(offset), kind, lambda: f"{self.path}:{self._number(offset)}")

    def _number(self, offset: int) -> int:
        """Return which line begins at byte `offset`, counted from 1."""
        return next(number for number, (start, _) in enumerate(self.lines(), start=1) if start == offset)

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield (byte offset, line) of every line that is there now."""
        offset = 0
        if self.size == 0:
            return
        with self.path.open("rb") as lines:
            for line in lines:
                if offset >= self.size:
                    return
                yield offset, line
                offset += len(line)

    def records(self, kind: type[Record]) -> Iterator[tuple[int, Record]]:
        """Yield (byte offset, record) of every line that is there now. Raises RunFolderError where one is none."""
        for number, (offset, line) in enumerate(self.lines(), start=1):
            yield offset, records.loads(line, kind, lambda number=number: f"{self.path}:{number}")  # type: ignore[misc]

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class AppendFile(StoredFile):
    """A JSONL file that only grows, in whole lines; a torn last line is cut off when it is opened."""

    _looked = -math.inf  # when it was last seen to be at its path

    def _open(self) -> int:
        return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)

    def _end_of_last_line(self) -> int:
        end = super()._end_of_last_line()
        if end != os.fstat(self._fd).st_size:
            os.ftruncate(self._fd, end)
        return end

    def append(self, *items: Any) -> int:
        """Write each record as a line, all in one system call; return the byte offset where the first begins.

        Raises RunWriteError where the disk is full or the file cannot be written; the file is then as it was before.
        """
        return self.append_lines(b"".join(map(records.dumps, items)))

    def append_lines(self, lines: bytes) -> int:
        """Write whole lines as they are; otherwise like `append`."""
        start = self.size
        try:
            written = os.write(self._fd, lines)
            while written < len(lines):
                written += os.write(self._fd, lines[written:])
        except OSError as error:
            os.ftruncate(self._fd, start)
            raise RunWriteError(
                f"cannot write {self.path}: {error.strerror}. What was written is kept and readable."
            ) from error
        self.size = start + len(lines)
        if time.monotonic() > self._looked + 1.0:
            self._looked = time.monotonic()
            require_same(self.path, self._fd)
        return start

    def close(self) -> None:
        """Hand the bytes to the disk and close."""
        if self._fd >= 0:
            os.fsync(self._fd)
        super().close()


def require_same(path: Path, descriptor: int) -> None:
    """Raise RunWriteError where the open file is no longer the one at `path`."""
    try:
        is_same = os.path.samestat(os.stat(path), os.fstat(descriptor))
    except OSError:
        is_same = False
    if not is_same:
        raise RunWriteError(
            f"{path} is not there any more: its folder was moved or removed while it was being written. A moved one "
            "can be resumed where it is now"
        )


class Spool(StoredFile):
    """Records that are put aside and read back: a file without a name, gone with the process however that ends."""

    def __init__(self) -> None:
        self._unwritten = bytearray()
        try:
            self._temporary = TemporaryFile(prefix="tts-")  # noqa: SIM115 - it is closed with this
        except OSError as error:
            raise RunWriteError(f"cannot make a temporary file: {error.strerror}. TMPDIR says where") from error
        self.path, self.size, self._block = Path("temporary file"), 0, (0, b"")
        self._fd = os.dup(self._temporary.fileno())

    def append(self, record: Any) -> int:
        """Put a record aside; return the byte offset where it begins. Raises RunWriteError where there is no room."""
        line = records.dumps(record)
        self._unwritten += line
        self.size += len(line)
        if len(self._unwritten) > 16 * BLOCK:
            self._flush()
        return self.size - len(line)

    def line(self, offset: int) -> bytes:
        """Return the line that begins at byte `offset`, with its newline."""
        if self._unwritten:
            self._flush()
        return super().line(offset)

    def _flush(self) -> None:
        try:
            self._temporary.write(self._unwritten)
            self._temporary.flush()
        except OSError as error:
            raise RunWriteError(
                f"cannot write a temporary file: {error.strerror}. TMPDIR says where they are: name a place with room"
            ) from error
        self._unwritten.clear()

    def close(self) -> None:
        """Free the file."""
        self._temporary.close()
        super().close()


def read_whole(file: Path, kind: type[Record], version: int) -> Record | None:
    """Return the record in `file`, whose key `format` must be `version`; None where there is no such file.

    Raises RunFolderError where it is none, or has another format.
    """
    try:
        content = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        if not file.is_symlink():
            return None
        raise RunFolderError(f"cannot read {file}: it is a link to nothing") from None
    except OSError as error:
        raise RunFolderError(f"cannot read {file}: {error.strerror}") from error
    found = records.loads(content, _Versioned, lambda: str(file)).format
    if found != version:
        raise RunFolderError(f"{file} has format {found}; this version of tts reads format {version}")
    return records.loads(content, kind, lambda: str(file))


@dataclass(frozen=True, slots=True)
class _Versioned:
    format: int


def is_read_only(file: Path) -> bool:
    """Tell whether a file that is there must not be changed, by its mode: root could change any."""
    return not (file.stat().st_mode & 0o222 and os.access(file, os.W_OK))


@contextmanager
def writing_whole(file: Path) -> Iterator[BinaryIO]:
    """Yield what to write into, all of which `file` then holds, whole or not at all; its folder is made.

    Of a link, the file that it points to is written. A device, a pipe, or what a process has open (`/dev/stdout`) is
    written into, never replaced. Raises RunWriteError, for a read-only file, too.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        mode = file.stat().st_mode if file.exists() else None
        if os.path.abspath(file).startswith(("/dev/", "/proc/")) or (mode is not None and not stat.S_ISREG(mode)):
            with open(os.open(file, os.O_WRONLY | os.O_APPEND), "wb") as into:
                yield into
            return
        if mode is not None and is_read_only(file):
            raise PermissionError(errno.EACCES, "it is read-only")
        target = Path(os.path.realpath(file))
        partial = target.with_name(f"{target.name}.partial")
        try:
            with partial.open("wb") as into:
                yield into
            if mode is not None:
                partial.chmod(stat.S_IMODE(mode))
            partial.replace(target)
        except BaseException:  # a full disk gets its room back
            partial.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise RunWriteError(f"cannot write {file}: {error.strerror}") from error


def write_whole(file: Path, content: bytes) -> None:
    """Make `content` all that `file` holds (see `writing_whole`)."""
    with writing_whole(file) as into:
        into.write(content)


File = TypeVar("File", bound=StoredFile)


class Files(Generic[File]):
    """The JSONL files of a folder, each opened on first use."""

    def __init__(self, path: Path, open_file: Callable[[Path], File]) -> None:
        self.path = path
        self._open_file = open_file
        self._files: dict[str, File] = {}

    def __getitem__(self, name: str) -> File:
        """Return the file `name`."""
        if name not in self._files:
            self._files[name] = self._open_file(self.path / name)
        return self._files[name]

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()
        self._files.clear()
