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
from collections.abc import Sequence

from . import frames, kernel, landlock, namespaces, supervisor, wire
from .confine import Confinement
from .forker import Forker, exit_with
from .settings import PACKAGES, WORK, Complaint, Setup, named

PRELOADED = (
    "array bisect cmath collections contextlib copy dataclasses datetime decimal enum fractions functools hashlib",
    "heapq itertools json math numbers operator queue random re statistics string struct threading time traceback",
)
"""Modules that programs often use; what they seldom use would only make every fork dearer."""

ENVIRONMENT = dict.fromkeys(("MKL_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
"""What programs find: a worker stays on one processor, and threads count among `processes`."""


def main(control: socket.socket) -> None:
    """Build what the first frame says, answer, and fork a worker for each socket that comes. Ends with the control.

    It does not ask the kernel to die with its parent, which would be the one thread of the host that started it.
    """
    setup = Setup.load(wire.decode(frames.receive(control)))
    os.environ.clear()
    os.environ.update(ENVIRONMENT)
    try:
        server = Server(setup, control)
    except Exception as error:
        frames.send(control, wire.encode(Complaint.of(error).dump()))
        return
    frames.send(control, wire.encode(()))
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
            with named("namespaces"):
                namespaces.enter(namespaces.needed_paths(), setup.packages)
            with named("fork"):
                _become_init(control)
            self._home = os.open("self/ns/pid", os.O_RDONLY, dir_fd=self._proc)
            self._readable = ["/"]
        self._drops_user = setup.drop_user and namespaces.can_become_nobody(self._proc)
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

    def _fork_worker(self, number: int, descriptor: int) -> None:
        host = socket.socket(fileno=descriptor)
        try:
            with named("fork"):
                pid = os.fork()
        except OSError as error:
            frames.send(host, wire.encode(Complaint.of(error).dump()))
        else:
            if not pid:
                exit_with(lambda: self._work(number, host))
        host.close()

    def _work(self, number: int, host: socket.socket) -> int:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        kernel.die_with_parent()
        if cpus := self._setup.cpus:
            os.sched_setaffinity(0, {cpus[number % len(cpus)]})
        self._control.close()
        try:
            if self._setup.namespaces:
                with named("namespaces"):
                    namespaces.new_worker_namespaces()
            checker = self._confinement(self._rules(may_signal=True))
            checker.prepare()
        except OSError as error:
            frames.send(host, wire.encode(Complaint.of(error).dump()))
            return 1
        forker, status = Forker(self._for_program, self._home), supervisor.USED
        while status == supervisor.USED:  # one after the other: what test code does to its process ends with it
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            try:
                with named("fork"):
                    pid = os.fork()
            except OSError as error:
                frames.send(host, wire.encode(Complaint.of(error).dump()))
                return 1
            if not pid:
                ours.close()
                exit_with(lambda end=theirs: supervisor.serve(checker, host, end))  # type: ignore[misc] # bound now
            theirs.close()
            with ours:
                forker.serve(ours)
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return 0

    def _for_program(self) -> Confinement:
        """Return the layers of the next program, with an empty work folder, which Landlock's rules name."""
        folders = []
        if self._setup.namespaces:
            with named("namespaces"):
                namespaces.new_work_folder(self._setup.files_mb, self._drops_user)
            folders = [WORK]
        devices = [path for path in namespaces.DEVICES if os.path.exists(path)]
        listed = () if self._setup.namespaces else self._setup.search
        return self._confinement(self._rules([*devices, *folders], listed))

    def _rules(self, writable: Sequence[str] = (), listed: Sequence[str] = (), may_signal: bool = False) -> int:
        if not self._setup.landlock:
            return -1
        with named("landlock"):
            return landlock.ruleset(self._readable, writable, listed, may_signal)

    def _confinement(self, rules: int) -> Confinement:
        setup = self._setup
        return Confinement(
            setup.namespaces, setup.seccomp, self._drops_user, rules, base_memory=self._base_memory, proc=self._proc
        )


def _look_for_mechanisms(setup: Setup) -> None:
    """Raise OSError where the kernel lacks what is asked for, or refuses it; what it does only, programs will show."""
    if setup.landlock:
        with named("landlock"):
            os.close(landlock.ruleset([]))
    if setup.seccomp:
        with named("seccomp"):
            kernel.look_for_filters()


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
