"""Ctrl-C at odd moments: real signals to real processes."""

import signal
import subprocess
import time
from pathlib import Path

import pytest
from cli_parts import TTS, environment, rows

HEEDING = ("env", "--default-signal=INT")
"""Started in the background by a shell, these tests and their children would ignore SIGINT."""

SLOW = """
import time
from tts.engines.replay import ReplayEngine

class Slow(ReplayEngine):
    '''Takes a minute to load, in one call.'''

    def open(self) -> None:
        open("loading", "w").close()
        time.sleep(60)
"""


def start(folder: Path, *arguments: object, **extra: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*HEEDING, *TTS, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=environment(**extra),
    )


def interrupted(process: subprocess.Popen[bytes], number: int = signal.SIGINT) -> tuple[int, str]:
    time.sleep(0.2)  # not in the middle of the line that told us to
    process.send_signal(number)
    try:
        out, err = process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    assert not out
    return process.returncode, err.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_model_that_loads_is_not_waited_for(recipe: Path, tmp_path: Path, number: int) -> None:
    (tmp_path / "slow_engine.py").write_text(SLOW)
    recipe.write_text(recipe.read_text().replace("name: replay", "name: slow_engine:Slow"))
    (tmp_path / "p.jsonl").write_text(rows([("a", "42")]))
    path = environment().get("PYTHONPATH", "")
    process = start(tmp_path, "solve", "p.jsonl", "-r", recipe, "--run", "my run", PYTHONPATH=f"{tmp_path}:{path}")
    deadline = time.monotonic() + 60
    while not (tmp_path / "loading").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    code, err = interrupted(process, number)
    assert code == 128 + number
    assert err.splitlines()[-1] == "tts: interrupted; resume with: tts solve --run 'my run'"
    assert "no problems" not in err


def test_before_the_first_row_nothing_is_left_behind(recipe: Path, tmp_path: Path) -> None:
    process = start(tmp_path, "solve", "-r", recipe)
    assert process.stderr is not None
    assert b"waiting for problems" in process.stderr.readline()
    code, err = interrupted(process)
    assert (code, err) == (130, "")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("command", [("doctor",), ("recipes", "schema"), ("solve", "--dry-run")])
def test_at_any_moment_it_ends_without_a_traceback(command: tuple[str, ...], tmp_path: Path) -> None:
    for milliseconds in (40, 100, 250, 700):
        process = start(tmp_path, *command)
        time.sleep(milliseconds / 1000)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        is_python_alone = b"tts/__main__" not in err and b"tts/cli" not in err and process.returncode != 130
        assert b"Traceback" not in err or is_python_alone, err.decode()
        assert process.returncode in (0, 130) or is_python_alone
