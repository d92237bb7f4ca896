"""Tries on a running sandbox, from inside, all that it must not let happen; and a few things that it must."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass
from pathlib import Path

from tts.sandbox.inside import wire
from tts.sandbox.inside.settings import RunRequest
from tts.sandbox.records import Layer, Limits
from tts.sandbox.worker import SandboxWorker, WorkerLostError

SEEN = {
    "files": "nothing outside is read or written",
    "network": "nothing is reached",
    "signals": "no other process is reached",
    "processes": "no more processes than allowed",
    "programs": "no other program is started",
    "memory": "no more memory than allowed",
    "imports": "the standard library can be imported late",
}
"""What is tried (`records.GUARDS`), and what was seen where it held."""

_LIMITS = Limits(cpu_seconds=5, wall_seconds=20, memory_mb=256, processes=4, may_fork=True)
_SECONDS = 30.0

_PROGRAM = """
import os, socket, sys, threading
folder, port, host_pid = sys.stdin.read().split("\\n")

def read():
    print("secret", open(folder + "/secret").read())

def write():
    open(folder + "/written", "w").close()

def connect():
    socket.create_connection(("127.0.0.1", int(port)), 1)

def connect_locally():
    socket.socket(socket.AF_UNIX).connect(folder + "/socket")

def reach():
    os.kill(int(host_pid), 0)

def execute():
    if not os.access("/bin/true", os.X_OK):
        raise PermissionError("there is no other program")
    pid = os.posix_spawn("/bin/true", ["true"], {})
    if os.waitpid(pid, 0)[1]:
        raise PermissionError("it did not start")

def allocate():
    bytearray(2**29)

def fork():
    for _ in range(8):
        if not os.fork():
            threading.Event().wait(20)
            os._exit(0)

def attempt(name, *actions):
    for action in actions:
        try:
            action()
        except (OSError, MemoryError):
            continue
        print("broken", name, action.__name__, "succeeded")

thread = threading.Thread(target=__import__, args=("colorsys",))
thread.start()
thread.join()
import _lsprof, sched, colorsys
attempt("files", read, write)
attempt("network", connect, connect_locally)
attempt("signals", reach)
attempt("programs", execute)
attempt("memory", allocate)
attempt("processes", fork)
print("end")
"""


@dataclass(frozen=True, slots=True)
class _Bait:
    """What a canary may find on the host: a folder with a secret and a socket, an open port."""

    folder: Path
    port: int
    tcp: socket.socket
    unix: socket.socket

    def harm(self) -> dict[str, str]:
        """Return what the host can see was done, by guard."""
        seen = {}
        if (self.folder / "written").exists():
            seen["files"] = "a file was written outside"
        for listener in (self.tcp, self.unix):
            with suppress(BlockingIOError):
                listener.accept()[0].close()
                seen["network"] = "a connection arrived"
        return seen


def probe(worker: SandboxWorker) -> tuple[Layer, ...]:
    """Return one layer for each guard, as seen by a program in the sandbox and by the host."""
    with _bait() as bait:
        stdin = f"{bait.folder}\n{bait.port}\n{os.getpid()}".encode()
        request = RunRequest("run", _PROGRAM, astuple(_LIMITS), stdin)
        try:
            _, run = worker.ask(wire.encode(request.dump()), _SECONDS)
        except WorkerLostError as error:
            return tuple(Layer(name, False, f"the sandbox did not work: {error}") for name in SEEN)
        said = run[1].decode("utf-8", "replace").splitlines()
        broken = {"imports": _complaint(run)} if said[-1:] != ["end"] else {}
        for line in said:
            if line.startswith("broken "):
                _, guard, what = line.split(" ", 2)
                broken[guard] = what
        broken |= bait.harm()
    return tuple(Layer(name, name not in broken, broken.get(name, seen)) for name, seen in SEEN.items())


def _complaint(run: tuple[object, ...]) -> str:
    return f"the canary failed: {run[0]}, {run[-1]}"


@contextmanager
def _bait() -> Iterator[_Bait]:
    with (
        tempfile.TemporaryDirectory(prefix="tts-canary-") as name,
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as unix,
    ):
        folder = Path(name)
        folder.chmod(0o777)
        (folder / "secret").write_text("bait", encoding="ascii")
        unix.bind(f"{name}/socket")
        (folder / "socket").chmod(0o777)
        unix.listen()
        tcp.setblocking(False)
        unix.setblocking(False)
        yield _Bait(folder, tcp.getsockname()[1], tcp, unix)
