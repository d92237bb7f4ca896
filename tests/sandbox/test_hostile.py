"""Every hostile program gets its verdict and does no harm, run by this user and (where this is root) by another."""

import json
import os
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


def drive(*arguments: object) -> dict[str, Any]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, str(DRIVER), *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    if "skip" in report:
        pytest.skip(report["skip"])
    return report


@pytest.fixture(scope="module", params=USERS, ids=lambda uid: f"uid{uid}")
def report(request: pytest.FixtureRequest) -> dict[str, Any]:
    return drive(request.param)


@pytest.mark.parametrize("hostile", hostile_parts.ALL, ids=lambda hostile: hostile.name)
def test_a_hostile_program_gets_its_verdict(report: dict[str, Any], hostile: hostile_parts.Hostile) -> None:
    status, reason, detail = report["verdicts"][hostile.name]
    if report["profile"] == "full":
        assert (reason or status) == hostile.verdict, detail
    else:
        assert (status == "passed") == (hostile.verdict == "passed"), detail


def test_nothing_was_written_or_reached_or_killed(report: dict[str, Any]) -> None:
    assert report["harm"] == []


def test_no_process_is_left(report: dict[str, Any]) -> None:
    assert report["left_over"] == []
    assert report["left_after_close"] == []


@pytest.mark.slow
@pytest.mark.parametrize("uid", USERS)
def test_without_namespaces_the_same_programs_do_no_harm_either(uid: int) -> None:
    report = drive(uid, "landlock+seccomp")
    wrong = [
        hostile.name
        for hostile in hostile_parts.ALL
        if (report["verdicts"][hostile.name][0] == "passed") != (hostile.verdict == "passed")
    ]
    assert (wrong, report["harm"], report["left_over"], report["left_after_close"]) == ([], [], [], [])
