"""A hub that does not answer is said in seconds, in one line; what is in its cache is found without it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

MODEL = """
from tts.models.pretrained import load_tokenizer
load_tokenizer("owner/model")
"""
CONFIGURATION = """
from transformers import AutoConfig
from tts.models.pretrained import readable_errors
with readable_errors("owner/model", "model"):
    print(AutoConfig.from_pretrained("owner/model").model_type)
"""
DATA = """
from tts.problems import open_problems
open_problems("{}")
"""
MOST_TRIES = 2  # the libraries try a file five times, with pauses of up to eight seconds, and go on to the next


def run(code: str, folder: Path, endpoint: str) -> subprocess.CompletedProcess[str]:
    """Run Python with an empty cache of the hub's below `folder`, and a hub at `endpoint`."""
    left_out = ("_proxy", "hf_hub_offline")
    kept = {key: value for key, value in os.environ.items() if not key.lower().endswith(left_out)}
    environment = {**kept, "HF_HOME": str(folder), "HF_ENDPOINT": endpoint}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, timeout=300
    )


@contextmanager
def hub(*, silent: bool = False) -> Iterator[tuple[str, list[socket.socket]]]:
    """Listen where a hub could be; yield its address and what came. It hangs up at once, or is silent."""
    came: list[socket.socket] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                came.append(listener.accept()[0])
                if not silent:
                    came[-1].close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", came
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for one in came:
                one.close()


@pytest.mark.parametrize(
    ("code", "needs"),
    [
        (MODEL, "transformers"),
        (DATA.format("gsm8k"), "datasets"),
        (DATA.format("livecodebench"), "datasets"),
    ],
)
def test_a_hub_that_is_not_there_is_told_soon_and_once(code: str, needs: str, tmp_path: Path) -> None:
    pytest.importorskip(needs)
    with hub() as (endpoint, came):
        done = run(code, tmp_path, endpoint)
    assert f"the hub {endpoint} cannot be reached" in done.stderr.splitlines()[-1]
    assert done.stderr.splitlines()[0].startswith("Traceback")  # nothing is printed before it
    assert "etry" not in done.stderr
    assert 1 <= len(came) <= MOST_TRIES


def test_a_hub_that_stays_silent_is_given_up(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    with hub(silent=True) as (endpoint, came):
        done = run(f"import tts.models.hub as hub\nhub.PATIENCE_SECONDS = 2.0{MODEL}", tmp_path, endpoint)
    assert f"the hub {endpoint} cannot be reached" in done.stderr.splitlines()[-1]
    assert 1 <= len(came) <= MOST_TRIES


def test_what_is_in_the_cache_is_found_without_the_hub(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    cached = tmp_path / "hub" / "models--owner--model"
    snapshot = cached / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("0" * 40)
    with hub() as (endpoint, came):
        done = run(CONFIGURATION, tmp_path, endpoint)
    assert (done.stdout, done.stderr) == ("llama\n", "")
    assert len(came) <= MOST_TRIES


def test_afterwards_the_libraries_are_as_they_were(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    code = (
        "import os\nfrom huggingface_hub import constants\nfrom tts.models.hub import hub_for\n"
        "with hub_for('o/m') as why:\n    print(bool(why), constants.HF_HUB_OFFLINE, os.environ['HF_HUB_OFFLINE'])\n"
        "print(constants.HF_HUB_OFFLINE, 'HF_HUB_OFFLINE' in os.environ)\n"
        f"with hub_for({str(tmp_path)!r}) as why:\n    print(why, constants.HF_HUB_OFFLINE)"
    )
    with hub() as (endpoint, _):
        done = run(code, tmp_path, endpoint)
    assert done.stdout.splitlines() == ["True True 1", "False False", "None False"]
