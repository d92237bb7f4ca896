"""What the host tells the fork server and each run. Travels as plain data."""

from __future__ import annotations

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
class RunRequest(WireRecord):
    """One run: the program, what to do with it, and the limits (as in `records.Limits`, in its order).

    `action` is "run" (`stdin` is given), "call" (`functions[0]` with each of `arguments`), or "check" (`tests` in
    another process, after `setup`; `keep_going` past a failed one).
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
