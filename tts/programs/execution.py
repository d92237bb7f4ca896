"""The recipe keys of whatever runs programs, and the sandbox behind them, which starts with the first program."""

from __future__ import annotations

import threading

from pydantic import Field, PrivateAttr

from tts.components.component import Component, Strings
from tts.programs.judging.records import Comparison
from tts.sandbox import Limits, Sandbox
from tts.types import JSON


class RunsPrograms(Component):
    """Runs programs that a model wrote, in a sandbox."""

    workers: int = Field(default=2, ge=1)
    """How many programs run at the same time."""

    cpu_seconds: float = Field(default=10.0, gt=0)
    """Processor seconds that one test of a program may take."""

    total_cpu_seconds: float = Field(default=60.0, gt=0)
    """Processor seconds that all tests of a program together may take."""

    memory_limit_mb: int = Field(default=512, ge=16)
    """Megabytes that a program may allocate."""

    comparison: Comparison = "tolerant"
    """How results are compared where tests are inputs and outputs or calls. `tolerant`: line breaks and blanks make no
    difference, nor does a tuple in the place of a list. `livecodebench`: as LiveCodeBench's own harness compares, for
    figures beside published ones: line by line, where `1\\n2` for `1 2`, blank lines inside, `x 2.50` for `x 2.5` and
    nested tuples are wrong, and Infinity for inf and `1_000` for 1000 are right. What differs from it still: the
    limits, a program of its own for each input and a `Solution` for each call, an exit status above 0, which there does
    not count, and a main guard that is run as Python runs it."""

    packages: Strings = ("numpy",)
    """Installed packages that programs may import beside the standard library; those not installed are left out."""

    allow_weak_sandbox: bool = False
    """Whether to go on where this machine has no better protection than limits on processor time and memory. Programs
    then reach files, network and other processes."""

    _sandbox: Sandbox | None = PrivateAttr(default=None)
    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)

    def open(self) -> None:
        """Start the sandbox now. Raises VerifierError where no profile of it holds on this machine."""
        self._open_sandbox()

    def close(self) -> None:
        """Kill whatever runs. The next program starts a new sandbox."""
        with self._lock:
            sandbox, self._sandbox = self._sandbox, None
        if sandbox:
            sandbox.close()

    def protection(self) -> dict[str, JSON]:
        """Return the sandbox's profile and whether each of its layers was seen to hold; starts it if need be."""
        profile = self._open_sandbox().profile
        return {"profile": profile.name, "layers": {layer.name: layer.holds for layer in profile.layers}}

    def _open_sandbox(self) -> Sandbox:
        with self._lock:
            if self._sandbox is None:
                sandbox = Sandbox(self.workers, packages=self.packages, allow_weak_sandbox=self.allow_weak_sandbox)
                sandbox.open()
                self._sandbox = sandbox
            return self._sandbox

    def _limits(self) -> Limits:
        """Return the limits of one program; wall time is generous, since a loaded machine must not change a verdict."""
        return Limits(
            cpu_seconds=self.cpu_seconds,
            wall_seconds=3 * self.cpu_seconds,
            total_cpu_seconds=self.total_cpu_seconds,
            total_wall_seconds=3 * self.total_cpu_seconds,
            memory_mb=self.memory_limit_mb,
        )
