"""Runs every hostile program beside bait, as this user or as another, and prints what came of it as JSON.

python hostile_run_parts.py UID PROFILE TAKEN …

An empty profile is the best that holds. What is taken away (`TAKEN`) a filter refuses.
"""

from __future__ import annotations

import argparse
import asyncio  # noqa: F401 - imported before rights are given up: later, the interpreter may be out of reach
import concurrent.futures.thread  # noqa: F401 - as above
import encodings.ascii
import encodings.idna  # noqa: F401 - as above
import errno
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import hostile_parts

from tts.errors import VerifierError
from tts.programs.judging.judge import judge
from tts.sandbox import Sandbox
from tts.sandbox.inside import kernel
from tts.sandbox.inside.namespaces import NOBODY

SECRET = "bait-7241"
SHOWN = "shown_bait"
WORKERS = 2
F_OFD_SETLK = 37


@dataclass
class Bait:
    folder: Path
    tcp: socket.socket
    udp: socket.socket
    victim: subprocess.Popen[bytes]
    listeners: list[socket.socket]
    marks: dict[str, tuple[int, ...]]

    def program(self, text: str) -> str:
        places = {"@FOLDER@": str(self.folder), "@VICTIM@": str(self.victim.pid)}
        places |= {"@PORT@": str(self.tcp.getsockname()[1]), "@UDP@": str(self.udp.getsockname()[1])}
        for place, value in places.items():
            text = text.replace(place, value)
        return text

    def harm(self) -> list[str]:
        ours = ("secret", "socket", "datagrams", SHOWN, "__init__.py", "__pycache__")
        seen = [f"new file {path.name}" for path in self.folder.rglob("*") if path.name not in ours]
        seen += [f"{name}: {old} has become {new}" for name, old in self.marks.items() if (new := mark(name)) != old]
        if (self.folder / "secret").read_text() != SECRET:
            seen.append("the secret was changed")
        if self.victim.poll() is not None or "\nState:\tT" in Path(f"/proc/{self.victim.pid}/status").read_text():
            seen.append("a process of the host was killed or stopped")
        for listener in self.listeners:
            try:
                listener.accept() if listener.type == socket.SOCK_STREAM else listener.recv(99)
            except BlockingIOError:
                continue
            seen.append("something arrived")
        return seen


