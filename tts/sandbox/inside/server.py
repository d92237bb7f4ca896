"""The fork server: one process that builds the sandbox and imports ahead, and a child of it for each worker.

The host holds one socket to the server, over which it asks for workers, and one to each worker. No request and no
answer ever passes through the memory of any of them: they are read and written by the processes of one run.
"""

from __future__ import annotations

import gc
import importlib
import itertools
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from . import frames, kernel, landlock, namespaces, supervisor, wire
from .confine import Confinement
from .forker import Forker, exit_with
from .settings import PACKAGES, WORK, Setup

PRELOADED = (
    "array bisect cmath collections contextlib copy dataclasses datetime decimal enum fractions functools hashlib",
    "heapq itertools json math numbers operator queue random re statistics string struct threading time traceback",
)
"""Modules that programs often use; what they seldom use would only make every fork dearer."""


def main(control: socket.socket) -> None:
    """Build what the first frame says, answer, and fork a worker for each socket that comes. Ends with the control.

    It does not ask the kernel to die with its parent, which would be the one thread of the host that started it.
    """
    setup = Setup.load(wire.decode(frames.receive(control)))
    os.environ.clear()
    try:
        server = Server(setup, control)
    except Exception as error:
        frames.send(control, wire.encode(str(error)))
        return
    frames.send(control, wire.encode(""))
    server.serve()


class Server:
    """Holds what all workers share: namespaces, readable paths, imported modules."""

    def __init__(self, setup: Setup, control: socket.socket) -> None:
        self._setup = setup
        self._control = control
        self._readable = [*namespaces.needed_paths(), *setup.packages]
        self._proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY)
        self._home = -1
        _look_for_mechanisms(setup)
        if setup.namespaces:
            with _named("namespaces"):
                namespaces.enter(namespaces.needed_paths(), setup.packages)
            _become_init(control)
            self._home = os.open("self/ns/pid", os.O_RDONLY, dir_fd=self._proc)
            self._readable = ["/"]
        kernel.forbid_core_dumps_and_tracing()
        sys.path += [PACKAGES] if setup.namespaces else setup.search
        _import_ahead([*" ".join(PRELOADED).split(), *setup.preload])
        with open(os.open("self/statm", os.O_RDONLY, dir_fd=self._proc), encoding="ascii") as statm:
            self._base_memory = int(statm.read().split()[0]) * resource.getpagesize()

    def serve(self) -> None:
        """Fork a worker for each socket that the host sends, until the host is gone."""
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        for number in itertools.count():
            word, descriptors, _, _ = socket.recv_fds(self._control, 1, 1)
            if not word:
                return
            self._fork_worker(number, descriptors[0])
            os.close(descriptors[0])

    def _fork_worker(self, number: int, descriptor: int) -> None:
        if not os.fork():
            exit_with(lambda: self._work(number, descriptor))

    def _work(self, number: int, descriptor: int) -> int:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        kernel.die_with_parent()
        if cpus := self._setup.cpus:
            os.sched_setaffinity(0, {cpus[number % len(cpus)]})
        self._control.close()
        if self._setup.namespaces:
            namespaces.new_worker_namespaces()
        forker = Forker(self._confinement, self._setup, self._home)
        ours, theirs = socket.socketpair()
        if not os.fork():
            ours.close()
            host = socket.socket(fileno=descriptor)
            exit_with(lambda: supervisor.serve(forker.confinement, host, theirs))
        theirs.close()
        os.close(descriptor)
        forker.serve(ours)
        return 0

    def _confinement(self) -> Confinement:
        """Return the layers for the next runs. Landlock's rules name the work folder that is mounted now."""
        setup = self._setup
        writable = [path for path in namespaces.DEVICES if os.path.exists(path)]
        folder = [WORK] if setup.namespaces else []
        return Confinement(
            setup.namespaces,
            setup.seccomp,
            drop_user=namespaces.IS_ROOT and setup.drop_user,
            program_rules=landlock.ruleset(self._readable, [*writable, *folder]) if setup.landlock else -1,
            checker_rules=landlock.ruleset(self._readable, [], may_signal=True) if setup.landlock else -1,
            base_memory=self._base_memory,
            proc=self._proc,
        )


def _look_for_mechanisms(setup: Setup) -> None:
    """Raise OSError where the kernel lacks what is asked for, or refuses it; what it does only, programs will show."""
    if setup.landlock:
        with _named("landlock"):
            os.close(landlock.ruleset([], []))
    if setup.seccomp:
        with _named("seccomp"):
            kernel.machine()


@contextmanager
def _named(mechanism: str) -> Iterator[None]:
    """Put the mechanism before the text of an OSError."""
    try:
        yield
    except OSError as error:
        raise OSError(f"{mechanism}: {error.strerror or error}") from error


def _become_init(control: socket.socket) -> None:
    """Go on as the first process of the new namespace, with which everything in it dies; the old one waits outside."""
    pid = os.fork()
    if pid:
        control.close()
        os.waitpid(pid, 0)
        os._exit(0)
    kernel.die_with_parent()


def _import_ahead(names: list[str]) -> None:
    """Import what programs often use, and keep the garbage collector off their memory."""
    for name in names:
        importlib.import_module(name)
    for name in [name for name in sys.modules if name.partition(".")[0] == "inside"]:
        del sys.modules[name]  # what runs the programs is none of their business
    gc.collect()
    gc.freeze()
    gc.disable()
