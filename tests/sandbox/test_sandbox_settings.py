"""Which profile is had where, and what is said where none is: containers, nested namespaces, older kernels, limits."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("settings_parts.py")
ME = os.getuid()
ORDINARY = 65534 if ME == 0 else ME
USERS = [ME, ORDINARY] if ME == 0 else [ME]
AS_PROCESS_1 = ("unshare", "--pid", "--fork", "--mount-proc")
DOCKERS = "chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw sys_chroot mknod"
DOCKERS += " audit_write setfcap"
WITH_DOCKERS_RIGHTS = ("setpriv", "--bounding-set=-all," + ",".join(f"+{name}" for name in DOCKERS.split()))
WITHOUT_RIGHTS = ("setpriv", "--bounding-set=-all")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux's")
as_root = pytest.mark.skipif(ME != 0 or not shutil.which("setpriv"), reason="for root to try")


def open_sandbox(*arguments: object, wrapper: tuple[str, ...] = ()) -> dict[str, Any]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [*wrapper, sys.executable, str(SCRIPT), *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    if "skip" in report:
        pytest.skip(report["skip"])
    return report


@pytest.mark.parametrize("uid", USERS)
@pytest.mark.parametrize("taken", [[], ["mount_setattr"], ["landlock"], ["mount_setattr", "landlock"]])
def test_full_is_had_on_kernels_without_mount_setattr_or_landlock(uid: int, taken: list[str]) -> None:
    report = open_sandbox(uid, *taken)
    assert (report["profile"], report["said"][0], report["said"][2]) == ("full", "1", "hello")
    assert all(holds for name, (holds, _, _) in report["layers"].items() if name != "landlock")
    assert report["layers"]["landlock"][0] == ("landlock" not in taken)


@as_root
@pytest.mark.parametrize("rights", [(), WITH_DOCKERS_RIGHTS], ids=["all rights", "Docker's rights"])
@pytest.mark.parametrize("first", [(), AS_PROCESS_1], ids=["", "process 1"])
def test_root_gets_full_as_process_1_and_with_the_rights_that_docker_leaves(
    first: tuple[str, ...], rights: tuple[str, ...]
) -> None:
    report = open_sandbox(ME, wrapper=(*first, *rights))
    assert (report["profile"], report["said"]) == ("full", ["1", "65534", "hello"])
    assert (report["pid"] == 1) == bool(first)


@as_root
def test_an_ordinary_user_gets_full_as_process_1() -> None:
    assert open_sandbox(ORDINARY, wrapper=AS_PROCESS_1)["profile"] == "full"


@as_root
def test_root_without_any_right_is_told_which() -> None:
    report = open_sandbox(ME, wrapper=WITHOUT_RIGHTS)
    assert report["profile"] == "landlock+seccomp"
    assert "map of users: Operation not permitted (give the container SETUID" in report["layers"]["namespaces"][1]


def test_who_is_root_of_a_namespace_of_his_own_gets_full() -> None:
    report = open_sandbox("--root", ORDINARY)
    assert (report["profile"], report["said"][0]) == ("full", "1")


def test_where_nothing_protects_the_canary_sees_what_is_open() -> None:
    layers = open_sandbox("--weak", ORDINARY)["layers"]
    for guard, words in {
        "files": "reading succeeded; writing succeeded; secret2 was made outside",
        "inodes": "chmod on a file outside succeeded; fchmodat on a file outside succeeded",
        "network": "TCP succeeded; a socket file succeeded; a datagram to a socket file succeeded; something arrived",
        "signals": "kill succeeded",
        "programs": "starting a program succeeded",
        "state": "looking up a path outside succeeded",
    }.items():
        holds, detail, _ = layers[guard]
        assert not holds
        assert words in detail
    for words in ("F_SET_RW_HINT", "F_SETLEASE", "F_NOTIFY", "mincore", "unshare is survived"):
        assert words in layers["inodes"][1]
    assert "a file was left in" in layers["state"][1]


@pytest.mark.parametrize("uid", USERS)
def test_without_namespaces_what_stays_open_is_said_with_why(uid: int) -> None:
    report = open_sandbox(uid, "namespaces")
    assert report["profile"] == "landlock+seccomp"
    holds, detail, advice = report["layers"]["state"]
    assert not holds
    assert "looking up a path outside succeeded" in detail
    assert "only the full profile closes this" in advice
    assert "unshare(0x7c020000): Operation not permitted (allow user" in report["layers"]["namespaces"][1]
    assert all(holds for name, (holds, _, _) in report["layers"].items() if name not in ("state", "namespaces"))


@pytest.mark.parametrize(
    ("taken", "words"),
    [
        (["namespaces by number", "landlock"], ": No space left on device (allow user namespaces"),
        (["mounts", "landlock"], "mount on /: Operation not permitted (let AppArmor or SELinux allow mounts"),
        (["pidfd_open"], "pidfd_open: Function not implemented (use Linux 5.3 or later)"),
        (["seccomp"], "Function not implemented (use a Linux kernel with seccomp filters"),
    ],
)
def test_a_refusal_names_call_reason_and_cure(taken: list[str], words: str) -> None:
    report = open_sandbox(ME, *taken)
    assert words in report["refused"]
    assert words in "\n".join(report["health"])
    assert "reset by peer" not in report["refused"]


@pytest.mark.skipif(ME != 0, reason="other processes of this user count")
@pytest.mark.parametrize("processes", [1, 2, 3, 5, 7])
def test_too_few_processes_are_told(processes: int) -> None:
    report = open_sandbox("--limit", f"NPROC={processes}", ORDINARY)
    if processes == 7 and "refused" not in report:
        return  # enough, where each of them ends before the next begins
    refused = report["refused"]
    assert "Resource temporarily unavailable (raise `ulimit -u`" in refused
    assert "reset by peer" not in refused


@pytest.mark.parametrize("size", [0, 100])
def test_too_small_files_are_told(size: int) -> None:
    assert "(raise `ulimit -f`)" in open_sandbox("--limit", f"FSIZE={size}", ME)["refused"]
