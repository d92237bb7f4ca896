"""Every hostile program gets its verdict and does no harm: by this user and (where this is root) by another, in every
profile that is accepted, with parts of the kernel taken away, and as process 1.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import hostile_parts
import pytest

DRIVER = Path(__file__).with_name("hostile_run_parts.py")
ORDINARY = 65534
USERS = [os.getuid(), ORDINARY] if os.getuid() == 0 else [os.getuid()]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux's")


def drive(*arguments: object, wrapper: tuple[str, ...] = ()) -> dict[str, Any]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [*wrapper, sys.executable, str(DRIVER), *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    if "skip" in report:
        pytest.skip(report["skip"])
    return report


def is_as_it_should_be(report: dict[str, Any], hostile: hostile_parts.Hostile) -> bool:
    """Without a process namespace or a folder of its own a program may fail in another way; it must not pass."""
    status, reason, _ = report["verdicts"][hostile.name]
    if report["profile"] == "full":
        return bool((reason or status) == hostile.verdict)
    return bool((status == "passed") == (hostile.verdict == "passed"))


@pytest.fixture(scope="module", params=USERS, ids=lambda uid: f"uid{uid}")
def report(request: pytest.FixtureRequest) -> dict[str, Any]:
    return drive(request.param)


@pytest.mark.parametrize("hostile", hostile_parts.ALL, ids=lambda hostile: hostile.name)
def test_a_hostile_program_gets_its_verdict(report: dict[str, Any], hostile: hostile_parts.Hostile) -> None:
    assert is_as_it_should_be(report, hostile), report["verdicts"][hostile.name]


@pytest.mark.parametrize("hostile", hostile_parts.MARKS, ids=lambda hostile: hostile.name)
def test_what_marks_a_file_is_stopped_by_the_system(report: dict[str, Any], hostile: hostile_parts.Hostile) -> None:
    _, reason, detail = report["verdicts"][hostile.name]
    assert reason == "wrong_answer" or "Error: [Errno " in detail or "the machine lacks it" in detail


def test_nothing_was_written_or_reached_or_killed(report: dict[str, Any]) -> None:
    assert report["harm"] == []


def test_no_process_is_left(report: dict[str, Any]) -> None:
    assert report["left_over"] == []
    assert report["left_after_close"] == []


AS_PROCESS_1 = ("unshare", "--pid", "--fork", "--mount-proc")
SETTINGS = {
    "landlock+seccomp": ("landlock+seccomp", ("landlock+seccomp",), ()),
    "without namespaces": ("landlock+seccomp", ("", "namespaces"), ()),
    "without Landlock": ("full", ("", "landlock"), ()),
    "as process 1": ("full", (), AS_PROCESS_1),
    "as process 1 without namespaces": ("landlock+seccomp", ("", "namespaces"), AS_PROCESS_1),
    "as process 1 without Landlock": ("full", ("", "landlock"), AS_PROCESS_1),
}
"""Which profile each must get, and how it is brought about."""


@pytest.mark.slow
@pytest.mark.parametrize("uid", USERS)
@pytest.mark.parametrize("setting", SETTINGS)
def test_in_other_settings_the_same_programs_do_no_harm_either(setting: str, uid: int) -> None:
    profile, arguments, wrapper = SETTINGS[setting]
    if wrapper and (os.getuid() or not shutil.which("unshare")):
        pytest.skip("a new process namespace is for root to make")
    report = drive(uid, *arguments, wrapper=wrapper)
    wrong = [hostile.name for hostile in hostile_parts.ALL if not is_as_it_should_be(report, hostile)]
    assert (wrong, report["harm"], report["left_over"], report["left_after_close"]) == ([], [], [], [])
    assert report["profile"] == profile


@pytest.mark.parametrize("uid", USERS)
def test_without_namespaces_and_landlock_nothing_is_run(uid: int) -> None:
    refused = drive(uid, "", "namespaces", "landlock")["refused"]
    assert "namespaces: unshare" in refused
    assert "Operation not permitted (allow user namespaces" in refused
    assert "landlock: system call 444: Function not implemented (use Linux 5.13 or later)" in refused
