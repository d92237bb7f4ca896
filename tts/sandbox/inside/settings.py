"""What the host tells the fork server and each run. Travels as plain data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, Self

MEGABYTE = 2**20
WORK = "/program"
"""The folder in which programs of the full profile may write."""

PACKAGES = "/packages"
"""Where they find what is installed beside the standard library."""


@dataclass(frozen=True, slots=True)
class WireRecord:
    """A record that travels as a tuple of its fields."""

    def dump(self) -> tuple[Any, ...]:
        """Return the fields' values."""
        return tuple(getattr(self, field.name) for field in fields(self))

    @classmethod
    def load(cls, values: tuple[Any, ...]) -> Self:
        """Return the record with these values."""
        return cls(*values)


@dataclass(frozen=True, slots=True)
class Setup(WireRecord):
    """How the fork server builds its sandbox: by which mechanisms, and what programs may import.

    With `drop_user`, programs of root run as an ordinary user. `packages` are folders and files that stay readable,
    `search` the folders to import from. Each worker stays on one of `cpus`, in turn; on any, where none are given.
    """

    namespaces: bool
    landlock: bool
    seccomp: bool
    drop_user: bool
    packages: tuple[str, ...]
    search: tuple[str, ...]
    preload: tuple[str, ...]
    files_mb: int
    cpus: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Complaint(WireRecord):
    """What the system refused to do for the sandbox, in words (mechanism: call: reason), and the error's number."""

    text: str
    number: int

    @classmethod
    def of(cls, error: Exception) -> Self:
        """Return what an error says; an OSError's number goes apart from its words."""
        if isinstance(error, OSError) and error.errno:
            return cls(f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror), error.errno)
        return cls(str(error) or type(error).__name__, 0)


@contextmanager
def named(mechanism: str) -> Iterator[None]:
    """Put the mechanism before the text of an OSError."""
    try:
        yield
    except OSError as error:
        complaint = Complaint.of(error)
        raise OSError(complaint.number, f"{mechanism}: {complaint.text}") from error


@dataclass(frozen=True, slots=True)
class RunRequest(WireRecord):
    """One run: the program, what to do with it, and the limits (as in `records.Limits`, in its order).

    `action` is "run" (`stdin` is given), "call" (`functions[0]` with each of `arguments`), "check" (`tests` in another
    process, after `setup`; `keep_going` past a failed one), or "observe" (as "check", for what the program answers).
    """

    action: str
    program: str
    limits: tuple[Any, ...]
    stdin: bytes = b""
    functions: tuple[str, ...] = ()
    arguments: tuple[Any, ...] = ()
    setup: str = ""
    tests: tuple[str, ...] = ()
    keep_going: bool = False


@dataclass(frozen=True, slots=True)
class Bounds(WireRecord):
    """`records.Limits`, as it arrives."""

    cpu_seconds: float
    wall_seconds: float
    total_cpu_seconds: float
    total_wall_seconds: float
    memory_mb: int
    output_kb: int
    file_mb: int
    open_files: int
    processes: int
    may_fork: bool
