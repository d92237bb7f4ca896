"""Tries on a running sandbox, from inside, all that it must not let happen; and a few things that it must.

How it works. The host lays out bait, made for the purpose: a folder with a secret and sockets that programs are not
shown, and a file that they are (as one more package), which it has locked. Programs in the sandbox try things on them
(`attempts`) and say what has succeeded; the host looks at the same files afterwards, and its word counts besides. Then
another program looks for what the first has left, and for times from before its own start.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import socket
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass
from pathlib import Path

from tts.errors import VerifierError
from tts.sandbox.inside import wire
from tts.sandbox.inside.namespaces import NOBODY
from tts.sandbox.inside.settings import PACKAGES, Complaint, RunRequest
from tts.sandbox.records import GUARDS, Layer, Limits
from tts.sandbox.worker import SandboxWorker, said

SEEN = {
    "files": "nothing outside is read or written",
    "inodes": "no file outside is changed, marked, locked or watched",
    "network": "nothing is reached",
    "signals": "no other process is reached",
    "processes": "no more processes than allowed",
    "programs": "no other program is started",
    "memory": "no more memory than allowed",
    "imports": "the standard library can be imported late",
    "state": "no file or time is left that another program can read",
}
"""What was seen where a guard (`records.GUARDS`) held."""

_NO_ROOT = "only the full profile closes this: programs without a root of their own see the host's paths and times"

_LIMITS = Limits(cpu_seconds=5, wall_seconds=20, memory_mb=256, processes=4, may_fork=True)
_SECONDS = 30.0
_BAIT_BYTES = 8192
_TICK_SECONDS = 0.02
"""More than the clock of files may lag behind."""

_CLOCK_OF_FILES = 5  # CLOCK_REALTIME_COARSE
_F_OFD_SETLK = 37
_FIELDS = ("st_mode", "st_uid", "st_gid", "st_nlink", "st_size", "st_mtime_ns", "st_ctime_ns", "st_atime_ns")

_LATER = """
import os, sys
begin, name = sys.stdin.read().split()
for place in (".", "/tmp", "/dev/shm"):
    if os.path.lexists(f"{place}/{name}"):
        print("broken", "state", "a file was left in", place)
for what in (".", 0, 1, 2) if os.getpid() == 1 else (0, 1, 2):
    times = os.stat(what)
    if min(times.st_ctime, times.st_mtime, times.st_atime) < float(begin):
        print("broken", "state", f"{what} is older than the program")
