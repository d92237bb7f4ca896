"""The sandbox as its users see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from tts.verifiers.code.sandbox.records import Called, Checked, Limits, Profile, Value


class Sandbox:
    """Runs Python programs that nobody trusts, at most `workers` at a time; any number of threads may share it.

    `packages` names the top-level packages of this environment that programs may import beside the standard library
    (absent ones are left out), `preload` those of them that are imported ahead. `python` is the interpreter.
    """

    def __init__(
        self,
        workers: int = 2,
        packages: Sequence[str] = ("numpy",),
        preload: Sequence[str] = (),
        allow_weak_sandbox: bool = False,
        python: str | None = None,
    ) -> None: ...

    @property
    def profile(self) -> Profile:
        """What was probed by `open`."""
        raise NotImplementedError

    def open(self) -> None:
        """Start the best profile that holds here. Raises VerifierError where none does."""

    def close(self) -> None:
        """Kill everything. Safe to call twice and without `open`."""

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, program: str, function: str, arguments: Sequence[tuple[Value, ...]], limits: Limits) -> Called:
        """Run `program`, then call its `function` with each of `arguments`, all in one process."""
        raise NotImplementedError

    def check(self, program: str, tests: Sequence[str], functions: Sequence[str], limits: Limits) -> Checked:
        """Run `program`, and `tests` in another process, where `functions` are the program's."""
        raise NotImplementedError
