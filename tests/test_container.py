"""What the Dockerfile runs, run as a container would run it: as process 1 of fresh namespaces, with Docker's rights.

The image itself is not built here: that takes a container engine, a network and minutes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINES = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
RIGHTS = "chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw sys_chroot mknod"
CONTAINER = (
    *("unshare", "--pid", "--fork", "--mount", "--mount-proc", "--ipc", "--uts", "--net", "--cgroup"),
    *("setpriv", "--bounding-set=-all," + ",".join(f"+{name}" for name in f"{RIGHTS} audit_write setfcap".split())),
)


def said(instruction: str) -> list[str]:
    """Return what stands behind each line of this instruction."""
    return [line.removeprefix(f"{instruction} ") for line in LINES if line.startswith(f"{instruction} ")]


def test_it_is_made_by_the_makefiles_own_commands_for_an_ordinary_user() -> None:
    [target] = [found[1] for line in said("RUN") if (found := re.fullmatch(r"make (\S+)", line))]
    rule = (ROOT / "Makefile").read_text(encoding="utf-8").replace("$(VENV)", ".venv")
    assert f"\n{target}: " in rule
    assert said("USER") not in ([], ["root"])
    assert json.loads(said("ENTRYPOINT")[0]) == [f"{said('WORKDIR')[0]}/.venv/bin/tts"]
    copied = {"tts", "recipes", "pyproject.toml", "constraints.txt", "README.md", "LICENSE", "Makefile"}
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert not copied & set(ignored)


@pytest.mark.skipif(
    sys.platform != "linux" or os.getuid() != 0 or not shutil.which("setpriv"), reason="for root to try"
)
def test_its_command_has_the_full_sandbox_as_process_1(tmp_path: Path) -> None:
    command = [*CONTAINER, sys.executable, "-m", "tts", *json.loads(said("CMD")[0])]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    sandbox = done.stdout.partition("Sandbox for programs\n")[2].partition("\nRay")[0].splitlines()
    assert sandbox[0].split() == ["profile", "full"]
    assert all("seen to hold" in line for line in sandbox[1:])
