"""The real command, as a process."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

TTS = (sys.executable, "-m", "tts")
SECONDS = 240


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


@pytest.fixture
def tts(tmp_path: Path) -> Callable[..., Result]:
    """Run `tts` with arguments in an empty folder, optionally with bytes or text on stdin."""

    def run(*arguments: object, stdin: str | bytes | None = None, **extra: str) -> Result:
        done = subprocess.run(
            [*TTS, *map(str, arguments)],
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            cwd=tmp_path,
            env=environment(**extra),
            capture_output=True,
            check=False,
            timeout=SECONDS,
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe on the replay engine whose candidates answer 42, 41, 42 and nothing."""
    path = tmp_path / "scripted.yaml"
    path.write_text(
        "task: math\n"
        "engine:\n"
        "  name: replay\n"
        '  script: ["It is \\\\boxed{42}.", "It is \\\\boxed{41}.", "So \\\\boxed{42}.", "no idea"]\n'
        "sampler: {name: temperature, num_candidates: 4}\n"
        "selector: majority_vote\n"
    )
    return path


def rows(problems: Iterable[tuple[str, str]]) -> str:
    """Return JSON lines for (id, answer) pairs."""
    return "".join(
        json.dumps({"id": name, "problem": f"What is {name}?", "answer": answer}) + "\n" for name, answer in problems
    )
