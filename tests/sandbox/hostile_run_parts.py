"""Runs every hostile program beside bait, as this user or as another, and prints what came of it as JSON.

python hostile_run_parts.py [UID]
"""

from __future__ import annotations

import asyncio  # noqa: F401 - imported before rights are given up: later, the interpreter may be out of reach
import concurrent.futures.thread  # noqa: F401 - as above
import encodings.ascii
import encodings.idna  # noqa: F401 - as above
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import hostile_parts

from tts.programs.judging.judge import judge
from tts.sandbox import Sandbox
from tts.sandbox.records import ProfileName

SECRET = "bait-7241"
WORKERS = 2


@dataclass
class Bait:
    folder: Path
    tcp: socket.socket
    udp: socket.socket
    victim: subprocess.Popen[bytes]
    listeners: list[socket.socket]

    def program(self, text: str) -> str:
        places = {"@FOLDER@": str(self.folder), "@VICTIM@": str(self.victim.pid)}
        places |= {"@PORT@": str(self.tcp.getsockname()[1]), "@UDP@": str(self.udp.getsockname()[1])}
        for place, value in places.items():
            text = text.replace(place, value)
        return text

    def harm(self) -> list[str]:
        seen = [f"new file {path.name}" for path in self.folder.iterdir() if path.name not in ("secret", "socket")]
        if (self.folder / "secret").read_text() != SECRET:
            seen.append("the secret was changed")
        if self.victim.poll() is not None or "\nState:\tT" in Path(f"/proc/{self.victim.pid}/status").read_text():
            seen.append("a process of the host was killed or stopped")
        for listener in self.listeners:
            try:
                listener.accept() if listener is not self.udp else listener.recv(99)
            except BlockingIOError:
                continue
            seen.append("something arrived")
        return seen


def lay_out(stack: ExitStack, python: str) -> Bait:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tts-bait-")))
    folder.chmod(0o777)
    (folder / "secret").write_text(SECRET)
    tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    udp.bind(("127.0.0.1", 0))
    by_path, by_name = (stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(2))
    by_path.bind(str(folder / "socket"))
    by_name.bind("\0" + str(folder))
    for listener in (by_path, by_name):
        listener.listen()
    for each in (tcp, udp, by_path, by_name):
        each.setblocking(False)
    victim = subprocess.Popen([python, "-I", "-S", "-c", "import time; time.sleep(3600)"])
    stack.callback(victim.wait)
    stack.callback(victim.kill)
    return Bait(folder, tcp, udp, victim, [tcp, udp, by_path, by_name])


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


def main(uid: int, profile: ProfileName | None = None) -> dict[str, object]:
    if uid != os.getuid():
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        os.environ["HOME"] = "/"
    python = readable_python()
    if python is None:
        return {"skip": f"no Python that user {uid} can read"}
    with ExitStack() as stack:
        bait = lay_out(stack, python)
        sandbox = stack.enter_context(Sandbox(workers=WORKERS, packages=(), python=python, profile=profile))
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
        of_the_sandbox = 2 + 4 * WORKERS
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
    print(json.dumps(main(int(sys.argv[1]) if sys.argv[1:] else os.getuid(), *sys.argv[2:])))  # type: ignore[arg-type]