def lay_out(stack: ExitStack, python: str) -> Bait:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tts-bait-")))
    folder.chmod(0o777)
    (folder / "secret").write_text(SECRET)
    (folder / SHOWN).mkdir()
    (folder / SHOWN / "__init__.py").write_text("#" * 8191 + "\n")
    for path in (folder / "secret", folder / SHOWN, folder / SHOWN / "__init__.py"):
        path.chmod(0o777)
        if os.getuid() == 0:
            os.chown(path, NOBODY, NOBODY)  # programs may do more to files of their own
    held = stack.enter_context((folder / SHOWN / "__init__.py").open("r+b"))
    fcntl.flock(held, fcntl.LOCK_EX)
    fcntl.fcntl(held, F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
    tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    udp.bind(("127.0.0.1", 0))
    by_path, by_name = (stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(2))
    datagrams = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    datagrams.bind(str(folder / "datagrams"))
    by_path.bind(str(folder / "socket"))
    for path in (folder / "socket", folder / "datagrams"):
        path.chmod(0o777)
    by_name.bind("\0" + str(folder))
    for listener in (by_path, by_name):
        listener.listen()
    listeners = [tcp, udp, by_path, by_name, datagrams]
    for each in listeners:
        each.setblocking(False)
    victim = subprocess.Popen([python, "-I", "-S", "-c", "import time; time.sleep(3600)"])
    stack.callback(victim.wait)
    stack.callback(victim.kill)
    files = (str(folder / "secret"), str(folder / SHOWN / "__init__.py"))
    return Bait(folder, tcp, udp, victim, listeners, {name: mark(name) for name in files})


def mark(name: str) -> tuple[int, ...]:
    """What is kept of a file, but for the time of its last reading."""
    if not os.path.exists(name):
        return ()
    status = os.stat(name)
    return status.st_mode, status.st_uid, status.st_nlink, status.st_size, status.st_mtime_ns, status.st_ctime_ns


TAKEN: dict[str, tuple[int, dict[str, tuple[int, int]]]] = {
    "namespaces": (errno.EPERM, {"unshare": (272, 97), "setns": (308, 268), "mount": (165, 40)}),
    "namespaces by number": (errno.ENOSPC, {"unshare": (272, 97)}),
    "mounts": (errno.EPERM, {"mount": (165, 40)}),
    "landlock": (errno.ENOSYS, {"landlock_create_ruleset": (444, 444), "landlock_add_rule": (445, 445)}),
    "mount_setattr": (errno.ENOSYS, {"mount_setattr": (442, 442)}),
    "pidfd_open": (errno.ENOSYS, {"pidfd_open": (434, 434)}),
    "seccomp": (errno.ENOSYS, {"seccomp": (317, 277)}),
}
"""What containers and older kernels lack: with which error which calls fail there."""


def take_away(names: list[str]) -> None:
    """Refuse, to this process and all that it starts, what is named."""
    code = [struct.pack("<HBBI", 0x20, 0, 0, 0)]
    for name in names:
        error, numbers = TAKEN[name]
        for number in (each[kernel.machine()] for each in numbers.values()):
            code += [struct.pack("<HBBI", 0x15, 0, 1, number), struct.pack("<HBBI", 6, 0, 0, 0x50000 | error)]
    kernel.forbid_new_privileges()
    kernel.install_filter(b"".join([*code, struct.pack("<HBBI", 6, 0, 0, 0x7FFF0000)]))


def become(uid: int) -> None:
    """Go on as this user."""
    if uid != os.getuid():
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        os.environ["HOME"] = "/"


def descendants() -> list[int]:
    """The processes below this one, zombies left out."""
    parents = parents_of_all()
    found, new = [], {os.getpid()}
    while new:
        new = {pid for pid, parent in parents.items() if parent in new}
        found += sorted(new)
    return found


def children() -> set[int]:
    """The processes that this one has started, zombies left out."""
    return {pid for pid, parent in parents_of_all().items() if parent == os.getpid()}


def parents_of_all() -> dict[int, int]:
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state != "Z":
            parents[int(stat.parent.name)] = int(parent)
    return parents


def wait_for(condition: object) -> bool:
    for _ in range(600):
        if condition():  # type: ignore[operator]  # a function
            return True
        time.sleep(0.05)
    return False


def readable_python() -> str | None:
    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        try:
            subprocess.run([python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"], check=True)
            return python
        except (OSError, subprocess.CalledProcessError):
            continue
    return None


def main(options: argparse.Namespace) -> dict[str, object]:
    uid = options.uid
    if options.taken:
        take_away(options.taken)
    become(uid)
    python = readable_python()
    if python is None:
        return {"skip": f"no Python that user {uid} can read"}
    with ExitStack() as stack:
        bait = lay_out(stack, python)
        sys.path.append(str(bait.folder))
        sandbox = Sandbox(workers=WORKERS, packages=(SHOWN,), python=python, profile=options.profile or None)
        try:
            stack.enter_context(sandbox)
        except VerifierError as error:
            return {"refused": str(error)}
        verdicts = {}
        with ThreadPoolExecutor(WORKERS) as threads:
            jobs = {
                hostile.name: threads.submit(
                    judge, sandbox, bait.program(hostile.program), hostile.tests, hostile.limits
                )
                for hostile in hostile_parts.ALL
            }
            for name, job in jobs.items():
                verdict = job.result().verdict
                verdicts[name] = [verdict.status, verdict.reason, verdict.detail]
        of_the_sandbox = 2 + 2 * WORKERS
        left_over = [] if wait_for(lambda: len(descendants()) <= of_the_sandbox + 1) else descendants()
        harm = bait.harm()
        sandbox.close()
        after = [] if wait_for(lambda: descendants() == [bait.victim.pid]) else descendants()
        return {
            "profile": sandbox.profile.name,
            "verdicts": verdicts,
            "harm": harm,
            "left_over": left_over,
            "left_after_close": after,
        }


if __name__ == "__main__":
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    parser = argparse.ArgumentParser()
    parser.add_argument("uid", type=int)
    parser.add_argument("profile", nargs="?", default="")
    parser.add_argument("taken", nargs="*")
    print(json.dumps(main(parser.parse_args())))
