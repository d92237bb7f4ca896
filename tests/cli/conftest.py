"""The real command, as a process."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import command_parts
import pytest
from cli_parts import SECONDS, TTS, Result, environment, rows


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


@pytest.fixture
def folder(recipe: Path) -> Path:
    """The recipe's folder, with `own.yaml`, which has problems of its own, and two problems and a run of these."""
    folder = recipe.parent
    (folder / "own.yaml").write_text(recipe.read_text() + "problems: quickstart\n")
    (folder / "p.jsonl").write_text(rows([("6*7", "42"), ("5*8+1", "41")]))
    done = command_parts.tts(folder, "solve", "p.jsonl", "-r", "scripted.yaml", "--run", "run")
    assert done.code == 0, done.err
    return folder
