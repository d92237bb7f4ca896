"""Puts the calling process under the layers of the sandbox, in the one order that works."""

from __future__ import annotations

import os
import resource
import socket
from dataclasses import dataclass
from pathlib import Path

from . import kernel, landlock, seccomp, usage, wakeup
from .namespaces import NOBODY
from .settings import MEGABYTE, WORK, Bounds, named

CHECKER_MB = 2048
"""What test code may allocate."""

_STACK = 120 * MEGABYTE  # the gap that the kernel leaves below the stack is 128 MB


@dataclass(frozen=True, slots=True)
class Confinement:
    """The layers of one process.

    `rules` are Landlock's, or -1; `proc` is the host's /proc, which no program keeps. Both are descriptors.
    """

    namespaces: bool
    seccomp: bool
    drop_user: bool
    rules: int
    base_memory: int
    proc: int

    def close(self) -> None:
        """Close the rules: the process is made."""
        if self.rules >= 0:
            os.close(self.rules)

    def prepare(self) -> None:
        """Assemble the filters, so that all children of this process find them ready."""
        if self.seccomp:
            for may_fork in (True, False):
                self._filter(may_fork)

    def confine_program(self) -> None:
        """Give up every right that no program needs. Only `limit` may follow."""
        self._drop_user()
        if self.namespaces:
            kernel.unshare(kernel.NEW_USER)  # processes are counted a namespace, and so for this program alone
        self._give_up()
        os.chdir(WORK if self.namespaces else "/")

    def confine_checker(self) -> None:
        """Give up every right that test code does not need."""
        self._drop_user()
        self._give_up()
        _lower(resource.RLIMIT_AS, self.base_memory + CHECKER_MB * MEGABYTE)
        _lower(resource.RLIMIT_CORE, 0)
        if self.seccomp:
            kernel.install_filter(self._filter(may_fork=False))

    def limit(self, bounds: Bounds) -> None:
        """Give up the rights that this program does not need, and set the kernel's limits of this process."""
        seconds = int(bounds.total_cpu_seconds) + 1
        _lower(resource.RLIMIT_CPU, seconds + 1)
        _lower(resource.RLIMIT_AS, self.base_memory + bounds.memory_mb * MEGABYTE)
        _lower(resource.RLIMIT_FSIZE, bounds.file_mb * MEGABYTE)
        _lower(resource.RLIMIT_NOFILE, bounds.open_files)
        if self.namespaces or not self.seccomp:
            _lower(resource.RLIMIT_NPROC, bounds.processes + (0 if self.namespaces else _tasks_of(os.getuid())))
        hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
        resource.setrlimit(resource.RLIMIT_STACK, (_STACK if hard < 0 else min(_STACK, hard), hard))  # some raise it
        _lower(resource.RLIMIT_CORE, 0)
        if self.seccomp:
            may_fork = self.namespaces and bounds.may_fork
            if not may_fork:
                socket.socketpair = wakeup.pair  # type: ignore[assignment]  # all that an event loop asks of it
            resource.getrusage = usage.getrusage
            kernel.install_filter(self._filter(may_fork, 0 if self.namespaces else os.getpid()))

    def _filter(self, may_fork: bool, only_pid: int = 0) -> bytes:
        return seccomp.program(kernel.machine(), may_fork, only_pid, own_root=self.namespaces)

    def _drop_user(self) -> None:
        if self.drop_user:
            with named("change of user"):
                os.setgroups([])
                os.setresgid(NOBODY, NOBODY, NOBODY)
                os.setresuid(NOBODY, NOBODY, NOBODY)

    def _give_up(self) -> None:
        kernel.forbid_new_privileges()
        if self.rules >= 0:
            landlock.restrict(self.rules)
        kernel.drop_capabilities()
        kernel.forbid_core_dumps_and_tracing()
        kernel.die_with_parent()


def _tasks_of(uid: int) -> int:
    """Return how many processes and threads the user has: without a namespace, the kernel counts them all."""
    folders = [process for process in Path("/proc").glob("[0-9]*") if _owner(process) == uid]
    return sum(1 for folder in folders for _ in folder.glob("task/*"))


def _owner(process: Path) -> int:
    try:
        return process.stat().st_uid
    except OSError:
        return -1


def _lower(what: int, limit: int) -> None:
    """Set soft and hard limit, as far as the hard limit in force allows."""
    hard = resource.getrlimit(what)[1]
    limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(what, (limit, limit))
