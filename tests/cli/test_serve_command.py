"""`tts serve` as a command: what it refuses before it loads anything."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from cli_parts import environment
from command_parts import tts


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (("--host", "0.0.0.0"), "`--host 0.0.0.0` lets others in"),
        (("--host", "example.invalid", "--no-key"), "cannot listen on example.invalid"),
        (("--no-key",), "nobody else reaches 127.0.0.1"),
        (("--host", "::", "--no-key", "--api-key", "k"), "`--no-key` must be left out: TTS_API_KEY or --api-key"),
        (("--api-key", " "), "`--api-key` must not be empty"),
        (("--set", "problems=x.jsonl"), "`--set problems` must be left out"),
        (("--set", "selector=oracle"), "`selector` must work without the verdicts"),
        (("--set", "engine.source=nowhere", "--set", "engine.script=null"), "nowhere"),
    ],
)
def test_what_cannot_be_served_is_refused_with_exit_code_2(recipe: Path, options: tuple[str, ...], wanted: str) -> None:
    done = tts(recipe.parent, "serve", "-r", recipe, "--port", 0, *options)
    assert (done.code, done.out) == (2, "")
    assert wanted in done.err


def test_a_port_that_is_taken_is_told_before_a_model_is_loaded(recipe: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = tts(recipe.parent, "serve", "-r", recipe, "--port", taken.getsockname()[1])
    assert done.code == 2
    assert "Address already in use" in done.err
    assert "loading" not in done.err


def test_what_is_not_installed_is_named_with_its_extra(recipe: Path) -> None:
    code = "import sys; sys.modules['uvicorn'] = None; import tts.cli; tts.cli.main()"
    command = [sys.executable, "-c", code, "serve", "-r", str(recipe)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 2
    assert "`tts serve` needs the package `uvicorn`" in done.stderr
    assert "[serve]" in done.stderr