print("end")
"""

_KILLING = """
import ctypes, os
ctypes.CDLL(None).syscall(ctypes.c_long(@x86_64@ if os.uname().machine == "x86_64" else @aarch64@), 0, 0, 0, 0, 0)
print("end")
"""
_HOSTILE = {"unshare": (272, 97), "mount": (165, 40)}


@dataclass(frozen=True, slots=True)
class Bait:
    """What programs may try to get at: `folder` is not shown to them, `package` is."""

    folder: Path
    port: int
    listeners: tuple[socket.socket, ...]

    @property
    def package(self) -> Path:
        """The folder that is shown as a package."""
        return self.folder / "canary"

    def files(self) -> tuple[Path, ...]:
        """Return the files whose marks the host watches."""
        return self.folder / "secret", self.package / "shown"

    def give_to(self, uid: int) -> None:
        """Let programs own the files: so they may do more to them than to others. For root alone to do."""
        for path in (*self.files(), self.package / "shown.quiet", self.package, self.folder):
            with suppress(OSError):  # root of a container may not, or not to everyone
                os.chown(path, uid, -1)

    def marks(self) -> dict[Path, os.stat_result]:
        """Return what is known of the files now."""
        return {path: path.lstat() for path in self.files() if path.exists()}

    def harm(self, before: dict[Path, os.stat_result]) -> Iterator[tuple[str, str]]:
        """Yield guards, and what the host can see was done."""
        left = {path.name for path in (*self.folder.iterdir(), *self.package.iterdir())}
        for name in sorted(left - {"secret", "shown", "shown.quiet", "canary", "socket", "datagrams"}):
            yield "files", f"{name} was made outside"
        now = self.marks()
        for path, old in before.items():
            new = now.get(path)
            for field in _FIELDS:
                if new is None or getattr(old, field) != getattr(new, field):
                    what = f"the {field.removeprefix('st_').removesuffix('_ns')} of {path.name} has changed"
                    yield ("state" if field == "st_atime_ns" else "inodes"), what
        for listener in self.listeners:
            with suppress(BlockingIOError):
                listener.recv(1) if listener.type == socket.SOCK_DGRAM else listener.accept()[0].close()
                yield "network", "something arrived"


def probe(worker: SandboxWorker, server: int, bait: Bait, own_root: bool) -> tuple[Layer, ...]:
    """Return one layer for each guard, as seen by programs in the sandbox and by the host.

    `server` is the process of the fork server, `own_root` whether programs see paths of their own. Raises
    WorkerLostError where no program can be run.
    """
    shown = f"{PACKAGES}/{bait.package.name}/shown" if own_root else f"{bait.package}/shown"
    stdin = f"{bait.folder}\n{shown}\n{bait.port}\n{server}"
    before = bait.marks()
    broken = list(_run(worker, Path(__file__).with_name("attempts.py").read_text(encoding="utf-8"), stdin))
    broken += bait.harm(before)
    time.sleep(_TICK_SECONDS)
    broken += _run(worker, _LATER, f"{time.clock_gettime(_CLOCK_OF_FILES)} {bait.folder.name}-left")
    for place in ("/", "/tmp", "/dev/shm"):
        with suppress(OSError):
            os.unlink(f"{place}/{bait.folder.name}-left")
    for name, (x86_64, aarch64) in _HOSTILE.items():
        program = _KILLING.replace("@x86_64@", str(x86_64)).replace("@aarch64@", str(aarch64))
        if _outcome(worker, program, "")[0] != "sandbox_violation":
            broken.append(("inodes", f"{name} is survived"))
    details = {guard: "; ".join(dict.fromkeys(what for name, what in broken if name == guard)) for guard in GUARDS}
    advice = {} if own_root else {"state": _NO_ROOT}
    return tuple(
        Layer(guard, not details[guard], details[guard] or SEEN[guard], advice.get(guard, "")) for guard in GUARDS
    )


def _run(worker: SandboxWorker, program: str, stdin: str) -> Iterator[tuple[str, str]]:
    """Run a program of the canary's; yield the guards that it has broken, and how."""
    outcome, stdout, reason = _outcome(worker, program, stdin)
    lines = stdout.decode("utf-8", "replace").splitlines()
    for line in lines:
        if line.startswith("broken "):
            _, guard, what = line.split(" ", 2)
            yield guard, what
    if lines[-1:] != ["end"]:
        yield "imports", f"the canary failed: {outcome}, {reason}"


def _outcome(worker: SandboxWorker, program: str, stdin: str) -> tuple[str, bytes, str]:
    request = RunRequest("run", program, astuple(_LIMITS), stdin.encode())
    _, run = worker.ask(wire.encode(request.dump()), _SECONDS)
    return run[0], run[1], run[-1]


@contextmanager
def laid_out() -> Iterator[Bait]:
    """Make the bait. Raises VerifierError where no file can be written."""
    try:
        home = tempfile.TemporaryDirectory(prefix="tts-canary-", ignore_cleanup_errors=True)
    except OSError as error:
        is_forbidden = 0 <= resource.getrlimit(resource.RLIMIT_FSIZE)[0] < _BAIT_BYTES
        complaint = Complaint(Complaint.of(error).text, errno.EFBIG if is_forbidden else errno.ENOENT)
        raise VerifierError(f"canary: a temporary folder cannot be made: {said(complaint)}") from error
    with (
        home,
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as stream,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams,
    ):
        bait = Bait(Path(home.name), tcp.getsockname()[1], (tcp, stream, datagrams))
        bait.package.mkdir()
        for folder in (bait.folder, bait.package):
            folder.chmod(0o777)
        try:
            for path in (*bait.files(), bait.package / "shown.quiet"):
                path.write_bytes(b"x" * _BAIT_BYTES)
                path.chmod(0o666)
                os.utime(path, (1e9, 1.1e9))  # last read before it was changed: the kernel notes the next reading
        except OSError as error:
            raise VerifierError(f"canary: no file can be written: {said(Complaint.of(error))}") from error
        for listener, name in ((stream, "socket"), (datagrams, "datagrams")):
            listener.bind(f"{bait.folder}/{name}")
            (bait.folder / name).chmod(0o777)
        stream.listen()
        for listener in bait.listeners:
            listener.setblocking(False)
        with (bait.package / "shown").open("r+b") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            fcntl.fcntl(held, _F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
            if os.geteuid() == 0:
                bait.give_to(NOBODY)
            yield bait
