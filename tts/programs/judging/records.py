"""The tests of a problem, and what came of them: frozen, typed, without logic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from tts.sandbox import Value
from tts.sandbox.records import RunOutcome
from tts.types import Verdict

Comparison: TypeAlias = Literal["tolerant", "livecodebench"]
"""Whether line breaks, blank lines and nested tuples make no difference, or do as in LiveCodeBench's own harness."""


@dataclass(frozen=True, slots=True)
class StdioTest:
    """What a program reads from stdin, and what it must write to stdout."""

    stdin: str
    expected: str


@dataclass(frozen=True, slots=True)
class StdioTests:
    """Programs that read and write text. Outputs are the same where their tokens are.

    With a `tolerance`, tokens that are numbers are compared as numbers: exactly as decimals, so that 0 makes `2.50` the
    number 2.5 and tells any two integers apart, else they may differ by that much, absolute or relative.
    """

    tests: tuple[StdioTest, ...]
    tolerance: float | None = None
    comparison: Comparison = "tolerant"


@dataclass(frozen=True, slots=True)
class Assertions:
    """Test code that raises where the program is wrong; it runs apart from the program.

    The names in `functions` are the program's: each call of one goes to its process, and plain data comes back.
    `setup` runs before the tests; the program never sees it.
    """

    tests: tuple[str, ...]
    functions: tuple[str, ...]
    setup: str = ""


@dataclass(frozen=True, slots=True)
class CallTest:
    """The arguments of one call, and what it must return."""

    arguments: tuple[Value, ...]
    expected: Value


@dataclass(frozen=True, slots=True)
class CallTests:
    """Calls of one function, `name` or `Class.method` (then of a new instance each). A tuple counts as a list.

    With a `tolerance`, numbers may differ by that much, absolute or relative.
    """

    function: str
    tests: tuple[CallTest, ...]
    tolerance: float | None = None
    comparison: Comparison = "tolerant"


Tests: TypeAlias = StdioTests | Assertions | CallTests


@dataclass(frozen=True, slots=True)
class CaseResult:
    """How test `index` ended and why; what its process used and how it exited; what the program wrote, trimmed.

    Calls and assertions share a process, and so its figures.
    """

    index: int
    outcome: RunOutcome
    reason: str = ""
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    peak_memory_mb: float = 0.0
    exit_code: int | None = None
    signal: int = 0
    output: str = ""


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """The verdict on one program, the tests that led to it, and the sandbox profile it ran under."""

    verdict: Verdict
    cases: tuple[CaseResult, ...]
    profile: str


@dataclass(frozen=True, slots=True)
class Observation:
    """What a program did with one input: `value` is its stdout, or what it returned, where `outcome` is `ok`."""

    outcome: RunOutcome
    value: Value = None
