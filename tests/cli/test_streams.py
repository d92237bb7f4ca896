"""Where output cannot go, and what a terminal must not be sent: real devices, pipes, terminals, encodings."""

import json
import os
import pty
import re
import select
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_parts import TTS, Result, environment, rows
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from tts.cli.output import clip, filled
from tts.cli.streams import HARMFUL, SIMPLER, harmless

Command = Callable[..., Result]
OWN_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""What rich sends itself: colours, the cursor."""


def shell(folder: Path, line: str, **extra: str) -> Result:
    """Run a line of shell, in which $TTS is the command."""
    env = environment(TTS=" ".join(TTS), **extra)
    done = subprocess.run(["bash", "-c", line], cwd=folder, env=env, capture_output=True, check=False, timeout=120)
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


SOLVE = "solve p.jsonl -r scripted.yaml --run 'my run'"


@pytest.mark.parametrize(
    ("command", "stdout"),
    [(SOLVE, "> /dev/full"), (SOLVE, ">&-"), ("recipes show quickstart", "> /dev/full"), ("--help", ">&-")],
)
def test_a_stdout_that_cannot_be_written_is_one_message(folder: Path, command: str, stdout: str) -> None:
    result = shell(folder, f"$TTS {command} {stdout} < /dev/null")
    assert (result.code, result.out) == (3, "")
    told = result.err.splitlines()
    assert told[0].startswith("tts: error: cannot write standard output: ")
    if command.startswith("solve"):
        assert told[1] == "tts: What was drawn is kept; resume with: tts solve --run 'my run'"
        assert len((folder / "my run" / "candidates.jsonl").read_text().splitlines()) >= 4
        assert len(shell(folder, "$TTS solve --run 'my run' < /dev/null").out.splitlines()) == 2
    assert len(told) == 1 + command.startswith("solve")


@pytest.mark.parametrize("stderr", ["2> /dev/full", "2>&-"])
def test_a_stderr_that_cannot_be_written_ends_no_run(folder: Path, stderr: str) -> None:
    result = shell(folder, f"$TTS solve p.jsonl -r scripted.yaml --run r {stderr} < /dev/null")
    assert result.code == 0
    assert [json.loads(line)["answer"] for line in result.out.splitlines()] == ["42", "42"]


def test_a_reader_that_leaves_ends_every_command_quietly(folder: Path) -> None:
    for command in ("recipes schema", "solve p.jsonl -r scripted.yaml", "--help"):
        result = shell(folder, f"(sleep 0.2; $TTS {command} < /dev/null; echo $? >&2) | true")
        assert result.err.splitlines()[-1] == "0", command
        assert "rror" not in result.err, command


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_encodings_that_lack_a_character_get_a_simpler_one(folder: Path, encoding: str) -> None:
    (folder / "wide.jsonl").write_text('{"id":"é","problem":"漢字 ✓ 6*7?","answer":"42"}\n')
    for command in ("solve wide.jsonl -r scripted.yaml --dry-run", "recipes show scripted.yaml", "grade r"):
        if command == "grade r":
            shell(folder, "$TTS solve wide.jsonl -r scripted.yaml --run r < /dev/null")
        line = f"$TTS {command} < /dev/null"
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=folder,
            env=environment(TTS=" ".join(TTS), PYTHONIOENCODING=encoding),
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        said = done.stdout.decode("utf-8" if command == "grade r" else encoding)  # JSON lines are UTF-8 everywhere
        assert "rror" not in done.stderr.decode(encoding)
        if "dry" in command:
            assert ("1 problem × 4" in said) == (encoding != "ascii")
            assert "4 candidates = 4 candidates" in said


def on_terminal(folder: Path, command: list[str], *, width: int, encoding: str = "utf-8") -> tuple[int, bytes]:
    """Run the command on a terminal of that width; return its exit code and all that it sent."""
    master, slave = pty.openpty()
    env = environment(COLUMNS=str(width), TERM="xterm", PYTHONIOENCODING=encoding)
    process = subprocess.Popen(
        [*TTS, *command], stdin=subprocess.DEVNULL, stdout=slave, stderr=slave, cwd=folder, env=env
    )
    os.close(slave)
    sent = b""
    while select.select([master], [], [], 60)[0]:
        try:
            sent += os.read(master, 65536)
        except OSError:  # the other end is closed
            break
    os.close(master)
    return process.wait(60), sent


EVIL = "\x1b[2J\x1b]0;owned\x07\x9b31m\x7f\r\u202egnp.exe"


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_what_rows_and_models_wrote_is_shown_and_not_sent(folder: Path, encoding: str) -> None:
    row = {"id": f"a{EVIL}", "problem": f"What? {EVIL}", "answer": "42"}
    bad = {"id": f"b{EVIL}", "problem": ""}
    (folder / "evil.jsonl").write_text(json.dumps(row) + "\n" + json.dumps(bad) + "\n")
    candidate = json.dumps("\\boxed{" + EVIL + "}")
    (folder / "evil.yaml").write_text(
        f"engine: {{name: replay, script: [{candidate}]}}\n"
        "sampler: {name: temperature, num_candidates: 1}\ntask: text\n"
    )
    commands = [
        ["solve", "evil.jsonl", "-r", "evil.yaml", "--run", "evil"],
        ["grade", "evil"],
        ["solve", "evil.jsonl", "-r", "evil.yaml", "--dry-run"],
        ["bench", "--from", "evil", "--json", "--embeddings", "none"],
        ["solve", f"no{EVIL}file"],
    ]
    for command in commands[: 2 if encoding == "cp1252" else None]:
        code, sent = on_terminal(folder, command, width=100, encoding=encoding)
        text = OWN_CODES.sub("", sent.decode(encoding).replace("\x1b[2K", "").replace("\r\n", "\n"))
        assert code in (0, 1, 2)
        assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]", text), (command, text)
        assert "Traceback" not in text
        assert b"\x1b[2J" not in sent
        assert b"\x1b]" not in sent


@pytest.mark.parametrize("width", [40, 80])
def test_a_problem_is_one_line_whatever_its_letters(folder: Path, width: int) -> None:
    problems = [("漢字漢字漢字漢字漢字漢字", "42"), ("e\u0301" * 30, "42"), ("👩‍👩‍👧" * 20, "42"), ("plain", "42")]
    (folder / "wide.jsonl").write_text(rows(problems))
    _, sent = on_terminal(folder, ["solve", "wide.jsonl", "-r", "scripted.yaml"], width=width)
    lines = [line for line in OWN_CODES.sub("", sent.decode()).replace("\r", "\n").split("\n") if line[:1] in "✓✗?"]
    assert len([line for line in lines if line.strip()]) == 4
    assert all(cell_len(line.rstrip()) <= width for line in lines)


@given(st.text(), st.integers(0, 30))
def test_any_text_is_clipped_and_filled_by_cells(text: str, width: int) -> None:
    clipped = clip(text, width)
    assert cell_len(clipped) <= width
    assert not HARMFUL.search(clipped)
    assert cell_len(filled(text, width)) == width


@settings(max_examples=50)
@given(st.text(alphabet=st.characters()))
def test_harmless_text_stays_and_the_rest_is_spelled_out(text: str) -> None:
    shown = harmless(text)
    assert not HARMFUL.search(shown)
    assert harmless(shown) == shown
    if not HARMFUL.search(text):
        assert shown == text


def test_simpler_marks_are_one_cell_each() -> None:
    for mark, simpler in SIMPLER.items():
        assert (cell_len(mark), len(simpler), simpler.isascii()) == (1, 1, True)
