"""The sandbox as its users see it."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import astuple
from typing import Any, Self

from tts.errors import VerifierError
from tts.sandbox.inside import wire
from tts.sandbox.inside.settings import RunRequest
from tts.sandbox.mechanisms import Needs, start
from tts.sandbox.records import (
    Limits,
    Profile,
    ProfileName,
    ProgramRun,
    Results,
    Returned,
    Value,
)
from tts.sandbox.worker import ForkServer, SandboxWorker, WorkerLostError

_PATIENCE = 10.0
"""How many times its limit of wall time a run may take on a loaded machine: a tenth of the time counts in any case."""

_MOST_STOLEN = 0.1
"""Which part of a run's time the machine's own host may take before a timeout is doubted."""

_PAUSE_SECONDS = 0.2
"""How long what spoilt a run is given to pass."""


class Sandbox:
    """Runs Python programs that nobody trusts, at most `workers` at a time; any number of threads may share it.

    `packages` names the top-level packages of this environment that programs may import beside the standard library
    (absent ones are left out), `preload` those of them that are imported ahead. The best profile that holds is taken,
    or `profile` and no other; `rlimits-only` not without `allow_weak_sandbox`, and never for root. `files_mb` is the
    room in the folder that a program may write to. `python` is the interpreter (None: the one that runs this).

    Time limits hold for time that the program used, or slept through; a loaded machine is no reason to run it again.
    Only where the host of a virtual machine took time off it, which nobody here can measure, a timeout is repeated
    once. So is a run that the harness spoils; spoilt again, its outcome is `harness_error`.
    """

    def __init__(
        self,
        workers: int = 2,
        *,
        packages: Sequence[str] = ("numpy",),
        preload: Sequence[str] = (),
        allow_weak_sandbox: bool = False,
        profile: ProfileName | None = None,
        files_mb: int = 64,
        python: str | None = None,
    ) -> None:
        if workers < 1:
            raise VerifierError(f"`workers` must be 1 or more, got {workers}")
        self.workers = workers
        self._needs = Needs(tuple(packages), tuple(preload), files_mb, python, workers)
        self._allow_weak = allow_weak_sandbox
        self._only = profile
        self._turns = threading.Semaphore(workers)
        self._lock = threading.Lock()
        self._idle: list[SandboxWorker] = []
        self._server: ForkServer | None = None
        self._profile: Profile | None = None
        self._finalizer: weakref.finalize[Any, Any] | None = None

    @property
    def profile(self) -> Profile:
        """What `open` found to hold. Raises VerifierError before that."""
        if self._profile is None:
            raise VerifierError("the sandbox must be open before its profile is known; call `open` first")
        return self._profile

    def open(self) -> None:
        """Start the best profile that is seen to hold here. Raises VerifierError where none does."""
        with self._lock:
            if self._server is None:
                self._start()

    def close(self) -> None:
        """Kill everything; runs under way end as `harness_error`. Safe to call twice and without `open`."""
        with self._lock:
            self._stop()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, program: str, stdin: bytes = b"", limits: Limits = Limits()) -> ProgramRun:  # noqa: B008 - frozen
        """Run `program` as Python runs a file, with `stdin` to read."""
        return self._settled(RunRequest("run", program, astuple(limits), stdin), limits).run

    def call(
        self,
        program: str,
        function: str,
        arguments: Sequence[tuple[Value, ...]],
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> Results:
        """Run `program`, then call its `function` with each of `arguments`, all in one process.

        `Class.method` is called on a new instance each time.
        """
        request = RunRequest("call", program, astuple(limits), functions=(function,), arguments=tuple(arguments))
        return self._settled(request, limits)

    def check(
        self,
        program: str,
        tests: Sequence[str],
        functions: Sequence[str],
        *,
        setup: str = "",
        limits: Limits = Limits(),  # noqa: B008 - frozen
        keep_going: bool = False,
        observe: bool = False,
    ) -> Results:
        """Run `program`, and beside it, in another process, `setup` and then each of `tests`.

        There, the names in `functions` are the program's. With `keep_going`, a failed test does not end the check; a
        program that has ended or been stopped does. With `observe`, a test gives all that the program answered in it,
        whether it passed or not.
        """
        fixed, action = astuple(limits), "observe" if observe else "check"
        request = RunRequest(action, program, fixed, b"", tuple(functions), (), setup, tuple(tests), keep_going)
        return self._settled(request, limits)

    def _settled(self, request: RunRequest, limits: Limits) -> Results:
        """Run the request; once more after a harness error, or a timeout that the machine's host may have caused."""
        data = wire.encode(request.dump())
        with self._turns:
            stolen = _stolen()
            results = self._once(data, limits)
            stolen = _stolen() - stolen
        is_spoilt = results.run.outcome == "harness_error"
        if is_spoilt:
            time.sleep(_PAUSE_SECONDS)
        if is_spoilt or (results.run.outcome == "timeout" and stolen > _MOST_STOLEN * results.run.wall_seconds):
            with self._turns:
                results = self._once(data, limits)
        return results

    def _once(self, request: bytes, limits: Limits) -> Results:
        try:
            worker = self._take()
            try:
                returned, run = worker.ask(request, 60 + _PATIENCE * limits.total_wall_seconds)
            except BaseException:
                worker.close()
                raise
            self._put_back(worker)
        except (WorkerLostError, OSError) as error:
            return Results((), ProgramRun("harness_error", b"", b"", None, 0, 0.0, 0.0, 0.0, str(error)))
        return Results(tuple(Returned(*each) for each in returned), ProgramRun(*run))

    def _take(self) -> SandboxWorker:
        with self._lock:
            if self._server is None:
                raise WorkerLostError("the sandbox is closed")
            if not self._server.is_running():
                self._stop()
                self._start()
            while self._idle:
                worker = self._idle.pop()
                if worker.is_running():
                    return worker
                worker.close()
            return self._server.worker()

    def _put_back(self, worker: SandboxWorker) -> None:
        with self._lock:
            if self._server is None:
                worker.close()
            else:
                self._idle.append(worker)

    def _start(self) -> None:
        self._server, self._profile = start(self._needs, self._allow_weak, self._only)
        self._finalizer = weakref.finalize(self, _close, self._server, self._idle)

    def _stop(self) -> None:
        if self._finalizer:
            self._finalizer()
        self._server = None


def _close(server: ForkServer, workers: list[SandboxWorker]) -> None:
    while workers:
        workers.pop().close()
    server.close()


def _stolen() -> float:
    """Return how many seconds this machine's processors stood still for others on the same host, a mean over them."""
    try:
        with open("/proc/stat", encoding="ascii") as file:
            ticks = int(file.readline().split()[8])
    except (OSError, IndexError, ValueError):
        return 0.0
    return ticks / os.sysconf("SC_CLK_TCK") / (os.cpu_count() or 1)
