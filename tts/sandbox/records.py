"""What goes into a run and what comes out of it: frozen, typed, without logic."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import ItemsView, KeysView, ValuesView
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Literal, TypeAlias

RunOutcome: TypeAlias = Literal[
    "ok",
    "harness_error",
    "sandbox_violation",
    "output_limit",
    "timeout",
    "memory_limit",
    "runtime_error",
    "not_plain_data",
    "wrong_answer",
]
"""How a run, or one test of it, ended. The first that applies counts, in the order in which they stand here."""

ProfileName: TypeAlias = Literal["full", "landlock+seccomp", "rlimits-only"]

Value: TypeAlias = (
    "bool | int | float | complex | str | bytes | list[Value] | tuple[Value, ...] | set[Value] |"
    " frozenset[Value] | dict[Value, Value] | Fraction | Decimal | bytearray | memoryview | range |"
    " KeysView[Value] | ItemsView[Value, Value] | ValuesView[Value] | deque[Value] | array[int] |"
    " date | time | timedelta | None"
)
"""Plain data: all that a program may be given or give back. Of exactly these types, nested 64 deep at most."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one program may use. Processor time is what decides; wall time is there for programs that only wait.

    `cpu_seconds` and `wall_seconds` bound one run, or one call of a function; `total_cpu_seconds` and
    `total_wall_seconds` all calls of one judgement together. `memory_mb` counts what the program adds to the bare
    interpreter. `output_kb` holds for stdout and stderr each, `file_mb` for each file.
    `processes` counts threads, too. Without `may_fork` there are only threads; with it, the memory of each process is
    bounded and not that of all together.
    """

    cpu_seconds: float = 10.0
    wall_seconds: float = 30.0
    total_cpu_seconds: float = 60.0
    total_wall_seconds: float = 180.0
    memory_mb: int = 512
    output_kb: int = 1024
    file_mb: int = 16
    open_files: int = 64
    processes: int = 16
    may_fork: bool = False


@dataclass(frozen=True, slots=True)
class ProgramRun:
    """How one program ran. `outcome` is `ok` where it ended by itself with exit status 0.

    `stdout` and `stderr` are what it wrote, at most the limit. `exit_code` is None where a signal ended it, `signal` is
    0 where none did. `peak_memory_mb` includes the bare interpreter. `reason` says what went wrong, in words.
    """

    outcome: RunOutcome
    stdout: bytes
    stderr: bytes
    exit_code: int | None
    signal: int
    cpu_seconds: float
    wall_seconds: float
    peak_memory_mb: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Returned:
    """What one call gave: `value` where `outcome` is `ok`, else the reason."""

    outcome: RunOutcome
    value: Value = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Results:
    """What each call of a function, or each test, gave, in order; and how the program that they are of ran.

    After a call that did not return (`timeout`, a crash) those that follow it are missing from `returned`, and after a
    test that was not `ok` as well, unless the check was to keep going.
    """

    returned: tuple[Returned, ...]
    run: ProgramRun


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of the sandbox, and whether it was seen to hold on this machine. `advice` says how to get it."""

    name: str
    holds: bool
    detail: str = ""
    advice: str = ""


GUARDS = ("files", "inodes", "network", "signals", "processes", "programs", "memory", "imports", "state")
"""What a sandbox is tried on."""

PROMISED: dict[ProfileName, tuple[str, ...]] = {
    "full": GUARDS,
    "landlock+seccomp": GUARDS[:-1],
    "rlimits-only": ("imports",),
}
"""Which of them each profile must be seen to hold. Without a root of its own a program can look up any path, and the
times at which something was last read are for all to see: `state`. With nothing but the kernel's limits, none protects.

What no profile closes: timing, and counts of the whole machine (free memory; without namespaces, the numbers of
processes; before Linux 5.9, those of files).
"""


@dataclass(frozen=True, slots=True)
class Profile:
    """What protects the host from the programs, as probed."""

    name: ProfileName
    layers: tuple[Layer, ...]

    @property
    def holds(self) -> bool:
        """Whether every guard that the profile promises was seen to hold."""
        seen = {layer.name: layer.holds for layer in self.layers}
        return all(seen.get(name, False) for name in PROMISED[self.name])
